"""What other lines would have told: the past of real accounts, played once more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from os_credits.domain.organisation import MembershipRequest
from os_credits.domain.person import Person
from os_credits.domain.threshold import LineRule, Lines
from os_credits.errors import InvalidInput
from os_credits.flows import preview as flow
from os_credits.flows.organisations import place_project
from os_credits.flows.preview import Preview, preview
from os_credits.flows.threshold_rules import put_organisation_rule
from os_credits.store.people import put_people
from os_credits.store.pool import connection, open_pool
from tests.integration.accounts import LINES, open_account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.store.pool import Pool

DAY = timedelta(days=1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=4, statement_timeout_seconds=20)
    yield opened
    await opened.close()


async def use(pool: Pool, project_id: int, amount: int, *, hours_ago: int) -> None:
    """Charge credits in a past hour."""
    async with connection(pool) as conn:
        await conn.execute(
            """
            WITH m AS (
                INSERT INTO meter (name, metric, description) VALUES ('m', 'm', '')
                ON CONFLICT (name) DO UPDATE SET description = '' RETURNING id
            )
            INSERT INTO charge (project_id, hour, meter_id, flavor_id, charged, differs_since,
                                changed_at)
            SELECT $1, date_trunc('hour', now(), 'UTC') - $3 * interval '1 hour', m.id, 0, $2,
                   now(), now() FROM m
            """,
            project_id,
            Decimal(amount),
            hours_ago,
        )


async def give(
    pool: Pool,
    project_id: int,
    amount: int,
    *,
    hours_ago: int,
    kind: str = "grant",
    expired: tuple[int, int] | None = None,
) -> None:
    """Give credits in a past hour; `expired` are how many of them went, how many hours ago."""
    async with connection(pool) as conn:
        grant_id = None
        if amount > 0:
            grant_id = await conn.fetchval(
                """
                INSERT INTO project_grant (project_id, amount, reason, author, kind, valid_from)
                VALUES ($1, $2, 'test', 'ada', $3,
                        date_trunc('hour', now(), 'UTC') - $4 * interval '1 hour') RETURNING id
                """,
                project_id,
                Decimal(amount),
                kind,
                hours_ago,
            )
        await append(conn, project_id, kind, amount, hours_ago, grant_id)
        if expired is not None:
            rest, ended = expired
            await conn.execute(
                """
                INSERT INTO expiry (grant_id, project_id, hour, expired, booked)
                VALUES ($1, $2, date_trunc('hour', now(), 'UTC') - $3 * interval '1 hour', $4, 0)
                """,
                grant_id,
                project_id,
                ended,
                Decimal(rest),
            )


async def append(
    conn: Any, project_id: int, kind: str, amount: int, hours_ago: int, grant_id: int | None
) -> None:
    await conn.execute(
        """
        INSERT INTO entry (project_id, sequence, kind, amount, balance, hour, grant_id, reason,
                           author, entry_key, booked_at, previous_hash, hash)
        SELECT $1, coalesce(max(sequence), 0) + 1, $2, $3, coalesce(sum(amount), 0) + $3,
               date_trunc('hour', now(), 'UTC') - $4 * interval '1 hour', $5, 'test', 'ada', $6,
               now(), '', ''
        FROM entry WHERE project_id = $1
        """,
        project_id,
        kind,
        Decimal(amount),
        hours_ago,
        grant_id,
        uuid4().hex,
    )


async def played(
    pool: Pool, lines: Lines = LINES, length: timedelta = 10 * DAY, project: int | None = None
) -> Preview:
    return await preview(pool, lines, length, digest_hour=6, project_id=project)


def told(found: Preview) -> list[tuple[int, str, str]]:
    """Give of each notice how many hours ago it was, its line, and the balance."""
    now = found.end.replace(minute=0, second=0, microsecond=0)
    return [
        (
            (now - one.notice.created_at) // timedelta(hours=1),
            f"{one.notice.draft.line.kind} {one.notice.draft.line.value.normalize():f}",
            f"{one.notice.facts.balance.normalize():f}",
        )
        for one in found.notices
    ]


async def test_the_past_is_told_hour_by_hour_and_nothing_is_written(pool: Pool) -> None:
    project = await open_account(pool)
    await give(pool, project, 1000, hours_ago=500)
    await use(pool, project, 100, hours_ago=400)
    await use(pool, project, 400, hours_ago=100)
    await give(pool, project, 1000, hours_ago=80)
    await use(pool, project, 500, hours_ago=60)
    await use(pool, project, 700, hours_ago=40)
    await give(pool, project, -300, kind="adjustment", hours_ago=20)

    found = await played(pool)

    assert [
        (99, "percent 50", "500"),
        (59, "percent 50", "1000"),
        (39, "percent 20", "300"),
        (19, "percent 0", "0"),
    ] == told(found)
    assert (1, 4, 0, 0) == (
        found.project_count,
        found.mail_count,
        found.digest_count,
        found.left_out_count,
    )
    async with connection(pool) as conn:
        assert 0 == await conn.fetchval(
            "SELECT (SELECT count(*) FROM notice) + (SELECT count(*) FROM told_line)"
        )


async def test_lines_crossed_at_the_start_count_as_told(pool: Pool) -> None:
    project = await open_account(pool)
    await give(pool, project, 1000, hours_ago=500)
    await use(pool, project, 600, hours_ago=400)
    await use(pool, project, 10, hours_ago=30)
    await use(pool, project, 200, hours_ago=20)

    assert [(19, "percent 20", "190")] == told(await played(pool))


async def test_a_lot_that_ends_takes_its_grant_with_it(pool: Pool) -> None:
    project = await open_account(pool)
    await give(pool, project, 1000, hours_ago=500)
    await give(pool, project, 1000, hours_ago=500, expired=(600, 48))
    await use(pool, project, 400, hours_ago=400)
    await use(pool, project, 450, hours_ago=20)
    await use(pool, project, 51, hours_ago=10)

    assert [(9, "percent 50", "499")] == told(await played(pool))


async def test_a_low_before_a_grant_of_the_same_hour_is_told(pool: Pool) -> None:
    project = await open_account(pool)
    await give(pool, project, 1000, hours_ago=500, expired=(700, 30))
    await use(pool, project, 300, hours_ago=400)
    await give(pool, project, 500, hours_ago=30)

    lines = Lines(credits=(Decimal(0),), percents=())
    assert [(30, "credits 0", "0")] == told(await played(pool, lines))


async def test_a_cool_down_that_ends_in_silence_is_told(pool: Pool) -> None:
    project = await open_account(pool)
    await give(pool, project, 1000, hours_ago=500)
    await use(pool, project, 500, hours_ago=60)
    await give(pool, project, 200, hours_ago=55)
    await use(pool, project, 200, hours_ago=50)

    lines = Lines(percents=(Decimal(50),), hysteresis_percent=Decimal(0), cool_down_hours=24)
    assert [(59, "percent 50", "500"), (35, "percent 50", "500")] == told(await played(pool, lines))


async def test_mails_are_counted_by_what_people_want(pool: Pool) -> None:
    first = await open_account(pool, "a", owners=["ada@lab.example", "bob@lab.example"])
    second = await open_account(pool, "b", owners=[])
    async with connection(pool) as conn:
        await put_people(
            conn, [(one, Person("eve@lab.example", digest=True)) for one in (first, second)]
        )
    for project in (first, second):
        await give(pool, project, 1000, hours_ago=500)
        await use(pool, project, 600, hours_ago=100)

    found = await played(pool)

    assert [2, 0] == [one.mail_count for one in found.notices]
    assert (2, 1) == (found.mail_count, found.digest_count)


async def test_rules_of_organisations_hold_in_the_past(pool: Pool) -> None:
    project = await open_account(pool)
    await place_project(
        pool,
        MembershipRequest(project, "lab", datetime(2020, 1, 1, tzinfo=UTC), "test", "ada"),
    )
    rule = LineRule(percents=(), credits=(Decimal(700),))
    async with connection(pool) as conn:
        lab = await conn.fetchval("SELECT id FROM organisation")
    await put_organisation_rule(pool, lab, rule, reason="why", author="ada")
    await give(pool, project, 1000, hours_ago=500)
    await use(pool, project, 600, hours_ago=100)

    assert [(99, "credits 700", "400")] == told(await played(pool))


async def test_days_are_held_against_the_forecasts_of_each_day(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await open_account(pool)
    await give(pool, project, 1000, hours_ago=500)
    for hour in range(480):
        await use(pool, project, 2, hours_ago=hour)
    lines = Lines(percents=(), days=(Decimal(5),), burn_per_day=(Decimal(500),))

    [notice] = (await played(pool, lines)).notices
    monkeypatch.setattr(flow, "FORECAST_PROJECTS_MAX", 0)
    left_out = await played(pool, lines)

    assert notice.notice.facts.days is not None
    assert 4 <= notice.notice.facts.days <= 5
    # 48 credits a day: so far are the balance and the end of the credits apart.
    days = notice.notice.facts.balance / 48
    assert abs(days - notice.notice.facts.days) < 1
    assert ((), 1) == (left_out.notices, left_out.left_out_count)


async def test_all_pages_are_played_or_only_the_one_that_was_named(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAGE_PROJECTS_MAX", 2)
    projects = [await open_account(pool, f"p{number}") for number in range(5)]
    for project in projects:
        await give(pool, project, 1000, hours_ago=500)
        await use(pool, project, 600, hours_ago=100)

    assert projects == [one.project.id for one in (await played(pool)).notices]
    only = await played(pool, project=projects[3])
    assert ([projects[3]], 1) == ([one.project.id for one in only.notices], only.project_count)


@pytest.mark.parametrize("days", [0, 367])
async def test_a_length_that_is_none_is_refused(pool: Pool, days: int) -> None:
    with pytest.raises(InvalidInput, match="since"):
        await played(pool, length=days * DAY)
