"""Where resources were is a function of their samples, whatever came first, twice or late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.period import DAY_MS, HOUR_MS, from_ms
from os_credits.flows.day_sums import DaySums, sum_due_days
from os_credits.flows.exclusions import ExclusionRequest, exclude, lift
from os_credits.flows.meters import MeterFile, load_meters
from os_credits.flows.prices import set_price
from os_credits.flows.retain import Kept, retain
from os_credits.store.label_sets import read_label_sets
from os_credits.store.pool import connection, transaction
from os_credits.store.resource_places import read_resource_places
from tests.core import STALE, WINDOW_MS, new_core, opened_core
from tests.integration.placed import (
    FILE,
    SERVER,
    charged_by_day,
    credits_by_day,
    expected_moves,
    expected_sums,
    random_servers,
    server,
    stored_moves,
    sums,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.core import Core, Written

ROUNDS = 12
MINUTE_MS = 60_000


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    """Give one copy of the service."""
    async with opened_core(database_url, FILE) as one:
        yield one


async def base(core: Core, *, days_ago: int = 4) -> int:
    """Give a midnight some days ago, in ms."""
    return (await core.now_ms() // DAY_MS - days_ago) * DAY_MS


def hour_of(base_ms: int, hour: int) -> int:
    return base_ms // HOUR_MS + hour


async def project_id(core: Core, name: str = "astro") -> int:
    async with connection(core.pool) as conn:
        return int(await conn.fetchval("SELECT id FROM project WHERE name = $1", name))


async def consistent(core: Core) -> None:
    """Hold what is summed by host against usage, and against the charges."""
    found = await sums(core)
    assert await expected_sums(core) == found
    assert await charged_by_day(core) == credits_by_day(found)


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_any_order_gives_the_same_whereabouts_and_sums(core: Core, seed: int) -> None:
    chance = Random(f"whereabouts {seed}")
    samples = random_servers(chance, await base(core))
    pushed = [*samples, *chance.sample(samples, len(samples) // 3)]
    if seed % 3:
        chance.shuffle(pushed)
    while pushed:
        count = chance.choice([1, 3, 20, 200])
        part, pushed = pushed[:count], pushed[count:]
        await core.push(part)
        if chance.random() < 0.5:
            await core.rate()
        if chance.random() < 0.1:  # another copy takes over: what was remembered is forgotten
            core = new_core(core.pool)
        if chance.random() < 0.2:
            await sums(core)
    await core.rate()

    assert expected_moves(samples) == await stored_moves(core)
    await consistent(core)


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_what_an_exclusion_takes_out_leaves_no_trace(core: Core, seed: int) -> None:
    chance = Random(f"exclusion {seed}")
    start_ms = await base(core)
    samples = random_servers(chance, start_ms)
    await core.push(samples)
    await core.rate()
    await sums(core)
    first, last = sorted(chance.sample(range(48 * 60), 2))
    first_ms, end_ms = start_ms + first * MINUTE_MS, start_ms + last * MINUTE_MS
    left = [one for one in samples if not first_ms <= one[1] < end_ms]

    excluded = await exclude(
        core.pool,
        ExclusionRequest(
            await project_id(core), "faulty", "test", starts_at=from_ms(first_ms),
            ends_at=from_ms(end_ms),
        ),
        window_ms=WINDOW_MS,
    )  # fmt: skip

    assert expected_moves(left) == await stored_moves(core)
    await consistent(core)
    assert excluded.exclusion_id is not None
    await lift(core.pool, excluded.exclusion_id, reason="was right", author="test")
    await core.rate()
    assert expected_moves(samples) == await stored_moves(core)
    await consistent(core)


async def test_a_live_migration_counts_from_the_hour_in_which_it_ended(core: Core) -> None:
    start = await base(core)
    times = [start + 10 * HOUR_MS + minute * MINUTE_MS for minute in (0, 20, 40, 60, 80, 100, 120)]
    await core.push([server(at, "n1" if at < times[2] else "n2") for at in times])
    await core.rate()

    assert {
        ("s1", hour_of(start, 10), "n2", "north", "p1", "ACTIVE"),
    } == await stored_moves(core)
    found = await sums(core)
    assert {"n2"} == {host for _, host, _, _ in found}


async def test_a_late_sample_moves_only_the_hours_up_to_the_next_one(core: Core) -> None:
    start = await base(core)
    await core.push([server(start + hour * HOUR_MS, "n1") for hour in (1, 2, 3, 4, 5, 6)])
    await core.rate()
    before = await sums(core)
    await core.push([server(start + 3 * HOUR_MS + 30 * MINUTE_MS, "n2")])
    await core.rate()

    assert {
        ("s1", hour_of(start, 1), "n1", "north", "p1", "ACTIVE"),
        ("s1", hour_of(start, 3), "n2", "north", "p1", "ACTIVE"),
        ("s1", hour_of(start, 4), "n1", "north", "p1", "ACTIVE"),
    } == await stored_moves(core)
    found = await sums(core)
    day = start // DAY_MS
    assert found[day, "n2", "server", "m1.small"] == (HOUR_MS * 10**6, 1_600_000, 1)
    assert found[day, "n1", "server", "m1.small"] == (4 * HOUR_MS * 10**6, 6_400_000, 1)
    assert credits_by_day(before) == credits_by_day(found)


async def test_a_stopped_server_keeps_its_host_and_shows_its_state(core: Core) -> None:
    start = await base(core)
    await core.push(
        [
            server(start, "n1"),
            server(start + HOUR_MS, "n1"),
            server(start + 2 * HOUR_MS, "n1", status="SHUTOFF"),
        ]
    )
    await core.rate()
    async with connection(core.pool) as conn:
        (series_id,) = [row[0] for row in await conn.fetch("SELECT id FROM series")]
        places = await read_resource_places(conn, [series_id, series_id + 1])

    assert {series_id} == set(places)
    place = places[series_id]
    assert ("n1", "SHUTOFF", from_ms(start + 2 * HOUR_MS)) == (
        place.host,
        place.state,
        place.since,
    )


async def test_the_end_of_a_series_is_no_move(core: Core) -> None:
    start = await base(core)
    labels, at, _ = server(start + HOUR_MS, "n1")
    moved = server(start + HOUR_MS, "n2")
    await core.push([server(start, "n1"), moved])
    await core.push([(labels, at, STALE)])
    await core.rate()

    assert [hour for _, hour, host, *_ in await stored_moves(core) if host == "n2"] == [
        hour_of(start, 1)
    ]


async def test_naming_other_labels_changes_no_credit_and_no_label_set(core: Core) -> None:
    start = await base(core)

    def push(hour: int) -> list[Written]:
        labels, at, value = server(start + hour * HOUR_MS, "n1")
        return [({**labels, "node": f"other-{hour}"}, at, value)]

    for hour in range(3):
        await core.push(push(hour))
    await core.rate()
    charged = await core.charged("astro")
    async with connection(core.pool) as conn:
        known = [row[0] for row in await conn.fetch("SELECT id FROM label_set ORDER BY id")]
        before = await read_label_sets(conn, known)

    renamed = SERVER.model_copy(update={"host": "node"})
    loaded = await load_meters(core.pool, replace(FILE, meters=(renamed, *FILE.meters[1:])))

    assert ({}, ()) == (loaded.new_versions, loaded.new_meters)
    assert charged == await core.charged("astro")
    await core.push(push(2))  # known already
    await core.push(push(3))
    await core.rate()
    assert [("n1", hour_of(start, 0)), ("other-3", hour_of(start, 3))] == sorted(
        (host, hour) for _, hour, host, *_ in await stored_moves(core)
    )
    async with connection(core.pool) as conn:
        assert before == (await read_label_sets(conn, known))


async def test_a_meter_without_such_labels_leaves_nothing(database_url: str) -> None:
    plain = SERVER.model_copy(update=dict.fromkeys(("host", "region", "provider", "state")))
    async with opened_core(database_url, MeterFile((plain,), FILE.prices[:1])) as core:
        start = await base(core)
        await core.push([server(start + hour * HOUR_MS, f"n{hour}") for hour in range(3)])
        await core.rate()

        assert set() == await stored_moves(core)
        assert {""} == {host for _, host, _, _ in await sums(core)}


async def test_dropping_samples_and_usage_keeps_what_each_host_had(core: Core) -> None:
    start = await base(core, days_ago=20)
    pushed = [
        server(start + minute * MINUTE_MS, f"n{minute // 400 % 3}")
        for minute in range(0, 4 * 24 * 60, 30)
    ]
    await core.push(pushed)
    await core.push([server(await base(core, days_ago=1), "n1")])
    await core.rate()
    before = await sums(core)
    moves = await stored_moves(core)
    kept = Kept(timedelta(days=5), timedelta(days=5), announced_for=timedelta(0))
    for _ in range(100):
        await retain(core.rater, kept)
    async with connection(core.pool) as conn:
        assert 0 == await conn.fetchval("SELECT count(*) FROM usage WHERE kind = 0")
        assert 0 < await conn.fetchval("SELECT count(*) FROM daily_host")

    assert moves == await stored_moves(core)
    assert before == await sums(core)
    await forget_sums(core)
    assert before == await sums(core)
    assert await charged_by_day(core) == credits_by_day(before)


async def test_sums_that_were_thrown_away_are_made_anew(core: Core) -> None:
    chance = Random("thrown away")
    await core.push(random_servers(chance, await base(core)))
    await core.rate()
    before = await sums(core)
    async with connection(core.pool) as conn:
        months = await conn.fetch(MONTHS)
    await forget_sums(core)

    assert before == await sums(core)
    async with connection(core.pool) as conn:
        assert months == await conn.fetch(MONTHS)
        assert 0 == await conn.fetchval(DIFFERENT)


async def test_another_price_changes_the_sums_of_its_days(core: Core) -> None:
    start = await base(core)
    await core.push([server(start + hour * HOUR_MS, "n1") for hour in range(4)])
    await core.rate()
    await sums(core)
    await set_price(
        core.pool, meter="server", flavor=None, credits_per_unit=Decimal(5),
        valid_from=from_ms(start), author="test",
    )  # fmt: skip

    assert {start // DAY_MS: 15_000_000} == credits_by_day(await sums(core))
    await consistent(core)


async def test_usage_that_did_not_change_is_summed_once(core: Core) -> None:
    await core.push([server(await base(core) + hour * HOUR_MS, "n1") for hour in range(4)])
    await core.rate()

    assert 0 < await sum_due_days(core.pool)
    assert 0 == await sum_due_days(core.pool)


async def test_the_job_rests_longer_than_it_works(core: Core) -> None:
    ticks = iter([0.0, 0.0, 2.0, 50.0, 102.0, 103.0])
    job = DaySums(core.pool, clock=lambda: next(ticks))
    await core.push([server(await base(core) + hour * HOUR_MS, "n1") for hour in range(4)])
    await core.rate()

    assert 0 < await job.run()  # took from 0 to 2 s
    await core.push([server(await base(core) + hour * HOUR_MS, "n2") for hour in range(4, 6)])
    await core.rate()
    assert 0 == await job.run()  # at 50 s
    assert 0 < await job.run()  # at 102 s


async def test_after_long_work_the_job_does_not_rest_for_days(core: Core) -> None:
    ticks = iter([0.0, 0.0, 7200.0, 8000.0, 8200.0, 8201.0])
    job = DaySums(core.pool, clock=lambda: next(ticks))
    await core.push([server(await base(core) + hour * HOUR_MS, "n1") for hour in range(4)])
    await core.rate()

    assert 0 < await job.run()  # took two hours
    await core.push([server(await base(core) + hour * HOUR_MS, "n2") for hour in range(4, 6)])
    await core.rate()
    assert 0 == await job.run()
    assert 0 < await job.run()  # at 8200 s, more than a quarter of an hour later


async def forget_sums(core: Core) -> None:
    """Throw all sums away, and mark all days."""
    async with transaction(core.pool) as conn:
        for table in ("host_usage", "daily_usage"):
            await conn.execute(f"DELETE FROM {table}")
        await conn.execute("UPDATE summed_day SET changed_count = changed_count + 1")


MONTHS = "SELECT * FROM host_usage WHERE length = 'month' ORDER BY 2, 3, 4, 5"
# Resources of days that are over, held against what their hosts have.
DIFFERENT = """
    SELECT count(*) FROM (
        SELECT r.day, r.host_id, s.meter_id, r.flavor_id,
               sum(r.quantity + r.unpriced + r.free) AS quantity, sum(r.credits) AS credits,
               count(*) AS resource_count
        FROM daily_usage r JOIN series s ON s.id = r.series_id
        WHERE r.quantity + r.unpriced + r.free > 0 GROUP BY 1, 2, 3, 4
    ) r FULL JOIN (
        SELECT * FROM host_usage WHERE length = 'day'
          AND start < date_trunc('day', now(), 'UTC')
    ) u ON u.start = r.day AND u.host_id = r.host_id AND u.meter_id = r.meter_id
       AND u.flavor_id = r.flavor_id
    WHERE r.quantity IS DISTINCT FROM u.quantity OR r.credits IS DISTINCT FROM u.credits
       OR r.resource_count IS DISTINCT FROM u.resource_count
"""
