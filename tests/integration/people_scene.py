"""People who can log in, made quickly for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.flows.invitations import LoginWish, invite
from os_credits.flows.logins import log_in, set_password

if TYPE_CHECKING:
    from os_credits.domain.login import Login
    from os_credits.store.pool import Pool

PASSWORD = "a lake of violins"
ADDRESS = "192.0.2.1"
AGENT = "Mozilla/5.0 (test)"


async def new_person(
    pool: Pool, email: str, name: str = "", *, is_administrator: bool = False
) -> Login:
    """Invite somebody, and let the link be followed."""
    wish = LoginWish(email, name, "", is_administrator)
    made = await invite(pool, wish, author="test", by_mail=False)
    return await set_password(pool, made.token, PASSWORD, ADDRESS)


async def session_of(pool: Pool, email: str, password: str = PASSWORD) -> str:
    """Log somebody in and give the session's token."""
    return await log_in(pool, email, password, ADDRESS, AGENT)
