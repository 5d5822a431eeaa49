"""What is asked again and again is found by indexes, in few days, however many are stored.

Each statement is taken as the code sends it, with its arguments, while a quarter of a year is
stored. Its plan is made with sequential scans forbidden, since of the little that is stored here
they would be the quickest: where all is read all the same, no index leads to what is wanted.
"""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from benchmarks.past import write_past
from os_credits.domain.bill import By, Subject
from os_credits.domain.period import Period
from os_credits.flows.bill import read_bill
from os_credits.flows.bill_lines import BillRequest
from os_credits.flows.history import beginning, read_history, read_used
from os_credits.flows.meters import load_meters, read_meter_file
from os_credits.flows.overview import Asked as OverviewAsked
from os_credits.flows.overview import read_overview
from os_credits.flows.resources import Asked as ResourcesAsked
from os_credits.flows.resources import read_resources
from os_credits.settings import BUILT_IN_METERS
from os_credits.store import projects
from os_credits.store.pool import open_pool, snapshot
from tests.core import new_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from os_credits.domain.project import Project
    from tests.core import Core, Written

PAST_YEARS = 0.25
DAYS = int(PAST_YEARS * 365)
MONTH = timedelta(days=30)
# Tables that grow with time, chunks of hypertables by theirs.
GROWING = ("charge", "entry", "daily_usage", "usage", "sample_block", "host_usage", "booked_usage")
LOOKED_AT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


class Watched(asyncpg.Connection):
    """A connection that notes each statement with its arguments."""

    sent: list[tuple[str, tuple[Any, ...]]]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.add_query_logger(self._note)

    @staticmethod
    def _note(query: Any) -> None:
        # What a pool sends when a connection comes back is several in one.
        if LOOKED_AT.match(query.query) and ";" not in query.query:
            Watched.sent.append((query.query, query.args))


@dataclass
class House:
    """A copy of the service over a database with a past, and the owner's connection."""

    core: Core
    owner: Any
    chunks: dict[str, str]
    project: Project
    plans: list[dict[str, Any]] = field(default_factory=list)

    async def explain(self) -> None:
        """Take the plans of all statements that were sent so far."""
        for statement, arguments in dict.fromkeys(_hashable(Watched.sent)):
            text = await self.owner.fetchval(
                f"EXPLAIN (FORMAT JSON) {statement}", *listed(arguments)
            )
            self.plans.append({"statement": statement, **json.loads(text)[0]["Plan"]})
        Watched.sent.clear()

    def scanned(self, plan: dict[str, Any]) -> Iterator[tuple[bool, str]]:
        """Give for each node that reads a table whether it reads all, and the table."""
        # A custom scan is that of a hypertable over its chunks, which follow beneath.
        if "Relation Name" in plan and re.fullmatch("(?!Custom).* Scan", plan["Node Type"]):
            name = plan["Relation Name"]
            is_led = {"Index Cond", "Recheck Cond", "TID Cond"} & plan.keys()
            yield not is_led, self.chunks.get(name, name)
        for beneath in plan.get("Plans", ()):
            yield from self.scanned(beneath)


def _hashable(sent: list[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for statement, arguments in sent:
        yield statement, tuple(tuple(one) if isinstance(one, list) else one for one in arguments)


def listed(arguments: tuple[Any, ...]) -> list[Any]:
    """Give arrays back as lists."""
    return [list(one) if isinstance(one, tuple) else one for one in arguments]


def counters(projects_count: int, at: datetime, value: float) -> list[Written]:
    return [
        (
            {"__name__": name, "project_name": f"p{number}", "location_id": "1"},
            int(at.timestamp() * 1000),
            value,
        )
        for number in range(projects_count)
        for name in ("project_vcpu_usage", "project_mb_usage")
    ]


@asynccontextmanager
async def opened_house(owner_url: str, service_url: str) -> AsyncIterator[House]:
    Watched.sent = []
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    pool = await open_pool(
        service_url, connections_max=4, statement_timeout_seconds=60, connection_class=Watched
    )
    owner = await asyncpg.connect(owner_url)
    try:
        await load_meters(pool, read_meter_file(BUILT_IN_METERS))
        core = new_core(pool)
        await core.push(counters(3, end, 1.0))
        await core.rate()
        await write_past(owner, service_url, years=PAST_YEARS, end=end)
        await owner.execute("VACUUM (ANALYZE)")
        await owner.execute("SET enable_seqscan = off")
        rows = await owner.fetch(
            "SELECT chunk_name, hypertable_name FROM timescaledb_information.chunks"
        )
        async with snapshot(pool) as conn:
            [project] = await projects.find_projects(conn, "p1")
        Watched.sent.clear()
        yield House(core, owner, {row[0]: row[1] for row in rows}, project)
    finally:
        await owner.close()
        await pool.close()


@pytest.fixture
async def house(owner_database_url: str, database_url: str) -> AsyncIterator[House]:
    async with opened_house(owner_database_url, database_url) as opened:
        yield opened


def hold(house: House, *, chunks_max: int) -> None:
    """Refuse plans that go through a growing table, or through more days than they need."""
    assert house.plans
    for plan in house.plans:
        scans = list(house.scanned(plan))
        through = [table for is_all, table in scans if is_all and table in GROWING]
        assert [] == through, plan["statement"]
        for table in set(house.chunks.values()):
            count = sum(1 for _, one in scans if one == table)
            assert count <= chunks_max, (count, table, plan["statement"])


async def test_what_comes_in_is_rated_and_booked_by_the_days_it_is_of(house: House) -> None:
    now = datetime.now(UTC)
    for minutes in (50, 30, 40):  # the last of them comes late
        await house.core.push(counters(3, now - timedelta(minutes=minutes), 2e9))
        assert await house.core.rate()
    # A copy that remembers nothing looks up what stands before.
    fresh = new_core(house.core.pool)
    await fresh.push(counters(3, now - timedelta(minutes=20), 3e9))
    assert await fresh.rate()
    await fresh.book(grace=timedelta(0))

    await house.explain()

    asked = " ".join(plan["statement"] for plan in house.plans)
    assert all(table in asked for table in ("batch", "sample_block", "usage", "charge", "entry"))
    hold(house, chunks_max=4)


async def test_a_month_is_read_from_its_days(house: House) -> None:
    now = datetime.now(UTC)
    start = now.replace(minute=0, second=0, microsecond=0) - MONTH
    project = house.project
    async with snapshot(house.core.pool) as conn:
        used = await read_used(conn, project.id, start=start, until=None, lines_max=10_000)
        assert len(used.used) > 29 * 24 * 2
        page = await read_history(
            conn, project.id, after=beginning(start), until=None, lines_max=100
        )
        assert page.next_place is not None
        await read_overview(conn, OverviewAsked(), None)
        await read_resources(conn, project.id, ResourcesAsked())
        for by in (By.METER, By.RESOURCE):
            await read_bill(
                conn,
                BillRequest(Subject(project=project), Period(start, now), by, with_account=True),
            )

    await house.explain()

    hold(house, chunks_max=MONTH.days + 3)


async def test_the_gate_finds_what_it_is_there_for(house: House) -> None:
    async with snapshot(house.core.pool) as conn:
        await conn.fetch("SELECT sum(quantity) FROM usage WHERE quantity > 1 GROUP BY series_id")
    await house.explain()
    with pytest.raises(AssertionError, match="sum"):
        hold(house, chunks_max=1000)
    house.plans.clear()

    async with snapshot(house.core.pool) as conn:
        await conn.fetch("SELECT * FROM sample_block WHERE series_id = $1", 1)
    await house.explain()
    with pytest.raises(AssertionError, match="series_id"):
        hold(house, chunks_max=DAYS // 2)
