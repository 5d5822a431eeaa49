"""What the tests of whereabouts share: servers that move, and what must be stored of them."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import HOUR_MS
from os_credits.flows.day_sums import sum_due_days
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.store.pool import connection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.core import Core, Written

NOWHERE = ("", "", "", "")
SERVER = MeterDefinition(
    name="server", metric="server", kind="gauge", unit="server", value="one",
    project_name="project", resource="id", flavor="flavor", match={"status": ["ACTIVE"]},
    host="host", region="region", provider="provider", state="status",
)  # fmt: skip
TOTAL = MeterDefinition(
    name="total", metric="total", kind="counter", unit="vCPU-hour", project_name="project",
    resource="id", host="host",
)  # fmt: skip
FILE = MeterFile(
    (SERVER, TOTAL),
    (FilePrice("server", None, Decimal("1.6")), FilePrice("total", None, Decimal(2))),
)
# Server, hour since the epoch, host, region, provider, state.
Moved = tuple[str, int, str, str, str, str]
# Day since the epoch, host, meter, flavor.
SumKey = tuple[int, str, str, str]


def server(
    at_ms: int, host: str, *, id_: str = "s1", status: str = "ACTIVE", project: str = "astro",
    flavor: str = "m1.small", region: str = "north", provider: str = "p1",
) -> Written:  # fmt: skip
    """Write a sample of a server."""
    labels = {
        "__name__": "server", "project": project, "id": id_, "flavor": flavor, "status": status,
        "host": host, "region": region, "provider": provider,
    }  # fmt: skip
    return {name: value for name, value in labels.items() if value}, at_ms, 0.0


def random_servers(chance: Random, base_ms: int) -> list[Written]:
    """Draw samples of some servers over two days: moves, stops, gaps, two hosts at once."""
    written = []
    for number in range(chance.randint(1, 4)):
        host, status = "n0", "ACTIVE"
        minute = chance.randint(0, 300)
        while minute < 2 * 24 * 60:
            if chance.random() < 0.15:
                host = f"n{chance.randint(0, 2)}" if chance.random() < 0.9 else ""
            if chance.random() < 0.1:
                status = chance.choice(["ACTIVE", "SHUTOFF"])
            at_ms = base_ms + minute * 60_000
            written.append(server(at_ms, host, id_=f"s{number}", status=status))
            if chance.random() < 0.1:
                written.append(server(at_ms, f"n{chance.randint(0, 2)}", id_=f"s{number}"))
            minute += chance.choice([1, 5, 10, 30, 59, 61, 200])
    return written


def counting(samples: Iterable[Written]) -> list[Written]:
    """Choose of samples of one server and time the one that counts, by server and time."""
    by_place: dict[tuple[str, int], tuple[tuple[object, ...], Written]] = {}
    for one in samples:
        labels, at_ms, _ = one
        rank = (
            labels["status"] == "ACTIVE", labels.get("flavor", ""), labels["project"],
            *places_of(labels),
        )  # fmt: skip
        key = labels["id"], at_ms
        if key not in by_place or rank > by_place[key][0]:
            by_place[key] = rank, one
    return [one for _, (_, one) in sorted(by_place.items())]


def places_of(labels: dict[str, str]) -> tuple[str, str, str, str]:
    """Read what the meter's labels say."""
    return (
        labels.get("host", ""),
        labels.get("region", ""),
        labels.get("provider", ""),
        labels.get("status", ""),
    )


def expected_moves(samples: Iterable[Written]) -> set[Moved]:
    """Say what must be stored of samples that count: the place of each hour, where it changes."""
    last: dict[tuple[str, int], tuple[str, str, str, str]] = {}
    for labels, at_ms, _ in counting(samples):
        last[labels["id"], at_ms // HOUR_MS] = places_of(labels)
    before: dict[str, tuple[str, str, str, str]] = defaultdict(lambda: NOWHERE)
    moved = set()
    for (id_, hour), where in sorted(last.items()):
        if where != before[id_]:
            moved.add((id_, hour, *where))
        before[id_] = where
    return moved


async def stored_moves(core: Core) -> set[Moved]:
    """Read what is stored."""
    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT s.resource, extract(epoch FROM w.hour)::bigint / 3600, h.name, h.region,
                   h.provider, w.state
            FROM whereabouts w JOIN series s ON s.id = w.series_id JOIN host h ON h.id = w.host_id
            """
        )
    return {tuple(row) for row in rows}


async def sums(core: Core) -> dict[SumKey, tuple[int, int, int]]:
    """Sum what is due, and give quantity, millionths and resources of each day and host."""
    while await sum_due_days(core.pool):
        pass
    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT extract(epoch FROM u.start)::bigint / 86400, h.name, m.name, f.name,
                   u.quantity, u.credits, u.resource_count
            FROM host_usage u JOIN host h ON h.id = u.host_id JOIN meter m ON m.id = u.meter_id
            JOIN flavor f ON f.id = u.flavor_id WHERE u.length = 'day'
            """
        )
    return {
        (row[0], row[1], row[2], row[3]): (int(row[4]), int(row[5].scaleb(6)), row[6])
        for row in rows
    }


async def expected_sums(core: Core) -> dict[SumKey, tuple[int, int, int]]:
    """Add up stored usage hour by hour, where the stored whereabouts say that it was."""
    async with connection(core.pool) as conn:
        usage = await conn.fetch(
            """
            SELECT u.series_id, extract(epoch FROM u.hour)::bigint / 3600 AS hour, m.name, f.name,
                   u.quantity, u.credits
            FROM usage u JOIN series s ON s.id = u.series_id JOIN meter m ON m.id = s.meter_id
            JOIN flavor f ON f.id = u.flavor_id WHERE u.kind = 0 AND u.quantity > 0
            """
        )
        moves = await conn.fetch(
            """
            SELECT w.series_id, extract(epoch FROM w.hour)::bigint / 3600 AS hour, h.name
            FROM whereabouts w JOIN host h ON h.id = w.host_id ORDER BY w.hour
            """
        )
    found: dict[SumKey, list[int]] = defaultdict(lambda: [0, 0])
    resources: dict[SumKey, set[int]] = defaultdict(set)
    for series_id, hour, meter, flavor, quantity, credits_ in usage:
        hosts = [name for of, since, name in moves if of == series_id and since <= hour]
        key = (hour // 24, hosts[-1] if hosts else "", meter, flavor)
        found[key][0] += int(quantity)
        found[key][1] += int((credits_ or Decimal(0)).scaleb(6))
        resources[key].add(series_id)
    return {key: (both[0], both[1], len(resources[key])) for key, both in found.items()}


async def charged_by_day(core: Core) -> dict[int, int]:
    """Give the millionths that are charged on each day, whatever the host."""
    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT extract(epoch FROM hour)::bigint / 86400, sum(charged) FROM charge
            GROUP BY 1 HAVING sum(charged) <> 0
            """
        )
    return {row[0]: int(row[1].scaleb(6)) for row in rows}


def credits_by_day(found: dict[SumKey, tuple[int, int, int]]) -> dict[int, int]:
    """Add up all hosts of each day."""
    by_day: dict[int, int] = defaultdict(int)
    for (day, *_), (_, micro, _) in found.items():
        by_day[day] += micro
    return {day: micro for day, micro in by_day.items() if micro}
