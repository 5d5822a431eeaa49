"""An organisation's sums follow the place that each hour had; the projects' own credits stay."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.meter import MeterDefinition
from os_credits.domain.organisation import MembershipRequest
from os_credits.domain.period import HOUR, Period, from_ms
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.label_reading import Limits
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.opening import Opener, import_opening
from os_credits.flows.opening_file import read_opening
from os_credits.flows.organisations import place_project, resolve_organisation, sum_usage
from os_credits.store.organisations import list_memberships, list_organisations
from os_credits.store.pool import connection, snapshot
from tests.checker import WINDOW_MS, checked
from tests.core import WATCH, Core, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR_MS = 3_600_000
HOURS = 8
PROJECTS = ("p1", "p2", "p3")
METERS = ("vcpu", "ram")
ORGANISATIONS = ("north", "south", "west", None)
FILE = MeterFile(
    tuple(
        MeterDefinition(
            name=name, metric=name, kind="counter", unit="hour", project_id="project",
        )
        for name in METERS
    ),
    tuple(FilePrice(name, None, Decimal("0.7")) for name in METERS),
)  # fmt: skip
# Project (by name), hour: what it was charged, by meter.
Charged = dict[tuple[str, datetime, str], Decimal]
# Project: organisation by start.
Places = dict[str, dict[datetime, str | None]]


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened
        await opened.rate()
        await checked(opened.pool)


async def account(core: Core, dice: random.Random) -> datetime:
    """Charge every project in every hour, some of it booked; gives the first hour."""
    first = (await core.now_ms() // HOUR_MS - HOURS - 1) * HOUR_MS
    samples = []
    for project in PROJECTS:
        for meter in METERS:
            total = 0.0
            for hour in range(HOURS + 1):
                labels = {"__name__": meter, "project": project}
                samples.append((labels, first + hour * HOUR_MS, total))
                total += dice.randrange(1, 9)
    await core.push(samples)
    await core.rate()
    await core.book(grace=timedelta(hours=3))
    return from_ms(first)


async def stored(core: Core) -> tuple[Charged, list[Any], dict[str, int]]:
    """Give charges, all entries, and our ids of the projects."""
    async with connection(core.pool) as conn:
        charges = await conn.fetch(
            "SELECT p.name, c.hour, m.name, c.charged FROM charge c "
            "JOIN project p ON p.id = c.project_id JOIN meter m ON m.id = c.meter_id"
        )
        entries = await conn.fetch("SELECT hash, balance FROM entry ORDER BY id")
        ids = await conn.fetch("SELECT name, id FROM project")
    return (
        {(row[0], row[1], row[2]): row[3] for row in charges},
        [tuple(row) for row in entries],
        {row["name"]: row["id"] for row in ids},
    )


def expected(
    charged: Charged, places: Places, name: str, start: datetime, end: datetime
) -> dict[tuple[str, str], Decimal]:
    """Sum hour by hour, each where the project belonged then."""
    sums: dict[tuple[str, str], Decimal] = {}
    for (project, hour, meter), amount in charged.items():
        starts = [one for one in places[project] if one <= hour]
        if start <= hour < end and starts and places[project][max(starts)] == name:
            sums[project, meter] = sums.get((project, meter), Decimal(0)) + amount
    return {key: amount for key, amount in sums.items() if amount}


def place(project_id: int, name: str | None, start: datetime) -> MembershipRequest:
    return MembershipRequest(project_id, name, start, "because", "ada")


@pytest.mark.parametrize("seed", [1])
async def test_each_hour_counts_where_the_project_belonged_then(core: Core, seed: int) -> None:
    """Random places, for past and coming hours, again and again; sums by a plain program."""
    dice = random.Random(seed)
    first = await account(core, dice)
    before = await stored(core)
    charged, _, ids = before
    names = {project_id: name for name, project_id in ids.items()}
    places: Places = {project: {} for project in PROJECTS}
    compared = 0
    for _ in range(40):
        project, name = dice.choice(PROJECTS), dice.choice(ORGANISATIONS)
        start = first + dice.randrange(-2, HOURS + 2) * HOUR
        _, is_new = await place_project(core.pool, place(ids[project], name, start))
        assert is_new == (places[project].get(start, "none yet") != name)
        places[project][start] = name
        begin = first + dice.randrange(HOURS) * HOUR
        end = begin + dice.randrange(1, HOURS + 1) * HOUR

        async with snapshot(core.pool) as conn:
            for one in await list_organisations(conn, among=None, limit=10):
                sums = await sum_usage(conn, one.id, Period(begin, end), own=False)
                found: dict[tuple[str, str], Decimal] = {
                    (names[s.project_id], meters(s.meter_id)): s.credits for s in sums
                }
                assert expected(charged, places, one.name, begin, end) == found, seed
                compared += len(found)
    assert before == await stored(core)
    assert compared > 40


def meters(meter_id: int) -> str:
    """Name a meter: they are stored in the order of the file, in a new database."""
    return METERS[meter_id - 1]


async def test_the_later_revision_of_a_start_counts_and_the_same_again_is_none(core: Core) -> None:
    first = await account(core, random.Random(3))
    _, _, ids = await stored(core)

    said = [
        (await place_project(core.pool, place(ids["p1"], name, first)))[1]
        for name in ("north", "south", "south", None, "north")
    ]

    assert [True, True, False, True, True] == said
    async with connection(core.pool) as conn:
        [one] = await list_memberships(conn, ids["p1"])
        assert 4 == await conn.fetchval("SELECT count(*) FROM membership")
        assert ["north", "south"] == [
            one.name for one in await list_organisations(conn, among=None, limit=9)
        ]
    assert ("north", first, "because", "ada") == (
        one.organisation, one.valid_from, one.reason, one.author,
    )  # fmt: skip


async def test_twenty_who_say_the_same_at_once_store_one_revision(core: Core) -> None:
    first = await account(core, random.Random(4))
    _, _, ids = await stored(core)

    said = await asyncio.gather(
        *(place_project(core.pool, place(ids["p1"], "north", first)) for _ in range(20))
    )

    assert 1 == sum(is_new for _, is_new in said)
    async with connection(core.pool) as conn:
        assert 1 == await conn.fetchval("SELECT count(*) FROM membership")


async def test_what_a_project_opened_with_counts_in_the_hour_of_its_opening(core: Core) -> None:
    first = await account(core, random.Random(5))
    _, _, ids = await stored(core)
    as_of = (first + 90 * timedelta(minutes=1)).isoformat()
    text = (
        f'{{"source": "old", "as_of": "{as_of}", "projects": [{{"project_id": "p1", "name": "p1",'
        ' "charged": [{"meter": "vcpu", "credits": "1000"}]}]}'
    )
    opener = Opener("ada", Limits(64, 1024, 100), WINDOW_MS, WATCH)
    await import_opening(core.pool, read_opening(text), opener)
    await place_project(core.pool, place(ids["p1"], "north", first))
    await place_project(core.pool, place(ids["p1"], "south", first + 2 * HOUR))
    charged, _, _ = await stored(core)

    async with snapshot(core.pool) as conn:
        sums = [
            await sum_usage(conn, number, Period(first, first + HOURS * HOUR), own=False)
            for number in (1, 2)
        ]
    of_vcpu = [
        sum(one.credits for one in found if meters(one.meter_id) == "vcpu") for found in sums
    ]

    later = sum(
        amount for (name, hour, meter), amount in charged.items()
        if (name, meter) == ("p1", "vcpu") and hour >= first + 2 * HOUR
    )  # fmt: skip
    assert [Decimal(1000), later] == of_vcpu


async def test_a_start_that_is_no_full_hour_and_a_blank_name_are_refused(core: Core) -> None:
    first = await account(core, random.Random(6))
    _, _, ids = await stored(core)

    for request, where in (
        (place(ids["p1"], "north", first + timedelta(minutes=1)), "valid_from"),
        (place(ids["p1"], " ", first), "organisation"),
        (place(ids["p1"], "a\nb", first), "organisation"),
        (place(ids["p1"], "x" * 201, first), "organisation"),
    ):
        with pytest.raises(InvalidInput, match=where):
            await place_project(core.pool, request)
    async with connection(core.pool) as conn:
        for name in ("north", "#1", "a\0b"):
            with pytest.raises(NotFound, match="there is no organisation"):
                await resolve_organisation(conn, name)
