"""Decides who hears of a project, and forgets people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from os_credits.domain.login import email_digest
from os_credits.domain.person import PEOPLE_MAX, address_key, change_people
from os_credits.errors import Conflict, NotFound
from os_credits.store import (
    audit,
    batches,
    invitations,
    login_attempts,
    logins,
    managers,
    people,
    projects,
    rating_state,
    sessions,
)
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.login import Login
    from os_credits.domain.person import PeopleChange, Person, PersonChange
    from os_credits.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Erased:
    """How many projects and mails an address was taken from; `pending_count` were not yet sent.

    `login_count` is 1 if it could log in, `organisation_count` tells how many it managed.
    """

    project_count: int
    mail_count: int
    pending_count: int
    login_count: int = 0
    organisation_count: int = 0


async def replace_people(
    pool: Pool, project_id: int, changes: Sequence[PersonChange]
) -> list[Person]:
    """Let exactly these people hear of a project; gives them, by address.

    Of addresses that differ in case only the last one counts.
    """
    async with transaction(pool) as conn:
        await people.lock_against_notices(conn, [project_id])
        before = await people.list_people(conn, project_id)
        await _write(conn, project_id, change_people(before, changes, only_these=True))
        return await people.list_people(conn, project_id)


async def add_person(pool: Pool, project_id: int, change: PersonChange) -> tuple[Person, bool]:
    """Let one more person hear of a project; gives it, and whether it is new.

    Raises Conflict where the address is there already with something else, or where
    `PEOPLE_MAX` addresses hear of the project.
    """
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        before = await people.list_people(conn, project_id)
        known = _of(before, change.email)
        if known is not None and change.of(known) != known:
            raise Conflict("this address hears of the project already: change it instead")
        await _write(conn, project_id, change_people(before, [change], only_these=False))
        return known or change.of(None), known is None


async def put_person(pool: Pool, project_id: int, change: PersonChange) -> tuple[Person, bool]:
    """Let a person hear of a project just so; gives it, and whether it is new.

    What the change does not name stays as it was. Raises Conflict where `PEOPLE_MAX` addresses
    hear of the project already.
    """
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        before = await people.list_people(conn, project_id)
        known = _of(before, change.email)
        await _write(conn, project_id, change_people(before, [change], only_these=False))
        return change.of(known), known is None


async def change_person(pool: Pool, project_id: int, change: PersonChange) -> Person:
    """Change what is said of a person who hears of a project. Raises NotFound."""
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        before = await people.list_people(conn, project_id)
        known = found(before, change.email)
        await _write(conn, project_id, change_people(before, [change], only_these=False))
        return change.of(known)


async def remove_person(pool: Pool, project_id: int, email: str) -> list[Person]:
    """Let an address hear of a project no more; gives those left. Raises NotFound."""
    async with transaction(pool) as conn:
        await people.lock_against_notices(conn, [project_id])
        if not await people.delete_people(conn, [(project_id, email)]):
            raise _unknown()
        return await people.list_people(conn, project_id)


async def _write(conn: Connection, project_id: int, change: PeopleChange) -> None:
    """Store what a change makes of a project's people, under the lock that it needs.

    Raises Conflict where they would be more than `PEOPLE_MAX`.
    """
    if len(change.people) > PEOPLE_MAX:
        raise Conflict(f"a project has at most {PEOPLE_MAX} people who hear of it")
    await people.delete_people(conn, [(project_id, one.email) for one in change.removed])
    await people.put_people(conn, [(project_id, one) for one in change.added + change.changed])


def found(among: Sequence[Person], email: str) -> Person:
    """Find a person by address, however it is spelled. Raises NotFound."""
    person = _of(among, email)
    if person is None:
        raise _unknown()
    return person


def _of(among: Sequence[Person], email: str) -> Person | None:
    return next((one for one in among if one.key == address_key(email)), None)


def _unknown() -> NotFound:
    return NotFound("this address does not hear of this project")


async def erase(pool: Pool, email: str) -> Erased:
    """Take an address, however it is spelled, from all projects, mails and logins, at once.

    Mails that wait are refused; one that is just being sent may still arrive. Nothing is rated
    meanwhile, so that the locks of several projects come in one order.
    """
    async with transaction(pool) as conn:
        await rating_state.lock(conn)
        locked: set[int] = set()
        while not locked.issuperset(of := await people.list_projects_of(conn, email)):
            await people.lock_against_notices(conn, of)
            locked.update(of)
        await people.delete_people(conn, [(project_id, email) for project_id in of])
        mails = await people.erase_mails(conn, email)
        managed = await managers.delete_manager_everywhere(conn, email)
        login = await logins.find_login_of(conn, email)
        if login is not None:
            await _forget_login(conn, login)
        await login_attempts.delete_attempts_at(conn, email_digest(email))
        # Last but for the login's address, since each of these steps was noted with the address.
        await audit.forget_in_audit(conn, email)
        if login is not None:
            await logins.erase_address(conn, login.id)
        return Erased(
            project_count=len(of),
            mail_count=mails.mail_count,
            pending_count=mails.pending_count,
            login_count=int(login is not None),
            organisation_count=managed,
        )


async def _forget_login(conn: Connection, login: Login) -> None:
    """Let a person in no more, and forget all but the address of the login."""
    await logins.lock_login(conn, login.id)
    await sessions.delete_sessions(conn, login.id)
    await invitations.delete_invitations(conn, login.id)
    await logins.forget_password(conn, login.id)
    now = await batches.read_now(conn)
    await logins.update_login(
        conn, replace(login, name="", language="", is_administrator=False, disabled_at=now)
    )
