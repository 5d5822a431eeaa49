"""Exactly one notice per crossing, and one mail per owner, on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.closing import ClosingRequest
from os_credits.domain.grant import GrantRequest
from os_credits.domain.instruction import Adjustment
from os_credits.domain.mail import Addressing
from os_credits.domain.notice import Notice, NoticeKind
from os_credits.domain.period import floor_hour
from os_credits.domain.person import Person
from os_credits.flows import notice as flow
from os_credits.flows.accounts import instruct
from os_credits.flows.closing import close, reopen
from os_credits.flows.notice import Watch, check, rearm, tell_before_lift
from os_credits.store.notices import ensure_states, list_notices, try_lock_states
from os_credits.store.people import put_people
from os_credits.store.pool import connection, open_pool, transaction
from tests.integration.accounts import (
    LINES,
    OWNER,
    WATCH,
    append_entry,
    grant,
    open_account,
    use,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.store.pool import Pool

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def with_lines(**changes: Any) -> Watch:
    """Watch other lines than the usual ones of these tests."""
    return replace(WATCH, lines=replace(LINES, **changes))


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=8, statement_timeout_seconds=20)
    yield opened
    await opened.close()


async def notices_of(pool: Pool, project_id: int) -> list[Notice]:
    async with connection(pool) as conn:
        return await list_notices(conn, project_id, limit=100)


async def told(pool: Pool, project_id: int) -> list[str]:
    """Check, then give the lines of which the project was told so far, the first first."""
    await check(pool, WATCH)
    return [
        f"{n.line.normalize():f}"
        for n in reversed(await notices_of(pool, project_id))
        if n.line is not None
    ]


async def mails_of(pool: Pool, project_id: int) -> list[tuple[str, str, str]]:
    async with connection(pool) as conn:
        rows = await conn.fetch(
            """
            SELECT m.recipient, m.state, m.message_id FROM mail m JOIN notice n ON n.id = notice_id
            WHERE n.project_id = $1 ORDER BY m.id
            """,
            project_id,
        )
    return [(row["recipient"], row["state"], row["message_id"]) for row in rows]


async def given(
    pool: Pool, project_id: int, kind: type[GrantRequest | Adjustment], amount: int
) -> None:
    """Give or take credits by the account's own flow."""
    request = kind(project_id, credits_of(amount), "test", "ada", uuid4().hex)
    await instruct(pool, request, WATCH)


async def foresee(pool: Pool, project_id: int, *, days: float, age_hours: int = 0) -> None:
    """Store a forecast."""
    async with connection(pool) as conn:
        await conn.execute(
            """
            INSERT INTO forecast (project_id, computed_at, state, p50, burn_per_day)
            VALUES ($1, now() - $3 * interval '1 hour', 'ok', now() + $2 * interval '1 day', 50)
            ON CONFLICT (project_id) DO UPDATE
            SET p50 = excluded.p50, computed_at = excluded.computed_at
            """,
            project_id,
            days,
            age_hours,
        )


async def burn(pool: Pool, project_id: int, used: dict[str, list[int]]) -> None:
    """Store what resources cost in as many of the last hours; once more long ago."""
    rows = [
        (name, place, Decimal(cost))
        for name, costs in used.items()
        for place, cost in [*enumerate(costs, 1), (24 * 8, 1000)]
    ]
    async with connection(pool) as conn:
        await conn.execute(
            """
            WITH s AS (
                INSERT INTO series (meter_id, project_id, resource, identity, key)
                SELECT m.id, $1, w.name, '{}', sha256(w.name::bytea)
                FROM meter m, (SELECT DISTINCT unnest($2::text[])) AS w(name)
                RETURNING id, resource
            )
            INSERT INTO usage (series_id, hour, flavor_id, kind, quantity, credits)
            SELECT s.id, date_trunc('hour', now(), 'UTC') - u.place * interval '1 hour', 0, 0, 1,
                   u.cost
            FROM unnest($2::text[], $3::int[], $4::numeric[]) AS u(name, place, cost)
            JOIN s ON s.resource = u.name
            """,
            project_id,
            [name for name, *_ in rows],
            [place for _, place, _ in rows],
            [cost for *_, cost in rows],
        )


async def test_each_line_is_told_once_as_the_balance_falls(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)

    assert [] == await told(pool, project)
    await use(pool, project, "499.999999")
    assert [] == await told(pool, project)
    await use(pool, project, "0.000001")
    assert ["50"] == await told(pool, project)
    assert ["50"] == await told(pool, project)
    await use(pool, project, 299)
    assert ["50"] == await told(pool, project)
    await use(pool, project, 1)
    assert ["50", "20"] == await told(pool, project)
    await use(pool, project, 200)
    assert ["50", "20", "0"] == await told(pool, project)
    await use(pool, project, 5000)
    assert ["50", "20", "0"] == await told(pool, project)


async def test_a_notice_keeps_the_balance_that_crossed_the_line(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, "501.9")

    assert 1 == await check(pool, WATCH, NOON)

    [notice] = await notices_of(pool, project)
    assert Decimal("498.1") == notice.balance
    assert Decimal(1000) == notice.granted
    assert notice.created_at == NOON


async def test_a_jump_over_several_lines_is_one_notice_of_the_gravest(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 850)

    assert ["20"] == await told(pool, project)


async def test_a_first_grant_that_does_not_pay_the_debt_is_told_at_once(pool: Pool) -> None:
    project = await open_account(pool)
    await use(pool, project, 1500)

    assert [] == await told(pool, project)
    await grant(pool, project, 1000)
    assert ["0"] == await told(pool, project)


async def test_a_grant_arms_the_lines_again(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 900)
    assert ["20"] == await told(pool, project)

    await grant(pool, project, 1000)  # 1,100 of 2,000
    assert ["20"] == await told(pool, project)

    await use(pool, project, 100)  # 1,000 of 2,000
    assert ["20", "50"] == await told(pool, project)
    await use(pool, project, 600)  # 400 of 2,000
    assert ["20", "50", "20"] == await told(pool, project)


async def test_a_grant_arms_only_what_it_lifts_the_balance_above(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 1000)
    assert ["0"] == await told(pool, project)

    await grant(pool, project, 1000, kind="adjustment")
    await use(pool, project, 700)  # 300 of 1,000 granted
    assert ["0", "50"] == await told(pool, project)

    await grant(pool, project, 100)  # 400 of 1,100: still below a half
    assert ["0", "50"] == await told(pool, project)


async def test_a_correction_does_not_arm_a_line_again(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 510)
    assert ["50"] == await told(pool, project)

    await use(pool, project, -100)
    assert ["50"] == await told(pool, project)
    await use(pool, project, 100)

    assert ["50"] == await told(pool, project)


async def test_a_low_that_a_grant_ends_before_the_next_check_is_told(pool: Pool) -> None:
    project = await open_account(pool)
    await given(pool, project, GrantRequest, 1000)
    await use(pool, project, 850)

    await given(pool, project, GrantRequest, 1000)

    [notice] = await notices_of(pool, project)
    assert (Decimal(20), Decimal(150), Decimal(1000)) == (
        notice.line,
        notice.balance,
        notice.granted,
    )
    assert ["20"] == await told(pool, project)


async def test_what_takes_credits_away_arms_nothing(pool: Pool) -> None:
    project = await open_account(pool)
    await given(pool, project, GrantRequest, 1000)
    await use(pool, project, 510)
    assert ["50"] == await told(pool, project)
    await use(pool, project, -300)  # put right: 790 are left

    await given(pool, project, Adjustment, -40)
    await use(pool, project, 300)

    assert ["50"] == await told(pool, project)


async def test_an_adjustment_arms_a_line_but_is_no_grant(pool: Pool) -> None:
    project = await open_account(pool)
    await given(pool, project, GrantRequest, 1000)
    await use(pool, project, 900)
    assert ["20"] == await told(pool, project)

    await given(pool, project, Adjustment, 500)  # 600 of 1,000 granted
    await use(pool, project, 100)

    assert ["20", "50"] == await told(pool, project)


async def test_hysteresis_and_cool_down_hold_back_and_the_end_of_it_tells(pool: Pool) -> None:
    watch = with_lines(percents=(Decimal(50),), hysteresis_percent=Decimal(5), cool_down_hours=24)
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 500)
    assert 1 == await check(pool, watch)
    [first] = await notices_of(pool, project)

    await grant(pool, project, 200, watch=watch)  # 700 of 1,200: 58 per cent
    await use(pool, project, 100)
    day_after = first.created_at + timedelta(hours=24)
    assert 0 == await check(pool, watch, day_after - timedelta(microseconds=1))
    assert 1 == await check(pool, watch, day_after)

    await grant(pool, project, 80, watch=watch)  # 680 of 1,280: 53 per cent
    await use(pool, project, 100)
    assert 0 == await check(pool, watch, day_after + timedelta(days=9))


async def test_a_closed_project_is_told_of_no_line_until_it_is_open_again(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await close(pool, ClosingRequest(project, floor_hour(datetime.now(UTC)), "ended", "ada"))
    await use(pool, project, 600)

    assert [] == await told(pool, project)
    await reopen(pool, project, reason="goes on", author="ada")
    assert ["50"] == await told(pool, project)


async def test_a_project_that_is_closed_while_it_is_checked_is_not_told(pool: Pool) -> None:
    """Seen as open by the check, closed before it could lock its lines."""
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 600)
    await close(pool, ClosingRequest(project, floor_hour(datetime.now(UTC)), "ended", "ada"))

    async with transaction(pool) as conn:
        await ensure_states(conn, [project])
        assert 0 == await flow._tell(conn, await try_lock_states(conn, [project]), WATCH, None)


async def test_a_notice_says_what_burned_when_it_ends_and_what_else_was_crossed(
    pool: Pool,
) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 850)
    await burn(pool, project, {f"vm{place}": [place, 10 * place] for place in range(1, 8)})
    await foresee(pool, project, days=3)
    watch = with_lines(credits=(Decimal(300),), days=(Decimal(5), Decimal(3)))

    assert 1 == await check(pool, watch)

    [notice] = await notices_of(pool, project)
    assert (NoticeKind.PERCENT, Decimal(20)) == (notice.kind, notice.line)
    assert [
        {"resource": f"vm{place}", "meter": "m", "flavor": "", "credits": f"{11 * place}.000000"}
        for place in (7, 6, 5, 4, 3)
    ] == notice.facts["burned"]
    assert ("ok", "50.000000") == (
        notice.facts["forecast"]["state"],
        notice.facts["forecast"]["burn_per_day"],
    )
    assert [
        {"kind": "percent", "line": "50.000"},
        {"kind": "credits", "line": "300.000000"},
        {"kind": "days", "line": "3.000"},
        {"kind": "days", "line": "5.000"},
    ] == notice.facts["also"]


async def test_days_are_told_by_a_forecast_that_is_young(pool: Pool) -> None:
    watch = with_lines(percents=(), days=(Decimal(7),), burn_per_day=(Decimal(60),))
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await foresee(pool, project, days=5, age_hours=4)
    assert 0 == await check(pool, watch)
    await foresee(pool, project, days=8)
    assert 0 == await check(pool, watch)
    await foresee(pool, project, days=5)
    assert 1 == await check(pool, watch)
    assert 0 == await check(pool, watch)

    [notice] = await notices_of(pool, project)
    assert (NoticeKind.DAYS, Decimal(7)) == (notice.kind, notice.line)
    assert notice.value is not None
    assert Decimal("4.9") < notice.value < Decimal(5)


async def test_a_line_of_days_is_armed_by_a_better_forecast_without_a_notice(pool: Pool) -> None:
    watch = with_lines(percents=(), days=(Decimal(7),))
    project = await open_account(pool)
    await grant(pool, project, 1000)
    for days, expected in ((5, 1), (8, 0), (5, 0), (9, 0), (5, 1)):
        await foresee(pool, project, days=days)
        assert expected == await check(pool, watch), days


async def test_each_owner_of_the_moment_gets_one_mail(pool: Pool) -> None:
    project = await open_account(pool, owners=["ada@lab.example", "bob@lab.example"])
    await grant(pool, project, 1000)
    await use(pool, project, 600)

    await check(pool, replace(WATCH, addressing=Addressing(message_id_domain="cloud.example")))
    async with connection(pool) as conn:
        await put_people(conn, [(project, Person("late@lab.example"))])
    await check(pool, WATCH)

    mails = await mails_of(pool, project)
    assert [("ada@lab.example", "pending"), ("bob@lab.example", "pending")] == [
        (recipient, state) for recipient, state, _ in mails
    ]
    assert all(i.startswith("<") and i.endswith("@cloud.example>") for *_, i in mails)
    assert 2 == len({message_id for *_, message_id in mails})


async def test_an_owner_whose_address_was_stored_in_two_spellings_gets_one_mail(
    pool: Pool,
) -> None:
    """As it could be before spellings were compared."""
    project_id = await open_account(pool, owners=["ada@lab.example"])
    async with connection(pool) as conn:
        await conn.execute(
            "INSERT INTO project_owner (project_id, email) VALUES ($1, 'ADA@lab.example')",
            project_id,
        )
    await grant(pool, project_id, 100)
    await use(pool, project_id, 50)

    await check(pool, WATCH)

    assert ["ADA@lab.example"] == [recipient for recipient, *_ in await mails_of(pool, project_id)]


async def test_a_project_without_owners_gets_its_notice(pool: Pool) -> None:
    project = await open_account(pool, owners=[])
    await grant(pool, project, 1000)
    await use(pool, project, 600)

    assert ["50"] == await told(pool, project)
    assert [] == await mails_of(pool, project)


async def test_several_copies_write_one_notice_per_crossing(pool: Pool) -> None:
    projects = [await open_account(pool, f"p{number}") for number in range(20)]
    for project in projects:
        await grant(pool, project, 1000)

    for percent in ("50", "20", "0"):
        for project in projects:
            await use(pool, project, {"50": 500, "20": 300, "0": 200}[percent])
        written = await asyncio.gather(*(check(pool, WATCH) for _ in range(4)))
        # A copy that meets a locked project leaves it to the one that holds it.
        assert len(projects) == sum(written)

    for project in projects:
        assert ["50", "20", "0"] == await told(pool, project)
        assert 3 == len(await mails_of(pool, project))


async def test_a_copy_does_not_wait_for_an_account_that_another_one_holds(pool: Pool) -> None:
    held, free = await open_account(pool, "held"), await open_account(pool, "free")
    for project in (held, free):
        await grant(pool, project, 1000)
        await use(pool, project, 600)

    async with transaction(pool) as conn:
        assert await try_lock_states(conn, [held]) == [held]
        async with asyncio.timeout(5):
            assert 1 == await check(pool, WATCH)

    assert 1 == await check(pool, WATCH)
    assert 1 == len(await notices_of(pool, held))


async def test_a_check_beside_a_grant_does_not_undo_its_arming(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 600)

    async with transaction(pool) as conn:
        before = await tell_before_lift(conn, [project], WATCH)
        await append_entry(conn, project, "grant", 1000)
        await rearm(conn, before, WATCH)
        # The other copy sees the old balance, but must not tell it: the grant has told it.
        checking = asyncio.create_task(check(pool, WATCH))
        await asyncio.sleep(0.3)
    assert 0 == await checking

    assert ["50"] == await told(pool, project)
    await use(pool, project, 400)  # 1,000 of 2,000
    assert ["50", "50"] == await told(pool, project)


async def test_a_grant_waits_for_a_notice_that_is_being_written(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 600)

    async with transaction(pool) as conn:
        await ensure_states(conn, [project])
        held = await try_lock_states(conn, [project])
        assert 1 == await flow._tell(conn, held, WATCH, NOON)
        granting = asyncio.create_task(grant(pool, project, 1000))
        await asyncio.sleep(0.3)
        assert not granting.done()
    await granting

    await use(pool, project, 400)  # 1,000 of 2,000
    assert ["50", "50"] == await told(pool, project)


async def test_all_pages_of_projects_are_looked_at(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAGE_PROJECTS_MAX", 3)
    for number in range(7):
        project = await open_account(pool, f"p{number}")
        await grant(pool, project, 1000)
        await use(pool, project, 600 if number % 3 == 0 else 400)

    assert 3 == await check(pool, WATCH)
    assert 0 == await check(pool, WATCH)


async def test_a_new_line_is_told_to_those_who_are_below_it(pool: Pool) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 940)
    assert ["20"] == await told(pool, project)

    other = with_lines(percents=(Decimal(50), Decimal("7.5")))
    assert 1 == await check(pool, other)
    assert 0 == await check(pool, other)

    assert [Decimal("7.5"), Decimal(20)] == [n.percent for n in await notices_of(pool, project)]


async def test_a_notice_and_its_mails_are_written_together_or_not_at_all(
    pool: Pool, owner_database_url: str
) -> None:
    project = await open_account(pool)
    await grant(pool, project, 1000)
    await use(pool, project, 600)
    with psycopg.connect(owner_database_url) as conn:
        conn.execute(f"ALTER TABLE mail ADD CHECK (recipient <> '{OWNER}')".encode())

    with pytest.raises(Exception, match="violates check constraint"):
        await check(pool, WATCH)
    assert [] == await notices_of(pool, project)

    with psycopg.connect(owner_database_url) as conn:
        conn.execute("ALTER TABLE mail DROP CONSTRAINT mail_recipient_check")
    assert ["50"] == await told(pool, project)


async def test_an_account_that_cannot_be_told_keeps_no_other_waiting(
    pool: Pool, owner_database_url: str
) -> None:
    poisoned, sound = await open_account(pool), await open_account(pool)
    async with transaction(pool) as conn:
        await put_people(conn, [(poisoned, Person("poison@lab.example"))])
    for project in (poisoned, sound):
        await grant(pool, project, 1000)
        await use(pool, project, 600)
    with psycopg.connect(owner_database_url) as owner:
        owner.execute("ALTER TABLE mail ADD CHECK (recipient <> 'poison@lab.example')")

    with pytest.raises(Exception, match="violates check constraint"):
        await check(pool, WATCH)

    assert [] == await notices_of(pool, poisoned)
    assert [Decimal(50)] == [one.percent for one in await notices_of(pool, sound)]
