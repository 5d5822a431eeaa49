"""Lets people choose a password by a link, which is mailed to them or handed over.

A mailed link gets its token when it is sent: nobody but the mail server ever sees it, only its
hash is stored, and a mail that is sent again has another one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from secrets import SystemRandom
from typing import TYPE_CHECKING

import structlog

from os_credits.domain.invitation import InvitationState, Purpose
from os_credits.domain.login import (
    ATTEMPTS_KEPT,
    INVITATIONS_KEPT,
    SESSION_IDLE,
    check_name,
    token_digest,
)
from os_credits.domain.mail import mail_address
from os_credits.domain.person import language_of
from os_credits.errors import Conflict, InvalidInput, MailNotSent, MailRefused, NotFound
from os_credits.flows.logins import new_token
from os_credits.notify.backoff import wait_before_retry
from os_credits.notify.headers import one_line
from os_credits.notify.invitation import render_invitation
from os_credits.store import invitations, login_attempts, logins, sessions
from os_credits.store.batches import read_now
from os_credits.store.pool import connection, transaction

if TYPE_CHECKING:
    from os_credits.domain.invitation import DueInvitation, Invitation
    from os_credits.domain.login import Login
    from os_credits.domain.person import Person
    from os_credits.notify.mailer import Mailer
    from os_credits.notify.message import Letterhead
    from os_credits.store.pool import Connection, Pool

SENDING_AT_ONCE_MAX = 4
MAILS_PER_CALL_MAX = 100
CLAIM_MARGIN_SECONDS = 30
ERROR_LENGTH_MAX = 200
PRUNED_PER_CALL_MAX = 10_000
# So soon an owner's second invitation of somebody is the first one.
SAME_INVITATION = timedelta(minutes=10)
NO_MAIL = (
    "this service mails no links, since OS_CREDITS_MAIL_HOST and OS_CREDITS_PUBLIC_URL are not"
    " both set: an administrator can make a link and hand it over"
)
_random = SystemRandom()

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoginWish:
    """Who shall be able to log in, and how; raises InvalidInput."""

    email: str
    name: str = ""
    language: str = ""
    is_administrator: bool = False

    def checked(self) -> LoginWish:
        """Give the same with its texts as they are stored."""
        try:
            language = language_of(self.language)
        except ValueError as error:
            raise InvalidInput(str(error), where="language") from None
        email = mail_address(self.email.strip(), where="email")
        return LoginWish(email, check_name(self.name), language, self.is_administrator)


@dataclass(frozen=True, slots=True)
class Invited:
    """A login and its link; `token` is '' where the link is mailed."""

    login: Login
    is_new: bool
    invitation: Invitation
    token: str


async def invite(pool: Pool, wish: LoginWish, *, author: str, by_mail: bool) -> Invited:
    """Let somebody log in, and make the link by which the password is chosen.

    Whoever has a login keeps it as it is, and gets a new link in the place of older ones. Raises
    Conflict for a login that is disabled, or that is to become an administrator's this way.
    """
    wish = wish.checked()
    async with transaction(pool) as conn:
        made = await logins.insert_login(
            conn,
            email=wish.email,
            name=wish.name,
            language=wish.language,
            is_administrator=wish.is_administrator,
        )
        login = made or await logins.find_login_of(conn, wish.email)
        if login is None:
            raise Conflict("this login was changed at the same moment: try again")
        if wish.is_administrator and not login.is_administrator:
            raise Conflict("this address has a login already: make it an administrator's there")
        invitation, token = await _new_link(conn, login, author=author, by_mail=by_mail)
    return Invited(login, made is not None, invitation, token)


async def make_link(pool: Pool, login_id: int, *, author: str, by_mail: bool) -> Invited:
    """Make a new link for a login in the place of older ones. Raises NotFound, Conflict."""
    async with transaction(pool) as conn:
        await logins.lock_login(conn, login_id)
        login = await logins.find_login(conn, login_id)
        if login is None:
            raise NotFound(f"there is no login {login_id}")
        invitation, token = await _new_link(conn, login, author=author, by_mail=by_mail)
    return Invited(login, is_new=False, invitation=invitation, token=token)


async def _new_link(
    conn: Connection, login: Login, *, author: str, by_mail: bool
) -> tuple[Invitation, str]:
    if login.disabled_at is not None:
        raise Conflict("this login is disabled: enable it first")
    await invitations.void_invitations(conn, login.id, reason="a newer link has its place")
    token = "" if by_mail else new_token()
    invitation = await invitations.insert_invitation(
        conn,
        login_id=login.id,
        purpose=Purpose.RESET if login.has_password else Purpose.INVITATION,
        state=InvitationState.PENDING if by_mail else InvitationState.SHOWN,
        author=author,
        digest=token_digest(token) if token else None,
    )
    return invitation, token


async def invite_person(pool: Pool, person: Person, *, author: str) -> None:
    """Let a project's person log in, by a mailed link.

    Nothing tells whoever asks whether the person had a login before: one that has a password, or
    that an administrator disabled, is left alone.
    """
    name = "" if "@" in person.name else person.name[:200].strip()
    wish = LoginWish(person.email, name, person.language).checked()
    async with transaction(pool) as conn:
        made = await logins.insert_login(
            conn, email=wish.email, name=wish.name, language=wish.language, is_administrator=False
        )
        login = made or await logins.find_login_of(conn, wish.email)
        if login is None or login.has_password or login.disabled_at is not None:
            return
        known = await invitations.list_open_invitations(conn, login.id)
        now = await read_now(conn)
        if not any(one.created_at > now - SAME_INVITATION for one in known):
            await _new_link(conn, login, author=author, by_mail=True)


async def deliver_invitations(
    pool: Pool, mailer: Mailer, letterhead: Letterhead, *, attempts_max: int
) -> int:
    """Mail the links that are due, a few at a time; gives how many a server took.

    Ends early when a whole batch was delayed, since the server is then away.
    """
    claim = timedelta(seconds=mailer.timeout_seconds + CLAIM_MARGIN_SECONDS)
    sent = tried = 0
    while tried < MAILS_PER_CALL_MAX:
        async with connection(pool) as conn:
            due = await invitations.claim_invitations(conn, claim=claim, limit=SENDING_AT_ONCE_MAX)
        attempts = (_attempt(pool, mailer, letterhead, one, attempts_max) for one in due)
        # One mail's trouble must not cancel the dialogue of another: raise when all have ended.
        done = await asyncio.gather(*attempts, return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        tried += len(due)
        sent += sum(outcome is True for outcome in done)
        if True not in done:
            break
    return sent


async def _attempt(
    pool: Pool, mailer: Mailer, letterhead: Letterhead, due: DueInvitation, attempts_max: int
) -> bool:
    token = new_token()
    async with connection(pool) as conn:
        if not await invitations.put_token(
            conn, due.id, attempt_count=due.attempt_count, digest=token_digest(token)
        ):
            return False
    try:
        await mailer.send(render_invitation(due, token, letterhead))
    except InvalidInput as error:
        await _fail(pool, due, MailRefused(str(error)), attempts_max)
        return False
    except MailNotSent as error:
        await _fail(pool, due, error, attempts_max)
        return False
    async with connection(pool) as conn:
        await invitations.mark_sent(conn, due.id)
    log.info("link_sent", action="invite", purpose=due.purpose.value, invitation_id=due.id)
    return True


async def _fail(pool: Pool, due: DueInvitation, error: MailNotSent, attempts_max: int) -> None:
    """Write down why, for people; the log has no text of the server, which may name people."""
    ends = error.permanent or due.attempt_count >= attempts_max
    reason = one_line(f"{error.code} {error}" if error.code else str(error), ERROR_LENGTH_MAX)
    async with connection(pool) as conn:
        if ends:
            await invitations.refuse(conn, due.id, attempt_count=due.attempt_count, error=reason)
        else:
            await invitations.postpone(
                conn,
                due.id,
                attempt_count=due.attempt_count,
                wait=wait_before_retry(due.attempt_count, _random.random()),
                error=reason,
            )
    log.warning(
        "link_refused" if ends else "link_delayed",
        action="invite",
        invitation_id=due.id,
        attempt_count=due.attempt_count,
        code=error.code,
    )


async def prune(pool: Pool, *, idle: timedelta = SESSION_IDLE) -> int:
    """Forget sessions that are over, old attempts and useless links; gives how many rows went."""
    limit = PRUNED_PER_CALL_MAX
    async with transaction(pool) as conn:
        expired = await invitations.refuse_expired(conn, limit=limit)
        gone = (
            await sessions.prune_sessions(conn, idle=idle, limit=limit)
            + await login_attempts.prune_attempts(conn, kept=ATTEMPTS_KEPT, limit=limit)
            + await invitations.prune_invitations(conn, kept=INVITATIONS_KEPT, limit=limit)
        )
    if expired:
        log.warning("links_given_up", action="invite", count=expired)
    return gone
