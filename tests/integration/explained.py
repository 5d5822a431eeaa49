"""A project with one hour in which everything happens that an explanation can tell of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from os_credits.domain.meter import MeterDefinition
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.flows.exclusions import ExclusionRequest, exclude
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.prices import set_price
from os_credits.flows.settle import SettlementRequest, settle
from os_credits.store.pool import connection
from os_credits.store.projects import find_projects
from tests.core import STALE, WINDOW_MS, Core, Written

PROJECT = "biobank"
METERS = (
    MeterDefinition(
        name="server_running", metric="server_running", kind="gauge", unit="server", value="one",
        project_name="project", resource="server", flavor="flavor",
        match={"status": ("ACTIVE",)}, max_gap_seconds=1800,
    ),
    MeterDefinition(
        name="volume_size", metric="volume_size", kind="gauge", unit="GiB",
        project_name="project", resource="volume", max_rate=Decimal(1000),
    ),
    MeterDefinition(
        name="vcpu_hours", metric="vcpu_hours", kind="counter", unit="vCPU-hour",
        project_name="project",
    ),
    MeterDefinition(
        name="requests", metric="requests", kind="delta", unit="request", project_name="project",
        resource="gateway",
    ),
)  # fmt: skip
FILE = MeterFile(
    METERS,
    (
        FilePrice("server_running", "m1.small", Decimal("0.25")),
        FilePrice("server_running", "m1.large", Decimal("6.4")),
        FilePrice("volume_size", None, Decimal("0.0125")),
        FilePrice("vcpu_hours", None, Decimal(1)),
    ),
)


@dataclass(frozen=True)
class Told:
    """The project's id, and the hour that was made."""

    project_id: int
    hour: datetime


def samples_of(hour_ms: int) -> list[Written]:
    """Give the samples of the hour and of those beside it."""
    made: list[Written] = []

    def add(metric: str, minute: float, value: float, **labels: str) -> None:
        at = hour_ms + int(minute * 60_000)
        made.append(({"__name__": metric, "project": PROJECT, **labels}, at, value))

    for minute in range(-5, 65, 5):
        flavor = "m1.small" if minute < 20 else "m1.large"
        if minute <= 50:
            add("server_running", minute, 0, server="web-1", flavor=flavor, status="ACTIVE")
    add("server_running", 55, 3, server="web-1", flavor="m1.large", status="SHUTOFF")
    for minute in (2, 12, 52, 60):
        add("server_running", minute, 0, server="db-1", flavor="m1.large", status="ACTIVE")
    add("server_running", 58, STALE, server="db-1", flavor="m1.large", status="ACTIVE")
    for minute in range(-10, 80, 10):
        add("volume_size", minute, 100 if minute < 30 else 250.5, volume="data")
        add("volume_size", minute, 5000, volume="typo")
    add("vcpu_hours", -15, 100)
    add("vcpu_hours", -10, 99.5)
    add("vcpu_hours", 5, 103)
    add("vcpu_hours", 20, 101)
    for minute in range(25, 60, 5):
        add("vcpu_hours", minute, 104 + minute / 60)
    add("vcpu_hours", 67, 106.123457)
    add("requests", 10, 3, gateway="g1")
    add("requests", 10.5, 4, gateway="g1")
    return made


async def make_hour(core: Core, *, days_ago: int = 1) -> Told:
    """Hand in the samples and book; then late ones, a price, an exclusion and a verdict."""
    now = datetime.fromtimestamp(await core.now_ms() // 1000, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = midnight - timedelta(days=days_ago) + timedelta(hours=10)
    base = int(hour.timestamp()) * 1000
    written = samples_of(base)
    late = [one for one in written if one[0].get("server") == "db-1"]
    await core.push([one for one in written if one not in late])
    await core.rate()
    await core.book()
    await core.push(late)
    await core.rate()
    await core.book(grace=timedelta(0))
    async with connection(core.pool) as conn:
        (project,) = await find_projects(conn, PROJECT)
    await set_price(
        core.pool, meter="server_running", flavor="m1.small", credits_per_unit=Decimal("0.3"),
        valid_from=hour, author="cli:ada",
    )  # fmt: skip
    await exclude(
        core.pool,
        ExclusionRequest(
            project.id, "the exporter read another tenant", "cli:ada", starts_at=hour,
            meter_id=await _meter_id(core, "volume_size"), ends_at=hour + timedelta(minutes=15),
        ),
        window_ms=WINDOW_MS,
    )  # fmt: skip
    await settle(
        core.pool,
        SettlementRequest(
            project.id, UsageKind.UNMETERED, hour, hour + timedelta(hours=1), Verdict.BILL,
            "it ran all the time, see ticket 12", "cli:ada",
        ),
    )  # fmt: skip
    await core.book(grace=timedelta(0))
    return Told(project.id, hour)


async def _meter_id(core: Core, name: str) -> int:
    async with connection(core.pool) as conn:
        found: Any = await conn.fetchval("SELECT id FROM meter WHERE name = $1", name)
    return int(found)
