"""What the tests of changing inputs share: one project, one meter of each kind, hours long past."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import HOUR_MS
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.store.pool import connection

if TYPE_CHECKING:
    from datetime import timedelta

    from tests.core import Core, Written

PROJECT = "astro"
FILE = MeterFile(
    (
        MeterDefinition(
            name="level", metric="level", kind="gauge", unit="GiB", max_rate=Decimal(100),
            max_gap_seconds=1800, project_name="project", resource="server",
        ),
        MeterDefinition(
            name="total", metric="total", kind="counter", unit="vCPU-hour", max_rate=Decimal(50),
            project_name="project", resource="server",
        ),
    ),
    (FilePrice("level", None, Decimal(1)), FilePrice("total", None, Decimal(2))),
)  # fmt: skip


async def base_hour(core: Core, *, hours_ago: int = 30) -> int:
    """Give a full hour some time ago, in ms."""
    return (await core.now_ms() // HOUR_MS - hours_ago) * HOUR_MS


def sample(meter: str, at_ms: int, value: float, *, server: str = "s1") -> Written:
    """Write a sample of the project."""
    return {"__name__": meter, "project": PROJECT, "server": server}, at_ms, value


def minutes(base: int, *values: tuple[int, float], meter: str = "level") -> list[Written]:
    """Write samples by minute and value."""
    return [sample(meter, base + minute * 60_000, value) for minute, value in values]


async def by_hour(core: Core, base: int, *, meter: str = "level") -> dict[int, int]:
    """Give the charged millionths of a meter by hour, counted from the base."""
    charged = await core.charged(PROJECT)
    return {
        hour - base // HOUR_MS: micro for (name, _, hour), micro in charged.items() if name == meter
    }


async def entries(core: Core) -> list[tuple[str, int, int | None]]:
    """Give kind, millionths and what it corrects of each entry of the project."""
    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            "SELECT e.kind, e.amount, e.corrects FROM entry e JOIN project p ON p.id = e.project_id"
            " WHERE p.name = $1 ORDER BY e.sequence",
            PROJECT,
        )
    return [(row[0], int(row[1].scaleb(6)), row[2]) for row in rows]


async def booked(core: Core, *, grace: timedelta) -> list[tuple[str, int, int | None]]:
    """Rate and book everything, and give the entries."""
    await core.rate()
    while await core.book(grace=grace):
        pass
    return await entries(core)


async def project_id(core: Core) -> int:
    """Give the id of the project."""
    async with connection(core.pool) as conn:
        return int(await conn.fetchval("SELECT id FROM project WHERE name = $1", PROJECT))
