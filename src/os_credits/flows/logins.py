"""Lets people in: by address and password, or by a link; and lets nobody guess.

Whoever is refused is told the same in the same time, whether the address is known or not. Each
attempt is written down before it is judged, under a lock of its client and of its address, so
that a hundred at once are counted like a hundred in a row.
"""

from __future__ import annotations

import math
import secrets
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from os_credits.domain.login import (
    AGENT_LENGTH_MAX,
    FAILURES_COUNT_FOR,
    RESETS_MAX,
    RESETS_WINDOW,
    SESSION_LASTS,
    SESSIONS_MAX,
    TRIES_MAX,
    TRIES_WINDOW,
    check_password,
    client_of,
    email_digest,
    locked_until,
    token_digest,
)
from os_credits.domain.mail import mail_address
from os_credits.errors import InvalidInput, NotFound, RateLimited, Unauthenticated
from os_credits.flows.passwords import hash_password, is_outdated, is_password
from os_credits.store import invitations, login_attempts, logins, sessions
from os_credits.store.actor import ACTOR, Actor
from os_credits.store.pool import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from os_credits.domain.login import Login
    from os_credits.store.login_attempts import Kind
    from os_credits.store.pool import Connection, Pool

EMAIL_LENGTH_MAX = 1024
TOKEN_BYTES = 32
# What everybody hears who is not let in, whatever the reason.
REFUSED = "the address or the password is wrong"
LINK_IS_GONE = "this link was used, replaced, or is too old: ask for a new one"
TOO_MANY = "too many attempts, wait a while; a link to choose a new password still works"

log = structlog.stdlib.get_logger(__name__)


def new_token() -> str:
    """Make the secret of a session or a link: 256 random bits, fit for a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


async def log_in(
    pool: Pool,
    email: str,
    password: str,
    address: str,
    agent: str,
    *,
    instead_of: str = "",
    now: datetime | None = None,
) -> str:
    """Begin a session and give its token; `instead_of` is one that it takes the place of.

    Raises Unauthenticated, always with the same words, and RateLimited.
    """
    login_id, stored = await _verified(pool, email, password, address, now)
    async with transaction(pool) as conn:
        login = await logins.lock_login_with(conn, login_id, stored)
        if login is None:
            raise Unauthenticated(REFUSED)
        if instead_of:
            await sessions.delete_session(conn, token_digest(instead_of))
        token = await _begin_session(conn, login, address, agent, now)
    if is_outdated(stored):
        newer = await hash_password(password)
        with _acting(login):
            async with transaction(pool) as conn:
                await logins.put_password_hash(conn, login_id, newer, instead_of=stored)
    log.info("logged_in", action="log_in", login_id=login_id)
    return token


async def _begin_session(
    conn: Connection, login: Login, address: str, agent: str, now: datetime | None
) -> str:
    token = new_token()
    await sessions.delete_beyond(conn, login.id, kept=SESSIONS_MAX - 1)
    await sessions.insert_session(
        conn,
        login_id=login.id,
        digest=token_digest(token),
        lasts=SESSION_LASTS,
        address=address[:AGENT_LENGTH_MAX],
        agent="".join(sign for sign in agent if sign.isprintable())[:AGENT_LENGTH_MAX],
        now=now,
    )
    return token


async def change_password(
    pool: Pool,
    login: Login,
    session_id: int,
    old: str,
    new: str,
    address: str,
    *,
    now: datetime | None = None,
) -> int:
    """Let a person who knows the password choose another one; gives how many sessions ended.

    All end but the one given. Raises InvalidInput for either password, and RateLimited.
    """
    check_password(new, email=login.email, name=login.name)
    try:
        _, stored = await _verified(pool, login.email, old, address, now)
    except Unauthenticated:
        raise InvalidInput("is not the present one", where="old_password") from None
    hashed = await hash_password(new)
    async with transaction(pool) as conn:
        if not await logins.put_password_hash(conn, login.id, hashed, instead_of=stored):
            raise InvalidInput("is not the present one", where="old_password")
        await invitations.void_invitations(conn, login.id, reason="the password was changed")
        ended = await sessions.delete_sessions(conn, login.id, but=session_id)
    log.info("password_changed", action="change_password", login_id=login.id)
    return ended


async def choose_password(pool: Pool, login: Login, password: str) -> None:
    """Set a login's password, as an operator does; all its sessions end.

    Raises InvalidInput for the password, NotFound for a login that is disabled.
    """
    check_password(password, email=login.email, name=login.name)
    hashed = await hash_password(password)
    async with transaction(pool) as conn:
        if not await logins.put_password_hash(conn, login.id, hashed):
            raise NotFound("this login is disabled: enable it first")
        await invitations.void_invitations(conn, login.id, reason="a password was chosen")
        await sessions.delete_sessions(conn, login.id)
        await login_attempts.insert_attempt(
            conn, "password", "command", email_digest(login.email), succeeded=True
        )


async def find_link(pool: Pool, token: str, now: datetime | None = None) -> Login:
    """Give the login for which a link would choose a password. Raises NotFound."""
    async with transaction(pool) as conn:
        return (await _link(conn, token, now))[1]


async def set_password(
    pool: Pool, token: str, password: str, address: str, *, now: datetime | None = None
) -> Login:
    """Choose a password by a link; all sessions end, and no other link works any more.

    Raises NotFound for a link that leads nowhere, InvalidInput for the password, RateLimited.
    """
    async with transaction(pool) as conn:
        digest = token_digest(token)
        await login_attempts.lock_attempts(conn, client_of(address), digest)
        await _limit(conn, ("link",), address, TRIES_WINDOW, TRIES_MAX)
        await login_attempts.insert_attempt(conn, "link", client_of(address), digest)
    login = await find_link(pool, token, now)
    check_password(password, email=login.email, name=login.name)
    hashed = await hash_password(password)
    with _acting(login):
        async with transaction(pool) as conn:
            invitation_id, login = await _link(conn, token, now)
            if not await logins.put_password_hash(conn, login.id, hashed):
                raise NotFound(LINK_IS_GONE)
            await invitations.use_invitation(conn, invitation_id, now)
            await invitations.void_invitations(conn, login.id, reason="a password was chosen")
            await sessions.delete_sessions(conn, login.id)
            # Whoever was locked out by failures is let in again.
            await login_attempts.insert_attempt(
                conn, "password", client_of(address), email_digest(login.email), succeeded=True
            )
    log.info("password_set", action="set_password", login_id=login.id)
    return replace(login, has_password=True)


async def _link(conn: Connection, token: str, now: datetime | None) -> tuple[int, Login]:
    found = (
        await invitations.find_good_invitation(conn, token_digest(token), now)
        if token.isascii()
        else None
    )
    login = None if found is None else await logins.find_login(conn, found.login_id)
    if found is None or login is None:
        raise NotFound(LINK_IS_GONE)
    return found.id, login


async def request_reset(pool: Pool, email: str, address: str) -> None:
    """Let a link be mailed to an address if it has a login; nobody is told whether it has.

    An address gets a few in an hour at most. Raises RateLimited for a client that asks on.
    """
    known = _address(email)
    digest = email_digest(known)
    client = client_of(address)
    async with transaction(pool) as conn:
        await login_attempts.lock_attempts(conn, client, digest)
        await _limit(conn, ("reset",), address, TRIES_WINDOW, TRIES_MAX)
        asked = await login_attempts.count_tries_at(conn, "reset", digest, within=RESETS_WINDOW)
        await login_attempts.insert_attempt(conn, "reset", client, digest)
        if asked < RESETS_MAX:
            await invitations.insert_reset_for(conn, known, author="by the login page")


async def _verified(
    pool: Pool, email: str, password: str, address: str, now: datetime | None
) -> tuple[int, str]:
    """Give the login of an address and a password that fit, with the hash that fitted.

    Raises Unauthenticated if they do not fit, whatever the reason, and RateLimited.
    """
    known = _address(email)
    digest = email_digest(known)
    client = client_of(address)
    async with transaction(pool) as conn:
        await login_attempts.lock_attempts(conn, client, digest)
        await _limit(conn, ("password",), address, TRIES_WINDOW, TRIES_MAX)
        failures, at = await login_attempts.list_failures(
            conn, digest, within=FAILURES_COUNT_FOR, now=now
        )
        until = locked_until(failures)
        if until is not None and at < until:
            raise RateLimited(TOO_MANY, seconds=_whole_seconds(until - at))
        attempt_id = await login_attempts.insert_attempt(conn, "password", client, digest, now=now)
    async with connection(pool) as conn:
        found = await logins.read_password_hash(conn, known)
    if not await is_password(password, None if found is None else found[1]) or found is None:
        log.warning("login_refused", action="log_in", address=client)
        raise Unauthenticated(REFUSED)
    async with transaction(pool) as conn:
        await login_attempts.mark_succeeded(conn, attempt_id)
    return found


async def _limit(
    conn: Connection, kinds: tuple[Kind, ...], address: str, window: timedelta, tries_max: int
) -> None:
    tries, seconds = await login_attempts.count_tries(
        conn, kinds, client_of(address), within=window
    )
    if tries >= tries_max:
        raise RateLimited(TOO_MANY, seconds=max(1, math.ceil(seconds)))


def _address(email: str) -> str:
    """Give an address as it would be stored; what is none is nobody's."""
    try:
        return mail_address(email.strip()[:EMAIL_LENGTH_MAX])
    except InvalidInput:
        return "nobody@invalid"


def _whole_seconds(wait: timedelta) -> int:
    return max(1, math.ceil(wait.total_seconds()))


@contextmanager
def _acting(login: Login) -> Iterator[None]:
    """Let changes be noted as the person's own, who is not logged in yet."""
    before = ACTOR.get()
    token = ACTOR.set(Actor(login.actor, "api" if before is None else before.via, login.id))
    try:
        yield
    finally:
        ACTOR.reset(token)
