"""The list of projects: who sees what, found, sorted and cut into parts."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.amount import added, credits_of, to_micro
from os_credits.domain.closing import ClosingRequest
from os_credits.domain.grant import GrantRequest
from os_credits.domain.organisation import MembershipRequest, PlaceRequest
from os_credits.domain.period import floor_hour
from os_credits.domain.project import ProjectKey
from os_credits.flows.closing import close
from os_credits.flows.organisations import create_organisation, place_organisation, place_project
from os_credits.flows.overview import Asked, Overview, Show, Sort, read_overview, refresh
from os_credits.flows.projects import create_project
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection, snapshot
from tests.core import Core, grant, opened_core
from tests.integration.billed_world import FILE, make_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def listed(core: Core, asked: Asked, among: frozenset[str] | None = None) -> Overview:
    async with snapshot(core.pool) as conn:
        return await read_overview(conn, asked, among)


def names(told: Overview) -> list[str]:
    return [row.project.name for row in told.rows]


async def project(core: Core, name: str, *, site: str = "", domain: str = "") -> int:
    made, _ = await create_project(core.pool, ProjectKey(site, f"id-{name}", domain, name))
    return made.id


async def give(core: Core, project_id: int, amount: str) -> None:
    await grant(
        core.pool,
        GrantRequest(project_id, credits_of(amount), "test", "ada", f"{project_id}-{amount}"),
    )


async def test_figures_are_those_of_the_balances(core: Core) -> None:
    world = await make_world(core, random.Random(1))
    ids = sorted({one[0] for one in world.charges})
    await give(core, ids[0], "500000")

    assert await refresh(core.pool) == len(ids)
    assert await refresh(core.pool) == 0

    async with snapshot(core.pool) as conn:
        balances = await read_balances(conn, ids)
        rows = await conn.fetch(
            "SELECT project_id, balance, granted_now, used FROM project_figure ORDER BY 1"
        )
    assert [tuple(row) for row in rows] == [
        (one, balances[one].current, balances[one].granted_now, balances[one].used) for one in ids
    ]
    told = await listed(core, Asked(sort=Sort.USED, descending=True))
    assert [row.project.id for row in told.rows] == sorted(ids, key=lambda one: -balances[one].used)
    assert {row.project.id: row.balance.current for row in told.rows} == {
        one: balances[one].current for one in ids
    }
    for row in told.rows:
        used = sum(
            micro
            for of, hour, _, _, micro, _ in world.charges
            if of == row.project.id and (world.now.date() - hour.date()).days < len(row.trend)
        )
        assert to_micro(added(*row.trend)) == used


async def test_projects_are_sorted_both_ways_and_those_without_a_value_come_last(
    core: Core,
) -> None:
    ids = [await project(core, name) for name in ("beta", "Alpha", "gamma", "delta")]
    for project_id, amount in zip(ids, ("10", "30", "20"), strict=False):
        await give(core, project_id, amount)
    await refresh(core.pool)

    by_name = await listed(core, Asked())
    assert names(by_name) == ["Alpha", "beta", "delta", "gamma"]
    assert names(await listed(core, Asked(descending=True))) == ["gamma", "delta", "beta", "Alpha"]
    by_balance = await listed(core, Asked(sort=Sort.BALANCE))
    assert names(by_balance) == ["delta", "beta", "gamma", "Alpha"]
    percents = await listed(core, Asked(sort=Sort.PERCENT, descending=True))
    assert names(percents)[-1] == "delta"
    assert names(await listed(core, Asked(sort=Sort.PERCENT)))[-1] == "delta"


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("descending", [False, True])
async def test_parts_hold_every_project_once_and_lead_back(
    core: Core, sort: Sort, descending: bool
) -> None:
    for number in range(11):
        project_id = await project(core, f"p{number % 5}")if number < 5 else await project(
            core, f"q{number}", site="there"
        )  # fmt: skip
        if number % 3:
            await give(core, project_id, str(1 + number % 4))
    await refresh(core.pool)
    everything = await listed(core, Asked(sort=sort, descending=descending))

    parts, after = [], 0
    while True:
        part = await listed(core, Asked(sort=sort, descending=descending, after=after, limit=4))
        parts.append(part)
        if part.next is None:
            break
        after = part.next

    assert [row.rank for part in parts for row in part.rows] == list(range(1, 12))
    assert [name for part in parts for name in names(part)] == names(everything)
    assert [part.shown_count for part in parts] == [11, 11, 11]
    assert parts[0].before is None
    for part, before in zip(parts[1:], parts, strict=False):
        assert part.before is not None
        back = await listed(
            core, Asked(sort=sort, descending=descending, after=part.before, limit=4)
        )
        assert names(back) == names(before)


async def test_a_search_finds_names_ids_sites_domains_and_organisations_above(core: Core) -> None:
    start = floor_hour((await listed(core, Asked())).as_of)
    await project(core, "Violin", site="north")
    await project(core, "cello", domain="Strings")
    third = await project(core, "drum")
    top, _ = await create_organisation(core.pool, "Faculty of Music")
    below, _ = await create_organisation(core.pool, "Percussion 100%_")
    await place_organisation(core.pool, PlaceRequest(below.id, top.id, start, "new", "ada"))
    await place_project(core.pool, MembershipRequest(third, below.name, start, "new", "ada"))

    found = {
        text: names(await listed(core, Asked(search=text)))
        for text in ("VIOL", "id-ce", "north", "strings", "music", "100%_", "_", "%", "nothing")
    }

    assert found == {
        "VIOL": ["Violin"],
        "id-ce": ["cello"],
        "north": ["Violin"],
        "strings": ["cello"],
        "music": ["drum"],
        "100%_": ["drum"],
        "_": ["drum"],
        "%": ["drum"],
        "nothing": [],
    }
    beneath = await listed(core, Asked(organisation_id=top.id))
    assert names(beneath) == ["drum"]
    assert beneath.rows[0].organisation == below


async def test_counts_and_kinds_follow_what_is_left(core: Core) -> None:
    world = await make_world(core, random.Random(2))
    used = {row.project.id: row.balance.used for row in (await listed(core, Asked())).rows}
    ids = sorted(used)
    await give(core, ids[0], str(used[ids[0]] * 10))
    await give(core, ids[1], str((used[ids[1]] * Decimal("1.5")).quantize(Decimal(1))))
    await give(core, ids[2], str((used[ids[2]] * Decimal("1.1")).quantize(Decimal(1))))
    shut = await project(core, "shut")
    now = (await listed(core, Asked())).as_of
    await close(core.pool, ClosingRequest(shut, floor_hour(now), "over", "ada"))
    await refresh(core.pool)
    assert world.charges

    kinds = {
        show: sorted(row.project.id for row in (await listed(core, Asked(show=show))).rows)
        for show in Show
    }

    assert kinds[Show.LOW] == [ids[1], ids[2], ids[3]]
    assert kinds[Show.CRITICAL] == [ids[2], ids[3]]
    assert kinds[Show.DEBT] == [ids[3]]
    assert kinds[Show.CLOSED] == [shut]
    counts = (await listed(core, Asked(show=Show.DEBT))).counts
    assert (counts.all, counts.low, counts.critical, counts.debt, counts.closed) == (5, 3, 2, 1, 1)


async def test_nobody_finds_sorts_or_counts_what_they_may_not_see(core: Core) -> None:
    own = await project(core, "own")
    named = await project(core, "named")
    foreign = await project(core, "foreign")
    hashed = await project(core, f"#{own}")
    for one in (own, named, foreign, hashed):
        await give(core, one, "10")
    await refresh(core.pool)
    among = frozenset({f"#{own}", "named", "id-foreig", ""})

    for sort in Sort:
        told = await listed(core, Asked(sort=sort), among)
        assert sorted(names(told)) == ["named", "own"]
        assert (told.counts.all, told.shown_count) == (2, 2)
        # A number of a foreign project tells nothing about its place.
        behind = await listed(core, Asked(sort=sort, after=foreign), among)
        unknown = await listed(core, Asked(sort=sort, after=10**12), among)
        assert names(behind) == names(unknown) == names(told)
    assert names(await listed(core, Asked(search="foreign"), among)) == []
    assert names(await listed(core, Asked(), frozenset())) == []


async def test_figures_are_made_anew_from_nothing(core: Core, owner_database_url: str) -> None:
    await give(core, await project(core, "one"), "10")
    await refresh(core.pool)
    async with connection(core.pool) as conn:
        await conn.execute("UPDATE project_figure SET balance = 99, used = 98, granted_now = 97")

    assert await refresh(core.pool) == 1

    async with connection(core.pool) as conn:
        assert await conn.fetchval("SELECT balance FROM project_figure") == 10
