"""People are let in by password or link, nobody is let guess, and what ended is over at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from os_credits.domain.login import (
    SESSION_IDLE,
    SESSION_LASTS,
    SESSIONS_MAX,
    TRIES_MAX,
    token_digest,
)
from os_credits.domain.person import PersonChange, Role
from os_credits.errors import Conflict, InvalidInput, NotFound, RateLimited, Unauthenticated
from os_credits.flows import logins as flow
from os_credits.flows.invitations import LoginWish, invite, make_link, prune
from os_credits.flows.login_changes import LoginChange, change_login
from os_credits.flows.managers import put_manager, remove_manager
from os_credits.flows.organisations import create_organisation
from os_credits.flows.passwords import hash_password, is_outdated, is_password
from os_credits.flows.people import put_person, remove_person
from os_credits.flows.sessions import (
    SessionBook,
    end_session,
    find_session,
    list_sessions,
    log_out,
    log_out_everywhere,
)
from os_credits.store import logins
from os_credits.store.pool import connection, open_pool
from tests.integration.accounts import open_account
from tests.integration.people_scene import ADDRESS, AGENT, PASSWORD, new_person, session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.login import Session
    from os_credits.store.pool import Pool

ADA = "ada@lab.example"
OTHER = "another lake of violins"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=12, statement_timeout_seconds=20)
    yield opened
    await opened.close()


async def found(pool: Pool, token: str) -> Session:
    session = await find_session(pool, token)
    assert session is not None
    return session


# --- Sessions


async def test_a_session_is_found_by_its_token_alone(pool: Pool) -> None:
    ada = await new_person(pool, "Ada@lab.example", "Ada")

    token = await session_of(pool, "aDA@LAB.example")

    session = await found(pool, token)
    assert (session.login, session.access.login_id) == (ada, ada.id)
    for other in ("", token[:-1], token + "x", "ä", "x" * 500, "\0"):
        assert await find_session(pool, other) is None


async def test_only_hashes_are_stored(pool: Pool, owner_database_url: str) -> None:
    made = await invite(pool, LoginWish(ADA), author="test", by_mail=False)
    await flow.set_password(pool, made.token, PASSWORD, ADDRESS)
    token = await session_of(pool, ADA)

    with psycopg.connect(owner_database_url) as conn:
        tables = ("login", "session", "invitation", "login_attempt", "audit")
        stored = [
            row[0] for table in tables for row in conn.execute(f"SELECT t::text FROM {table} t")
        ]

    assert not [row for row in stored for secret in (token, made.token, PASSWORD) if secret in row]
    assert [row for row in stored if token_digest(token).hex() in row]
    assert [row for row in stored if "$argon2id$" in row]


async def test_a_session_ends_after_a_while_without_use_and_after_a_week_in_any_case(
    pool: Pool,
) -> None:
    await new_person(pool, ADA)
    token = await session_of(pool, ADA)
    now = (await found(pool, token)).created_at

    async def lasts(after: timedelta) -> bool:
        return await find_session(pool, token, now + after) is not None

    assert not await lasts(SESSION_IDLE)
    assert not await SessionBook(timedelta(hours=1)).find(pool, token, now + timedelta(hours=2))
    step = SESSION_IDLE - timedelta(minutes=1)
    used = timedelta(0)
    while used + step < SESSION_LASTS:
        used += step
        assert await lasts(used)
    assert not await lasts(SESSION_LASTS)


async def test_a_session_that_was_ended_is_over_at_once_and_only_that_one(pool: Pool) -> None:
    ada = await new_person(pool, ADA)
    tokens = [await session_of(pool, ADA) for _ in range(4)]
    sessions = [await found(pool, one) for one in tokens]
    assert {one.id for one in sessions} == {one.id for one in await list_sessions(pool, ada.id)}

    async def alive() -> list[bool]:
        return [await find_session(pool, one) is not None for one in tokens]

    assert await log_out(pool, tokens[0])
    assert not await log_out(pool, tokens[0])
    assert [False, True, True, True] == await alive()
    await end_session(pool, ada.id, sessions[1].id)
    with pytest.raises(NotFound):
        await end_session(pool, ada.id + 1, sessions[2].id)
    assert [False, False, True, True] == await alive()
    assert await log_out_everywhere(pool, ada.id, but=sessions[3].id) == 1
    assert [False, False, False, True] == await alive()


async def test_a_login_has_a_bounded_number_of_sessions(pool: Pool) -> None:
    ada = await new_person(pool, ADA)
    async with connection(pool) as conn:
        await conn.execute(
            """
            INSERT INTO session (login_id, digest, last_seen_at, expires_at)
            SELECT $1, decode(md5(i::text), 'hex'), now() - i * interval '1 minute',
                   now() + interval '1 day'
            FROM generate_series(1, 100) i
            """,
            ada.id,
        )

    await session_of(pool, ADA)

    assert len(await list_sessions(pool, ada.id)) == SESSIONS_MAX


async def test_what_is_over_is_pruned(pool: Pool, owner_database_url: str) -> None:
    await new_person(pool, ADA)
    kept = await session_of(pool, ADA)
    with psycopg.connect(owner_database_url) as conn:
        conn.execute(
            "INSERT INTO session (login_id, digest, expires_at)"
            " SELECT id, '\\x00', now() FROM login"
        )
        conn.execute("UPDATE login_attempt SET made_at = now() - interval '8 days' WHERE id = 1")
        conn.execute("UPDATE invitation SET expires_at = now() - interval '31 days'")
        attempts = conn.execute("SELECT count(*) FROM login_attempt").fetchone()

    assert await prune(pool) == 3

    assert await find_session(pool, kept) is not None
    with psycopg.connect(owner_database_url) as conn:
        left = conn.execute("SELECT count(*) FROM login_attempt").fetchone()
    assert attempts is not None
    assert left == (attempts[0] - 1,)
    assert await prune(pool) == 0


# --- What a person may do


async def test_roles_follow_people_and_managers_at_once(pool: Pool) -> None:
    await new_person(pool, ADA)
    session = await session_of(pool, "ada@lab.example")
    owned, joined, beneath, foreign = [
        await open_account(pool, name, owners=[]) for name in ("A", "B", "C", "D")
    ]
    await put_person(pool, owned, PersonChange("ADA@lab.example", {}))
    await put_person(pool, joined, PersonChange(ADA, {"role": Role.MEMBER}))
    node, _ = await create_organisation(pool, "Sciences")
    book = SessionBook()

    async def rights() -> tuple[list[int], list[int]]:
        access = (await book.find(pool, session)).access  # type: ignore[union-attr]
        assert access.projects is not None
        seen = [one for one in (owned, joined, beneath, foreign) if f"#{one}" in access.projects]
        return seen, [one for one in (owned, joined, beneath, foreign) if access.may_manage(one)]

    assert await rights() == ([owned, joined], [owned])
    await put_manager(pool, node.id, email="Ada@Lab.example", name="Ada", author="test")
    assert await rights() == ([owned, joined], [owned])
    async with connection(pool) as conn:
        await conn.execute(
            """
            INSERT INTO membership (project_id, organisation_id, valid_from, author, reason)
            VALUES ($1, $2, '2026-01-01', 't', 't'), ($3, $2, date_trunc('hour', now()) + '1 h',
                                                      't', 't')
            """,
            beneath,
            node.id,
            foreign,
        )
    assert await rights() == ([owned, joined, beneath], [owned, beneath])
    await remove_person(pool, owned, ADA)
    assert await rights() == ([joined, beneath], [beneath])
    async with connection(pool) as conn:
        await conn.execute(
            """
            INSERT INTO membership (project_id, organisation_id, valid_from, author, reason)
            VALUES ($1, NULL, '2026-02-01', 't', 't')
            """,
            beneath,
        )
    assert await rights() == ([joined], [])
    await remove_manager(pool, node.id, ADA)
    assert await rights() == ([joined], [])


async def test_managing_reaches_down_the_tree_as_it_hangs_now(pool: Pool) -> None:
    await new_person(pool, ADA)
    token = await session_of(pool, ADA)
    top, middle, low, aside = [
        (await create_organisation(pool, name))[0].id for name in ("top", "middle", "low", "aside")
    ]
    async with connection(pool) as conn:
        await conn.executemany(
            """
            INSERT INTO organisation_place (organisation_id, parent_id, valid_from, author, reason)
            VALUES ($1, $2, $3, 't', 't')
            """,
            [
                (middle, top, datetime(2026, 1, 1, tzinfo=UTC)),
                (low, middle, datetime(2026, 1, 1, tzinfo=UTC)),
                (aside, middle, datetime(2026, 1, 1, tzinfo=UTC)),
                (aside, None, datetime(2026, 2, 1, tzinfo=UTC)),
                (top, aside, datetime(2999, 1, 1, tzinfo=UTC)),
            ],
        )
    await put_manager(pool, middle, email=ADA, name="", author="test")

    session = await found(pool, token)

    assert session.access.organisations == frozenset({middle, low})
    assert session.managed == {middle}


async def test_an_administrator_who_is_none_any_more_loses_everything_at_once(pool: Pool) -> None:
    root = await new_person(pool, "root@lab.example", is_administrator=True)
    await new_person(pool, "second@lab.example", is_administrator=True)
    token = await session_of(pool, "root@lab.example")
    assert (await found(pool, token)).access.projects is None

    await change_login(pool, root.id, LoginChange(is_administrator=False))

    assert (await found(pool, token)).access.projects == frozenset()


# --- Passwords


async def test_whoever_is_refused_is_told_the_same(pool: Pool) -> None:
    await new_person(pool, ADA)
    disabled = await new_person(pool, "gone@lab.example")
    await change_login(pool, disabled.id, LoginChange(is_disabled=True))
    await invite(pool, LoginWish("new@lab.example"), author="test", by_mail=False)

    told = []
    for email, password in (
        (ADA, "wrong wrong wrong"),
        (ADA, "x" * 5000),
        ("nobody@lab.example", PASSWORD),
        ("gone@lab.example", PASSWORD),
        ("new@lab.example", ""),
        ("no address \0 at all", PASSWORD),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await flow.log_in(pool, email, password, ADDRESS, AGENT)
        told.append(str(caught.value))

    assert told == [flow.REFUSED] * 6


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(pool: Pool) -> None:
    await new_person(pool, ADA)
    clock = asyncio.get_running_loop().time
    seconds: dict[str, list[float]] = {ADA: [], "nobody@lab.example": []}
    for turn in range(4):
        for email, taken in seconds.items():
            began = clock()
            with pytest.raises(Unauthenticated):
                await flow.log_in(pool, email, "wrong wrong wrong", f"192.0.2.{turn}", AGENT)
            taken.append(clock() - began)

    known, unknown = (min(taken) for taken in seconds.values())
    assert 0.5 < known / unknown < 2


async def test_an_address_waits_after_failures_and_a_success_forgives_them(pool: Pool) -> None:
    await new_person(pool, ADA)
    now = datetime.now(UTC) + timedelta(minutes=1)

    async def attempt(password: str, at: datetime) -> str:
        return await flow.log_in(pool, ADA, password, ADDRESS, AGENT, now=at)

    for _ in range(4):
        with pytest.raises(Unauthenticated):
            await attempt("wrong wrong wrong", now)
    assert await attempt(PASSWORD, now)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await attempt("wrong wrong wrong", now)
    with pytest.raises(RateLimited) as caught:
        await attempt(PASSWORD, now)
    assert caught.value.seconds == 60
    assert await attempt(PASSWORD, now + timedelta(seconds=61))


async def test_a_hundred_tries_at_once_are_five(pool: Pool, owner_database_url: str) -> None:
    await new_person(pool, ADA)

    async def attempt(number: int) -> str:
        password = PASSWORD if number >= 60 else f"guess number {number}"
        address = f"198.51.100.{number}"
        try:
            return await flow.log_in(pool, ADA, password, address, AGENT)
        except (Unauthenticated, RateLimited) as error:
            return type(error).__name__

    # Guesses come first, so the right one may only be among those after the fifth.
    told = [await attempt(number) for number in range(3)]
    told += await asyncio.gather(*(attempt(number) for number in range(3, 100)))

    guessed = told.count("Unauthenticated")
    let_in = [one for one in told if one not in ("Unauthenticated", "RateLimited")]
    with psycopg.connect(owner_database_url) as conn:
        [row] = conn.execute(
            "SELECT count(*) FROM login_attempt WHERE kind = 'password' AND address LIKE '198.51.%'"
        )
    assert row[0] == guessed + len(let_in)
    assert guessed <= 5 + 5 * len(let_in)
    assert told.count("RateLimited") >= 60


async def test_a_client_that_tries_many_addresses_is_slowed_down(pool: Pool) -> None:
    for number in range(TRIES_MAX):
        await flow.request_reset(pool, f"p{number}@lab.example", f"2001:db8::{number}")

    with pytest.raises(RateLimited) as caught:
        await flow.request_reset(pool, "another@lab.example", "2001:db8::ffff")
    assert 0 < caught.value.seconds <= 300
    await flow.request_reset(pool, "p@lab.example", "2001:db8:0:1::1")


async def test_a_changed_password_ends_all_other_sessions(pool: Pool) -> None:
    ada = await new_person(pool, ADA)
    here, there = await session_of(pool, ADA), await session_of(pool, ADA)
    session = await found(pool, here)

    with pytest.raises(InvalidInput, match="old_password"):
        await flow.change_password(pool, ada, session.id, "wrong wrong", OTHER, ADDRESS)
    with pytest.raises(InvalidInput, match="at least 12"):
        await flow.change_password(pool, ada, session.id, PASSWORD, "short", ADDRESS)
    assert await flow.change_password(pool, ada, session.id, PASSWORD, OTHER, ADDRESS) == 1

    assert await find_session(pool, here) is not None
    assert await find_session(pool, there) is None
    with pytest.raises(Unauthenticated):
        await session_of(pool, ADA)
    assert await session_of(pool, ADA, OTHER)


async def test_logging_in_beside_a_change_of_the_password_leaves_no_session_of_the_old(
    pool: Pool,
) -> None:
    ada = await new_person(pool, ADA)
    session = await found(pool, await session_of(pool, ADA))

    tokens = await asyncio.gather(
        *(session_of(pool, ADA) for _ in range(3)),
        flow.change_password(pool, ada, session.id, PASSWORD, OTHER, ADDRESS),
        return_exceptions=True,
    )

    assert 0 <= tokens.pop()  # type: ignore[operator]
    late = [one for one in tokens if isinstance(one, str) and await find_session(pool, one)]
    assert late == []


async def test_a_hash_with_older_parameters_is_renewed_when_the_password_is_seen(
    pool: Pool,
) -> None:
    from argon2 import PasswordHasher

    ada = await new_person(pool, ADA)
    older = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    async with connection(pool) as conn:
        await logins.put_password_hash(conn, ada.id, older)
    assert is_outdated(older)

    await session_of(pool, ADA)

    async with connection(pool) as conn:
        stored = await logins.read_password_hash(conn, ADA)
    assert stored is not None
    assert not is_outdated(stored[1])
    assert await session_of(pool, ADA)


async def test_no_hash_fits_nobodys_password() -> None:
    stored = await hash_password(PASSWORD)

    assert stored.startswith("$argon2id$")
    assert await is_password(PASSWORD, stored)
    assert not await is_password(PASSWORD, None)
    assert not await is_password("half \ud83d", stored)
    assert not await is_password(PASSWORD, "no hash at all")


# --- Links


async def test_a_link_is_good_once(pool: Pool) -> None:
    made = await invite(pool, LoginWish(ADA, "Ada"), author="test", by_mail=False)
    with pytest.raises(InvalidInput):
        await flow.set_password(pool, made.token, "short", ADDRESS)

    assert (await flow.set_password(pool, made.token, PASSWORD, ADDRESS)).email == ADA
    for token in (made.token, "x", "ä", ""):
        with pytest.raises(NotFound, match="ask for a new one"):
            await flow.set_password(pool, token, OTHER, ADDRESS)

    assert await session_of(pool, ADA)


async def test_of_two_at_once_who_follow_a_link_one_chooses_the_password(pool: Pool) -> None:
    made = await invite(pool, LoginWish(ADA), author="test", by_mail=False)

    done = await asyncio.gather(
        *(
            flow.set_password(pool, made.token, f"{PASSWORD} {number}", ADDRESS)
            for number in range(4)
        ),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in done) == ["Login", *["NotFound"] * 3]
    winner = next(number for number, one in enumerate(done) if not isinstance(one, Exception))
    assert await session_of(pool, ADA, f"{PASSWORD} {winner}")


async def test_links_grow_old(pool: Pool) -> None:
    made = await invite(pool, LoginWish(ADA), author="test", by_mail=False)
    now = made.invitation.created_at
    assert (await flow.find_link(pool, made.token, now + timedelta(days=6, hours=23))).email == ADA
    with pytest.raises(NotFound):
        await flow.find_link(pool, made.token, now + timedelta(days=7))
    ada = await flow.set_password(pool, made.token, PASSWORD, ADDRESS)

    reset = await make_link(pool, ada.id, author="test", by_mail=False)

    now = reset.invitation.created_at
    assert await flow.find_link(pool, reset.token, now + timedelta(minutes=59)) == ada
    with pytest.raises(NotFound):
        await flow.find_link(pool, reset.token, now + timedelta(hours=1))


async def test_a_newer_link_takes_the_place_of_an_older_one(pool: Pool) -> None:
    older = await invite(pool, LoginWish(ADA), author="test", by_mail=False)
    newer = await invite(pool, LoginWish("ADA@lab.example"), author="test", by_mail=False)

    assert (older.is_new, newer.is_new) == (True, False)
    with pytest.raises(NotFound):
        await flow.set_password(pool, older.token, PASSWORD, ADDRESS)
    assert (await flow.set_password(pool, newer.token, PASSWORD, ADDRESS)).has_password


async def test_a_password_by_link_ends_all_sessions_and_lifts_the_lock(pool: Pool) -> None:
    ada = await new_person(pool, ADA)
    token = await session_of(pool, ADA)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await session_of(pool, ADA, "wrong wrong wrong")
    with pytest.raises(RateLimited):
        await session_of(pool, ADA)
    made = await make_link(pool, ada.id, author="test", by_mail=False)

    await flow.set_password(pool, made.token, OTHER, ADDRESS)

    assert await find_session(pool, token) is None
    assert await session_of(pool, ADA, OTHER)


async def test_who_is_disabled_is_out_and_no_link_leads_back(pool: Pool) -> None:
    ada = await new_person(pool, ADA)
    token = await session_of(pool, ADA)
    made = await make_link(pool, ada.id, author="test", by_mail=False)

    await change_login(pool, ada.id, LoginChange(is_disabled=True))

    assert await find_session(pool, token) is None
    with pytest.raises(Unauthenticated):
        await session_of(pool, ADA)
    with pytest.raises(NotFound):
        await flow.set_password(pool, made.token, OTHER, ADDRESS)
    with pytest.raises(Conflict, match="disabled"):
        await make_link(pool, ada.id, author="test", by_mail=False)
    await change_login(pool, ada.id, LoginChange(is_disabled=False))
    assert await session_of(pool, ADA)


async def test_inviting_again_makes_nobody_an_administrator(pool: Pool) -> None:
    await invite(pool, LoginWish(ADA, "Ada"), author="test", by_mail=False)

    with pytest.raises(Conflict):
        await invite(pool, LoginWish(ADA, is_administrator=True), author="test", by_mail=False)

    again = await invite(pool, LoginWish(ADA, "Other"), author="test", by_mail=False)
    assert (again.login.name, again.login.is_administrator) == ("Ada", False)


async def test_the_last_who_could_administer_stays_unless_a_key_can(
    pool: Pool, database_url: str
) -> None:
    from os_credits.domain.access import Scope
    from os_credits.flows.keys import KeyRequest, create_key, revoke_key

    one = await new_person(pool, "one@lab.example", is_administrator=True)
    two = await new_person(pool, "two@lab.example", is_administrator=True)
    demoted, disabled = LoginChange(is_administrator=False), LoginChange(is_disabled=True)
    done = await asyncio.gather(
        change_login(pool, one.id, demoted),
        change_login(pool, two.id, disabled),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Login"]
    last = one if isinstance(done[0], Conflict) else two
    for change in (demoted, disabled):
        with pytest.raises(Conflict, match="last"):
            await change_login(pool, last.id, change)
    await change_login(pool, last.id, LoginChange(name="Last"))
    key, _ = await create_key(pool, KeyRequest("root", frozenset({Scope.ADMIN})))
    assert (await change_login(pool, last.id, disabled)).disabled_at is not None
    await change_login(pool, last.id, LoginChange(is_disabled=False))
    await revoke_key(pool, key.id)
    with pytest.raises(Conflict):
        await change_login(pool, last.id, disabled)
