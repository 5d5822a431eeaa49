"""Lines of a project's own, and of the organisations above it: the nearest that says so counts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.organisation import MembershipRequest, PlaceRequest
from os_credits.domain.threshold import LineRule, Lines
from os_credits.flows.notice import check
from os_credits.flows.organisations import (
    create_organisation,
    place_organisation,
    place_project,
)
from os_credits.flows.threshold_rules import (
    put_organisation_rule,
    put_project_rule,
    read_lines,
    read_organisation_lines,
    read_project_lines,
)
from os_credits.store.notices import list_notices
from os_credits.store.pool import connection, open_pool, snapshot
from tests.integration.accounts import LINES, WATCH, grant, open_account, use

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.store.pool import Pool

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AHEAD = datetime(2200, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=4, statement_timeout_seconds=20)
    yield opened
    await opened.close()


async def put(
    pool: Pool, rule: LineRule | None, *, project: int = 0, organisation: int = 0
) -> bool:
    if project:
        return await put_project_rule(pool, project, rule, reason="why", author="ada")
    return await put_organisation_rule(pool, organisation, rule, reason="why", author="ada")


async def hang(pool: Pool, below: int, above: int | None, since: datetime = LONG_AGO) -> None:
    await place_organisation(pool, PlaceRequest(below, above, since, "test", "ada"))


async def lines_of(pool: Pool, project: int) -> Lines:
    async with snapshot(pool) as conn:
        return (await read_lines(conn, [project], LINES))[project]


async def in_organisation(pool: Pool, name: str, *, project: int) -> int:
    found, _ = await create_organisation(pool, name)
    await place_project(pool, MembershipRequest(project, name, LONG_AGO, "test", "ada"))
    return found.id


async def test_a_project_is_told_at_its_own_lines(pool: Pool) -> None:
    own, other = await open_account(pool, "own"), await open_account(pool, "other")
    rule = LineRule(percents=(), credits=(Decimal(700),))
    assert await put(pool, rule, project=own)
    assert not await put(pool, rule, project=own)
    for project in (own, other):
        await grant(pool, project, 1000)
        await use(pool, project, 300)

    assert 1 == await check(pool, WATCH)
    for project in (own, other):
        await use(pool, project, 300)
    assert 1 == await check(pool, WATCH)

    async with connection(pool) as conn:
        [of_own] = await list_notices(conn, own, limit=9)
        [of_other] = await list_notices(conn, other, limit=9)
    assert ("credits", Decimal(700), None) == (of_own.kind, of_own.line, of_own.percent)
    assert ("percent", Decimal(50)) == (of_other.kind, of_other.line)


async def test_each_setting_is_looked_for_by_itself_from_the_project_upwards(pool: Pool) -> None:
    project = await open_account(pool)
    lab = await in_organisation(pool, "lab", project=project)
    faculty = (await create_organisation(pool, "faculty"))[0].id
    university = (await create_organisation(pool, "university"))[0].id
    await hang(pool, lab, faculty)
    await hang(pool, faculty, university)
    await put(pool, LineRule(days=(Decimal(14),), cool_down_hours=1), organisation=university)
    await put(pool, LineRule(days=(Decimal(7),), credits=(Decimal(9),)), organisation=lab)
    await put(pool, LineRule(credits=(Decimal(5),)), project=project)

    async with snapshot(pool) as conn:
        found = await read_project_lines(conn, project, LINES)
        of_lab = await read_organisation_lines(conn, lab, LINES)

    assert (
        Lines(LINES.percents, (Decimal(5),), (Decimal(7),), (), LINES.hysteresis_percent, 1)
        == found.lines
    )
    assert [None, "lab", "university"] == [one.organisation for one in found.rules]
    sources = {name: one and (one.organisation or "project") for name, one in found.sources.items()}
    assert {
        "percents": None,
        "credits": "project",
        "days": "lab",
        "burn_per_day": None,
        "hysteresis_percent": None,
        "cool_down_hours": "university",
    } == sources
    assert ((Decimal(9),), (Decimal(7),), 1) == (
        of_lab.lines.credits,
        of_lab.lines.days,
        of_lab.lines.cool_down_hours,
    )


async def test_what_was_taken_back_is_looked_for_further_up(pool: Pool) -> None:
    project = await open_account(pool)
    lab = await in_organisation(pool, "lab", project=project)
    await put(pool, LineRule(percents=(Decimal(30),)), organisation=lab)
    await put(pool, LineRule(percents=(Decimal(10),)), project=project)

    assert (Decimal(10),) == (await lines_of(pool, project)).percents
    assert await put(pool, None, project=project)
    assert not await put(pool, None, project=project)
    assert (Decimal(30),) == (await lines_of(pool, project)).percents
    await put(pool, None, organisation=lab)
    assert await lines_of(pool, project) == LINES


async def test_the_way_up_is_that_of_the_present(pool: Pool) -> None:
    project = await open_account(pool)
    lab = await in_organisation(pool, "lab", project=project)
    old = (await create_organisation(pool, "old"))[0].id
    new = (await create_organisation(pool, "new"))[0].id
    await hang(pool, lab, old)
    await hang(pool, lab, new, AHEAD)
    await put(pool, LineRule(days=(Decimal(3),)), organisation=new)

    assert await lines_of(pool, project) == LINES
    await put(pool, LineRule(days=(Decimal(2),)), organisation=old)
    assert (Decimal(2),) == (await lines_of(pool, project)).days
