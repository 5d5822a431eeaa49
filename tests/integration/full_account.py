"""Two projects with something of everything that `verify` recomputes, sealed twice."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import from_ms
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.seal import Sealer
from os_credits.store import rating_state
from os_credits.store.pool import connection, transaction
from tests.core import Core, Written, grant, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR_MS = 3_600_000
GRACE = timedelta(minutes=15)
# Under it, any seal of these tests is of an hour ago.
LONG_GRACE = timedelta(hours=3)
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu", metric="vcpu", kind="counter", unit="vCPU-hour", max_rate=Decimal(1000),
            project_id="project", project_name="name", resource="id", flavor="flavor",
        ),
        MeterDefinition(
            name="server", metric="server", kind="gauge", unit="server", value="one",
            project_id="project", project_name="name", resource="id", flavor="flavor",
            match={"status": ["ACTIVE"]},
        ),
    ),
    (
        FilePrice("vcpu", None, Decimal(2)),
        FilePrice("vcpu", "big", Decimal("5.000001")),
        FilePrice("server", None, Decimal("0.333333")),
    ),
)  # fmt: skip


def vcpu(project: str, time_ms: int, value: float, *, flavor: str = "") -> Written:
    """Write a sample of a counter."""
    labels = {"__name__": "vcpu", "project": project, "name": f"name of {project}", "id": "v"}
    return {**labels, **({"flavor": flavor} if flavor else {})}, time_ms, value


def server(project: str, time_ms: int, *, status: str = "ACTIVE") -> Written:
    """Write a sample of a server's presence."""
    labels = {"__name__": "server", "project": project, "name": f"name of {project}", "id": "s"}
    return {**labels, "flavor": "big", "status": status}, time_ms, 1.0


async def give(
    core: Core, project: str, amount: int, key: str, *, terms: Terms | None = None
) -> None:
    """Grant credits to a project that has samples."""
    async with connection(core.pool) as conn:
        project_id = await conn.fetchval("SELECT id FROM project WHERE external_id = $1", project)
    request = GrantRequest(project_id, credits_of(amount), "budget", "ada", key, terms or Terms())
    await grant(core.pool, request, percents=())


async def book_all(core: Core) -> int:
    """Book what is charged, as if it had been quiet for long enough."""
    await core.rate()
    async with transaction(core.pool) as conn:
        await rating_state.lock(conn)  # charges are changed by one at a time
        await conn.execute(
            "UPDATE charge SET changed_at = changed_at - interval '1 hour', "
            "differs_since = differs_since - interval '1 hour'"
        )
        await conn.execute(
            "UPDATE expiry SET changed_at = changed_at - interval '1 hour', "
            "differs_since = differs_since - interval '1 hour'"
        )
    return await core.book(grace=GRACE)


async def seal(core: Core, *, grace: timedelta = LONG_GRACE) -> int:
    """Seal what is not sealed yet; gives the count of heads."""
    return await Sealer(core.pool, core.rater, grace=grace).run()


async def fill(core: Core) -> int:
    """Hand in, rate, book, grant, correct and seal; gives the last full hour (ms)."""
    hour = await core.now_ms() // HOUR_MS * HOUR_MS
    start = hour - 6 * HOUR_MS
    for project in ("alpha", "beta"):
        await core.push(
            [
                *(vcpu(project, start + n * HOUR_MS // 2, 7.25 * n) for n in range(8)),
                vcpu(project, start + 4 * HOUR_MS, 60, flavor="big"),
                vcpu(project, start + 4 * HOUR_MS + 60_000, 90_000),  # suspect
                *(server(project, start + n * HOUR_MS // 3) for n in range(7)),
                server(project, start + 4 * HOUR_MS),  # unmetered before
                server(project, start + 5 * HOUR_MS, status="SHUTOFF"),
            ]
        )
    await book_all(core)
    await give(core, "alpha", 1000, "one")
    await give(core, "beta", 500, "two", terms=Terms(from_ms(start - 7 * HOUR_MS)))
    await seal(core)
    # Of this one a part is burned, and the rest expires, less what is used late before its end.
    ended = Terms(from_ms(start - HOUR_MS), from_ms(start + 3 * HOUR_MS))
    await give(core, "beta", 500, "ended", terms=ended)
    await book_all(core)
    # Late: corrections. After that, the open hour, and a grant that no seal holds.
    await core.push([vcpu("alpha", start + HOUR_MS + 7, 15), vcpu("beta", start - 7, 0)])
    await book_all(core)
    await seal(core)
    await core.push([vcpu("alpha", hour - 60_000, 90_001), vcpu("alpha", hour + 1, 90_003.5)])
    await core.rate()
    await give(core, "alpha", 7, "three")
    return hour


@asynccontextmanager
async def full_account(database_url: str) -> AsyncIterator[Core]:
    """Open a core whose database holds all that."""
    async with opened_core(database_url, FILE) as core:
        await fill(core)
        yield core
