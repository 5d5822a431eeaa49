"""Changes logins: names and languages, who is an administrator, who may come in no more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from os_credits.domain.login import check_name
from os_credits.domain.person import language_of
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.store import batches, invitations, keys, logins, sessions
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from os_credits.domain.login import Login
    from os_credits.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class LoginChange:
    """What is to be otherwise about a login; None leaves it as it is."""

    name: str | None = None
    language: str | None = None
    is_administrator: bool | None = None
    is_disabled: bool | None = None


async def change_login(pool: Pool, login_id: int, change: LoginChange) -> Login:
    """Change a login; one that is disabled is out at once, everywhere.

    Raises NotFound, InvalidInput, and Conflict where nobody could administer the service any
    more: no other administrator can log in, and no key with the scope admin is good.
    """
    async with transaction(pool) as conn:
        administrators = await logins.lock_administrators(conn)
        await logins.lock_login(conn, login_id)
        before = await logins.find_login(conn, login_id)
        if before is None:
            raise NotFound(f"there is no login {login_id}")
        after = await _changed(conn, before, change)
        is_no_more = not after.is_administrator or after.disabled_at is not None
        if administrators == {login_id} and is_no_more and not await keys.has_admin_key(conn):
            raise Conflict("nobody could administer the service any more: this is the last one")
        if after != before:
            await logins.update_login(conn, after)
        if after.disabled_at is not None:
            await sessions.delete_sessions(conn, login_id)
            await invitations.void_invitations(conn, login_id, reason="the login is disabled")
    return after


async def _changed(conn: Connection, login: Login, change: LoginChange) -> Login:
    if change.name is not None:
        login = replace(login, name=check_name(change.name))
    if change.language is not None:
        try:
            login = replace(login, language=language_of(change.language))
        except ValueError as error:
            raise InvalidInput(str(error), where="language") from None
    if change.is_administrator is not None:
        login = replace(login, is_administrator=change.is_administrator)
    if change.is_disabled is True and login.disabled_at is None:
        login = replace(login, disabled_at=await batches.read_now(conn))
    elif change.is_disabled is False:
        if login.email.endswith("@invalid"):
            raise Conflict("this login's address was erased: invite the person anew")
        login = replace(login, disabled_at=None)
    return login
