"""Days of series: the same whether they are summed, to be summed anew, or read by hours."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.period import DAY_MS, HOUR, HOUR_MS, floor_day, from_ms
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.flows.day_sums import sum_due_days
from os_credits.flows.meters import MeterFile
from os_credits.flows.prices import set_price
from os_credits.flows.settle import SettlementRequest, settle
from os_credits.flows.verify import verify
from os_credits.store import resources, spending
from os_credits.store.daily_usage import cut, cut_all, series_arguments, with_used
from os_credits.store.pool import connection, snapshot, transaction
from os_credits.store.summed_days import OpenDays, read_open_days
from tests.core import WINDOW_MS, Core, opened_core
from tests.integration.placed import FILE, SERVER, random_servers, server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

DAY = timedelta(days=1)
# A meter without a price.
SPARE = SERVER.model_copy(update={"name": "spare", "metric": "spare"})
WITH_SPARE = MeterFile((*FILE.meters, SPARE), FILE.prices)
ALL = with_used(
    """
    SELECT u.series_id, date_trunc('day', at, 'UTC') AS day, flavor_id, sum(quantity),
           sum(unpriced), sum(free), sum(undecided), sum(credits)
    FROM used u GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, WITH_SPARE) as opened:
        yield opened


async def read_all(core: Core) -> dict[str, Any]:
    """Read what is told of days, and by what sums over them."""
    async with snapshot(core.pool) as conn:
        ids = [row[0] for row in await conn.fetch("SELECT id FROM series ORDER BY id")]
        open_days = await read_open_days(conn)
        now = from_ms(await core.now_ms())
        start, end = floor_day(now) - 5 * DAY + 7 * HOUR, now + HOUR
        told: dict[str, Any] = {
            "days": [
                tuple(row)
                for row in await conn.fetch(ALL, *series_arguments(ids, cut_all(open_days)))
            ]
        }
        for project in await conn.fetch("SELECT id FROM project ORDER BY id"):
            of_all = await resources.sum_costs(conn, project[0], ids, recent_since=floor_day(now))
            told[f"costs of {project[0]}"] = sorted(of_all.items())
            told[f"metered of {project[0]}"] = await spending.sum_metered(
                conn, project[0], start=start, end=end
            )
            told[f"spent of {project[0]}"] = await resources.sum_by_resource(
                conn, project[0], start=start, end=end
            )
    return told


async def count_open(core: Core) -> int:
    async with connection(core.pool) as conn:
        open_days = await read_open_days(conn)
    spans = zip(open_days.starts[:-1], open_days.ends[:-1], strict=True)
    return sum(((end - start) // DAY for start, end in spans), 0)


async def settled_world(core: Core, dice: random.Random) -> int:
    """Let servers run for days: some of it let go free, some undecided, some without a price."""
    first_ms = await core.now_ms() // DAY_MS * DAY_MS - 4 * DAY_MS
    await core.push(random_servers(dice, first_ms))
    for minute in range(0, 180, 10):
        labels, at_ms, value = server(first_ms + minute * 60_000, "n1", id_="spare")
        await core.push([({**labels, "__name__": "spare"}, at_ms, value)])
    # A gap is nobody's to bill until somebody decides: of four, one is billed, and one let go.
    for number, id_ in enumerate(("billed", "waived", "left", "later")):
        at_ms = first_ms + number * DAY_MS // 2
        await core.push(
            [
                server(at_ms + int(hour * HOUR_MS), f"n{int(hour)}", id_=id_)
                for hour in (0, 0.5, 1, 9, 9.5, 10)
            ]
        )
    await core.rate()
    async with connection(core.pool) as conn:
        series = await conn.fetch(
            "SELECT resource, id, project_id, meter_id FROM series "
            "WHERE resource IN ('billed', 'waived')"
        )
    found = {row["resource"]: row["id"] for row in series}
    project_id, meter_id = series[0]["project_id"], series[0]["meter_id"]
    for id_, verdict in (("billed", Verdict.BILL), ("waived", Verdict.WAIVE)):
        await settle(
            core.pool,
            SettlementRequest(
                project_id, UsageKind.UNMETERED, from_ms(first_ms), from_ms(first_ms + 2 * DAY_MS),
                verdict, "as they said", "ada", meter_id=meter_id, series_id=found[id_],
            ),
        )  # fmt: skip
    return first_ms


@pytest.mark.parametrize("seed", range(4))
async def test_days_tell_what_hours_tell(core: Core, seed: int) -> None:
    dice = random.Random(f"days {seed}")
    first_ms = await settled_world(core, dice)
    by_hours = await read_all(core)
    # Each kind of quantity is there.
    assert all(any(row[column] for row in by_hours["days"]) for column in range(3, 8))
    assert await count_open(core) > 0

    await sum_due_days(core.pool)
    assert await count_open(core) == 0
    assert await read_all(core) == by_hours

    await core.push([server(first_ms + 3 * HOUR_MS + 1, "n2", id_="late"),
                     server(first_ms + 4 * HOUR_MS + 1, "n2", id_="late")])  # fmt: skip
    await core.rate()
    assert await count_open(core) == 1
    changed = await read_all(core)
    assert changed != by_hours
    await sum_due_days(core.pool)
    assert await read_all(core) == changed

    await set_price(
        core.pool, meter="server", flavor="m1.small", credits_per_unit=Decimal("0.7"),
        valid_from=from_ms(first_ms + DAY_MS + 5 * HOUR_MS), author="ada",
    )  # fmt: skip
    dearer = await read_all(core)
    assert dearer != changed
    await sum_due_days(core.pool)
    assert await read_all(core) == dearer
    assert (await verify(core.pool, window_ms=WINDOW_MS)).holds


async def test_a_day_that_ends_while_nobody_sums_is_read_by_hours(core: Core) -> None:
    await settled_world(core, random.Random("ends"))
    by_hours = await read_all(core)
    await sum_due_days(core.pool)
    async with transaction(core.pool) as conn:
        # As if a day had been summed last while it lasted: its series were left out.
        day = await conn.fetchval("SELECT max(day) FROM daily_usage")
        await conn.execute("DELETE FROM daily_usage WHERE day = $1", day)
    assert await read_all(core) != by_hours
    async with transaction(core.pool) as conn:
        await conn.execute(
            "UPDATE summed_day SET summed_at = day + interval '23 hours' WHERE day = $1", day
        )

    assert await read_all(core) == by_hours
    # Days later it is summed all the same.
    assert await count_open(core) == 1
    assert await sum_due_days(core.pool) == 1
    assert await count_open(core) == 0
    assert await read_all(core) == by_hours


async def test_verify_finds_a_day_that_is_not_the_sum_of_its_hours(core: Core) -> None:
    await settled_world(core, random.Random("verify"))
    await sum_due_days(core.pool)
    async with transaction(core.pool) as conn:
        await conn.execute("CREATE TEMP TABLE kept AS SELECT * FROM daily_usage LIMIT 1")
        await conn.execute("DELETE FROM daily_usage d USING kept k WHERE "
                           "(d.series_id, d.day, d.flavor_id, d.host_id) = "
                           "(k.series_id, k.day, k.flavor_id, k.host_id)")  # fmt: skip
        await conn.execute("UPDATE kept SET credits = credits + 1")
        await conn.execute("INSERT INTO daily_usage SELECT * FROM kept")
        await conn.execute("DROP TABLE kept")
    found = (await verify(core.pool, window_ms=WINDOW_MS)).findings.first

    assert ["days"] == [str(layer) for layer in found]
    await core.rate()
    async with transaction(core.pool) as conn:
        await conn.execute("UPDATE summed_day SET changed_count = changed_count + 1")
    await sum_due_days(core.pool)
    assert (await verify(core.pool, window_ms=WINDOW_MS)).holds


def at(day: int, hour: int = 0) -> datetime:
    return from_ms(0) + timedelta(days=day, hours=hour)


@pytest.mark.parametrize(
    "start, end, expected",
    [
        (at(1), at(3), (at(1), at(3), [])),
        (at(1, 5), at(3), (at(2), at(3), [(at(1, 5), at(2))])),
        (at(1, 5), at(3, 7), (at(2), at(3), [(at(1, 5), at(2)), (at(3), at(3, 7))])),
        (at(1, 5), at(1, 7), (at(1, 7), at(1, 7), [(at(1, 5), at(1, 7))])),
        (at(1, 5), at(2, 7), (at(2, 7), at(2, 7), [(at(1, 5), at(2, 7))])),
        (at(9), at(12), (at(9), at(12), [(at(10), at(12))])),
        (at(5), at(30), (at(5), at(30), [(at(6), at(8)), (at(10), at(30))])),
        (at(7), at(11), (at(7), at(11), [(at(7), at(8)), (at(10), at(11))])),
    ],
)
def test_a_period_is_cut_into_days_and_hours(
    start: datetime, end: datetime, expected: tuple[Any, ...]
) -> None:
    open_days = OpenDays((at(6), at(10)), (at(8), at(400)))
    made = cut(open_days, start, end)

    spans = list(zip(made.starts, made.ends, strict=True))
    assert (made.first_day, made.end_day, spans) == expected
