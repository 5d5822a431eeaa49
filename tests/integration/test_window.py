"""The acceptance window (I-11): judged by the database's clock, to the millisecond, in UTC."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import psycopg
import pytest
import time_machine
from psycopg import sql

from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import HOUR, from_ms, to_ms
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.stats import EXAMPLES_MAX
from os_credits.store.pool import connection
from tests.acceptance.conftest import running, settings_for
from tests.core import WINDOW_MS, Core, Written, opened_core
from tests.database import name_of
from tests.frozen_clock import freeze

if TYPE_CHECKING:
    from collections.abc import Iterator

AHEAD_MS = 600_000
NOW = datetime(2027, 6, 15, 12, 34, 56, 789_000, tzinfo=UTC)
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu", metric="vcpu", kind="counter", unit="vCPU-hour", project_id="project"
        ),
        MeterDefinition(
            name="disk", metric="disk", kind="gauge", unit="GiB", project_id="project",
            max_gap_seconds=86_400,
        ),
    ),
    (FilePrice("vcpu", None, Decimal(1)), FilePrice("disk", None, Decimal(1))),
)  # fmt: skip


def sample(time_ms: int, value: float, *, metric: str = "vcpu", project: str = "p1") -> Written:
    return {"__name__": metric, "project": project}, time_ms, value


async def test_the_window_is_exact_to_the_millisecond(database_url: str) -> None:
    freeze(database_url, NOW)
    refused: Counter[str] = Counter()
    async with opened_core(database_url, FILE) as core:
        for offset_ms, reason in (
            (-WINDOW_MS - 1, "too_old"),
            (-WINDOW_MS, None),
            (-WINDOW_MS + 1, None),
            (0, None),
            (AHEAD_MS, None),
            (AHEAD_MS + 1, "too_far_ahead"),
        ):
            receipt = await core.push([sample(to_ms(NOW) + offset_ms, 1.0)])
            refused.update([reason] if reason else [])

            assert refused == core.stats.refused
            assert (0 if reason else 1) == receipt.accepted == await core.rate()


async def test_what_is_refused_is_counted_and_its_last_examples_are_kept(
    database_url: str,
) -> None:
    freeze(database_url, NOW)
    now_ms = to_ms(NOW)
    async with opened_core(database_url, FILE) as core:
        await core.push([sample(now_ms - WINDOW_MS - 1, 1.0), sample(now_ms + AHEAD_MS + 1, 2.0)])

        assert [
            "line 1: 2027-05-11T12:34:56.788Z is older than the acceptance window of 35 days",
            "line 2: 2027-06-15T12:44:56.790Z is more than 600 s ahead of the database's clock",
        ] == core.stats.snapshot()["refused_examples"]

        for number in range(EXAMPLES_MAX):
            await core.push([sample(now_ms + AHEAD_MS + 1 + number, 2.0)])
        snapshot = core.stats.snapshot()

        assert {"too_old": 1, "too_far_ahead": 1 + EXAMPLES_MAX} == snapshot["refused_samples"]
        assert EXAMPLES_MAX == len(snapshot["refused_examples"])
        assert "older" not in "".join(snapshot["refused_examples"])


@pytest.mark.parametrize("skew", [timedelta(days=1), timedelta(days=-1)])
async def test_the_services_own_clock_decides_nothing(database_url: str, skew: timedelta) -> None:
    """A day fast or slow: pushes, untimed lines and the closing of hours follow the database."""
    async with opened_core(database_url, FILE) as core:
        now = await core.now_ms()
    tags, hour_ms = "project_id=id/p,project_name=p,location_id=s", now // 3_600_000 * 3_600_000
    lines = [
        f"project_vcpu_usage,{tags} value=1 {hour_ms - 7_200_000}",
        f"project_vcpu_usage,{tags} value=3 {hour_ms - 3_600_000}",
        f"project_vcpu_usage,{tags} value=4",
        f"project_vcpu_usage,{tags} value=5 {now + 86_400_000}",
        f"project_vcpu_usage,{tags} value=5 {now - WINDOW_MS - 60_000}",
    ]
    settings = settings_for(database_url, grace_period_seconds=0)
    with time_machine.travel(datetime.now(UTC) + skew, tick=True):
        assert abs(time.time() * 1000 - now) > 86_000_000
        async with running(settings) as service:
            async with service.request(
                "POST", "/write?precision=ms", key="ingest", data="\n".join(lines)
            ) as response:
                assert 400 == response.status  # partial: two lines are outside the window
            await service.rated()
            async with service.request("GET", "/stats", key="admin") as response:
                stats = await response.json()

            assert {"too_old": 1, "too_far_ahead": 1} == stats["refused_samples"]
            assert 3 == stats["accepted_samples"]["project_vcpu_usage"]
            assert 2 == len(stats["refused_examples"])
    with psycopg.connect(database_url) as database:
        (last,) = database.execute("SELECT max(measured_at) FROM sample").fetchone() or (None,)
        (closed,) = database.execute("SELECT closed_until FROM rating_state").fetchone() or (None,)
    assert last is not None
    assert timedelta(0) <= last - from_ms(now) < timedelta(minutes=1)
    assert from_ms(hour_ms) <= closed <= from_ms(hour_ms) + HOUR


@pytest.fixture
def in_berlin(owner_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let process and database live where the clocks are changed twice a year."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    with psycopg.connect(owner_database_url, autocommit=True) as database:
        database.execute(
            sql.SQL("ALTER DATABASE {} SET timezone = 'Europe/Berlin'").format(
                sql.Identifier(name_of(owner_database_url))
            )
        )
    yield
    monkeypatch.undo()
    time.tzset()


NIGHTS = (
    ("2026-12-31T22:30", "the end of a year of 53 weeks"),
    ("2027-02-28T22:30", "a February without a leap day"),
    ("2027-03-27T23:30", "the night in which Berlin lacks an hour"),
    ("2027-10-30T23:30", "the night in which Berlin has an hour twice"),
    ("2027-12-31T22:30", "the end of a year"),
    ("2028-02-28T22:30", "into the leap day"),
    ("2028-02-29T22:30", "out of the leap day"),
)


@pytest.mark.usefixtures("in_berlin")
async def test_every_hour_has_sixty_minutes_in_utc(database_url: str) -> None:
    """Three hours and a quarter each: level 2, and a counter that grows by 3 an hour."""
    assert ("CET", "CEST") == time.tzname
    freeze(database_url, NOW)
    async with opened_core(database_url, FILE) as core:
        for start, why in NIGHTS:
            begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
            freeze(database_url, begin + timedelta(hours=4))
            begin_ms = to_ms(begin)
            times = [begin_ms + minutes * 60_000 for minutes in (0, 45, 195)]
            await core.push(
                [sample(at, 3 * (at - begin_ms) / 3_600_000, project=why) for at in times]
                + [sample(at, 2.0, metric="disk", project=why) for at in times]
            )
            await core.rate()
            freeze(database_url, begin + timedelta(hours=5))
            hours = [begin - timedelta(minutes=30) + number * HOUR for number in range(4)]

            assert 8 == await core.book(), why
            assert await booked(core, why) == {
                (meter, hour): -per_hour * share
                for meter, per_hour in (("vcpu", 3), ("disk", 2))
                for hour, share in zip(hours, SHARES, strict=True)
            }


SHARES = (Decimal("0.5"), Decimal(1), Decimal(1), Decimal("0.75"))


async def booked(core: Core, project: str) -> dict[tuple[str, datetime], Decimal]:
    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT m.name, e.hour, e.amount FROM entry e JOIN meter m ON m.id = e.meter_id
            JOIN project p ON p.id = e.project_id WHERE p.external_id = $1
            """,
            project,
        )
    return {(row["name"], row["hour"]): row["amount"] for row in rows}
