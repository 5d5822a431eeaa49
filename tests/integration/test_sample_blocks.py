"""Blocks hold exactly the samples that were written, whatever is appended, merged and removed.

Against a dictionary that shares no code with them, to the last bit of a value.
"""

from __future__ import annotations

import random
import struct
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import DAY_MS, HOUR_MS, from_ms
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.store import retention, sample_blocks, samples, verification
from os_credits.store.block_bytes import BLOCK_SAMPLES_MAX
from os_credits.store.pool import connection, open_pool
from os_credits.store.sample_columns import StoredSamples, columns_of
from tests.core import STALE, new_core, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from os_credits.store.pool import Connection
    from tests.core import Written

# Series and time in ms: the bits of the value, and the label set.
Held = dict[tuple[int, int], tuple[int, int]]
SERIES = (3, 4, 5, 9)
DAY = 1_790_000_000_000 // DAY_MS * DAY_MS
STEPS = 14
GAPS_MS = (*30 * [60_000], *30 * [300_000], 6 * HOUR_MS)
FILE = MeterFile(
    (MeterDefinition(
        name="level", metric="level", kind="gauge", unit="thing", project_id="project",
        flavor="flavor", resource="server",
    ),),
    (FilePrice("level", None, Decimal("0.3")),),
)  # fmt: skip
VALUES = (0.0, -0.0, 1.5, 1e300, 5e-324, STALE)


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    pool = await open_pool(database_url, connections_max=1, statement_timeout_seconds=30)
    async with connection(pool) as conn:
        yield conn
    await pool.close()


def bits_of(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def columns(held: Held) -> StoredSamples:
    rows = sorted((*place, *content) for place, content in held.items())
    series, times, bits, label_sets = np.array(rows, np.int64).reshape(-1, 4).T
    return StoredSamples(series, times, bits.copy().view(np.float64), label_sets)


def held_in(rows: StoredSamples) -> Held:
    listed = zip(
        rows.series_ids.tolist(),
        rows.times_ms.tolist(),
        rows.values.view(np.int64).tolist(),
        rows.label_set_ids.tolist(),
        strict=True,
    )
    found = {(series, time): (bits, label_set) for series, time, bits, label_set in listed}
    assert len(found) == len(rows)
    return found


def later(chance: random.Random, held: Held) -> Held:
    """Draw samples after the last one of some series: many near each other, or days apart."""
    drawn: Held = {}
    for series in chance.sample(SERIES, chance.randint(1, len(SERIES))):
        at = max((time for one, time in held if one == series), default=DAY)
        for _ in range(chance.choice((1, 2, 15, BLOCK_SAMPLES_MAX + 1, 300))):
            at += chance.choice((1, 999, 60_000, 60_000, 60_000, 7 * HOUR_MS))
            drawn[series, at] = content(chance, series)
    return drawn


def late(chance: random.Random, held: Held) -> tuple[Held, Held]:
    """Draw samples at new times among the stored ones (and after them), and at stored times."""
    new: Held = {}
    for _ in range(chance.choice((1, 5, 200))):
        series, time = chance.choice(sorted(held))
        place = series, time + chance.choice((-1, 1, 30_000, -3 * HOUR_MS, 2 * HOUR_MS))
        if place not in held:
            new[place] = content(chance, series)
    again = chance.sample(sorted(held), min(chance.choice((0, 3, 50)), len(held)))
    return new, {place: content(chance, place[0]) for place in again}


def content(chance: random.Random, series: int) -> tuple[int, int]:
    label_set = series * 10 if chance.random() < 0.97 else series * 10 + 1
    return bits_of(chance.choice((*VALUES, chance.random()))), label_set


def around(held: Held, places: Iterable[tuple[int, int]]) -> Held:
    """Give two samples before each place and three from it on."""
    wanted: Held = {}
    for series, at in places:
        times = sorted(time for one, time in held if one == series)
        before = [time for time in times if time < at][-2:]
        after = [time for time in times if time >= at][:3]
        wanted |= {(series, time): held[series, time] for time in (*before, *after)}
    return wanted


async def check(conn: Connection, chance: random.Random, held: Held) -> None:
    """Read in every way, and compare."""
    read = await verification.read_samples(conn, SERIES)
    assert [] == list(read.faults)
    assert held == held_in(read.samples)
    shown = await conn.fetch("SELECT series_id, measured_at, value, label_set_id FROM sample")
    assert held == held_in(columns_of(shown))
    assert (len(held), 0) == await verification.count_rows(conn, from_ms(0))

    tails = held_in(await samples.read_tails(conn, list(SERIES)))
    assert around(held, [(series, 2**52) for series in SERIES]) == tails
    places = [
        (series, time + chance.choice((-1, 0, 1, 5 * HOUR_MS)))
        for series, time in chance.sample(sorted(held), min(len(held), 5))
    ]
    found = await samples.read_neighbours(
        conn, *(np.array(one, np.int64) for one in zip(*places, strict=True))
    )
    assert around(held, places) == held_in(found)
    start, end = period(chance, held)
    inside = within(held, start, end)
    edges = [(series, edge) for series in SERIES for edge in (start, end)]
    found = await samples.read_period(conn, SERIES, from_ms(start), from_ms(end))
    assert inside | around(held, edges) == held_in(found)
    counted = {series: sum(one == series for one, _ in inside) for series in SERIES}
    assert {series: count for series, count in counted.items() if count} == (
        await samples.count_samples(conn, SERIES, from_ms(start), from_ms(end))
    )


def period(chance: random.Random, held: Held) -> tuple[int, int]:
    start, end = sorted(chance.choice(sorted(held))[1] + chance.choice((0, 1)) for _ in range(2))
    return start, end + chance.choice((1, HOUR_MS))


def within(held: Held, start: int, end: int) -> Held:
    return {place: content for place, content in held.items() if start <= place[1] < end}


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_written_is_read_again(conn: Connection, seed: int) -> None:
    chance = random.Random(seed)
    held: Held = {}
    for step in range(STEPS):
        kind = chance.choice(("append", "late", "late", "delete")) if step > 1 else "append"
        if kind == "append":
            drawn = later(chance, held)
            await sample_blocks.append_samples(conn, columns(drawn))
            held |= drawn
        elif kind == "late":
            new, again = late(chance, held)
            await sample_blocks.merge_late(conn, columns(new), columns(again))
            held |= new | again
        else:
            start, end = period(chance, held)
            chosen = chance.sample(SERIES, 2)
            await sample_blocks.delete_period(conn, chosen, from_ms(start), from_ms(end))
            gone = {place for place in within(held, start, end) if place[0] in chosen}
            held = {place: content for place, content in held.items() if place not in gone}
            if not held:
                held = later(chance, held)
                await sample_blocks.append_samples(conn, columns(held))
        await check(conn, chance, held)


async def test_what_is_late_leaves_few_and_small_blocks(conn: Connection) -> None:
    """Backwards, one by one: they join the block before them, never into large ones."""
    times = [DAY + number * 60_000 for number in range(241)]
    await sample_blocks.append_samples(conn, columns({(3, times[0]): (0, 1)}))
    for at in (*times[2::2], *times[1::2]):
        await sample_blocks.merge_late(conn, columns({(3, at): (0, 1)}), columns({}))

    rows = await conn.fetch("SELECT cardinality(offsets_ms) FROM sample_block ORDER BY first_at")
    sizes = [size for (size,) in rows]
    assert 241 == sum(sizes)
    assert max(sizes) <= sample_blocks.JOINED_MAX
    assert len(sizes) <= 2 * 241 / sample_blocks.JOINED_MAX


async def test_what_is_dropped_amid_a_block_is_cut_off(conn: Connection) -> None:
    chance = random.Random(1)
    held = {
        (series, DAY + number * 600_000): content(chance, series)
        for series in SERIES
        for number in range(3 * 144)
    }
    await sample_blocks.append_samples(conn, columns(held))
    until = DAY + DAY_MS + 13 * HOUR_MS + 1
    await retention.announce_samples(conn, from_ms(until))

    await retention.drop_samples(conn, from_ms(until))

    left = {place: content for place, content in held.items() if place[1] >= until}
    assert 0 < len(left) < len(held)
    await check(conn, chance, left)


async def test_a_block_is_never_longer_than_one_day(conn: Connection) -> None:
    held: Held = {(3, DAY - 1): (0, 1), (3, DAY): (0, 1), (3, DAY + DAY_MS - 1): (0, 1)}
    await sample_blocks.append_samples(conn, columns(held))

    rows = await conn.fetch("SELECT first_at, last_at FROM sample_block ORDER BY first_at")
    assert [tuple(row) for row in rows] == [
        (from_ms(DAY - 1), from_ms(DAY - 1)),
        (from_ms(DAY), from_ms(DAY + DAY_MS - 1)),
    ]


async def test_the_same_time_twice_is_refused(conn: Connection) -> None:
    twice = columns({(3, DAY): (0, 1)})

    with pytest.raises(ValueError, match="rise strictly"):
        await sample_blocks.append_samples(conn, twice.join(twice))


async def test_no_block_is_kept_outside_its_page(conn: Connection) -> None:
    """A full block with a label set for each sample is the largest row that there can be."""
    full = {(3, DAY + n): (bits_of(n / 7), 10**15 + n) for n in range(BLOCK_SAMPLES_MAX)}
    await sample_blocks.append_samples(conn, columns(full))

    toasted = await conn.fetchval(
        "SELECT sum(pg_relation_size(c.reltoastrelid)) FROM pg_class c"
        " JOIN timescaledb_information.chunks k ON k.chunk_name = c.relname"
        " WHERE k.hypertable_name = 'sample_block'"
    )
    assert 0 == toasted


def sent(chance: random.Random, now_ms: int) -> list[Written]:
    """Draw what three servers measured in three days, some twice with another value or flavor."""
    drawn = []
    for server in "abc":
        at = now_ms - 3 * DAY_MS
        while (at := at + chance.choice(GAPS_MS)) < now_ms:
            flavor = "large" if chance.random() < 0.05 else "small"
            labels = {"__name__": "level", "project": "p", "server": server, "flavor": flavor}
            drawn.append((labels, at, float(chance.randrange(5))))
            if chance.random() < 0.1:
                again = {**labels, "flavor": chance.choice(("large", "small"))}
                drawn.append((again, at, float(chance.randrange(5))))
    return drawn


def what_counts(written: Sequence[Written]) -> dict[tuple[str, int], tuple[float, str]]:
    """Decide ties as docs/rating-rules.md does: the larger value, then the larger flavor."""
    best: dict[tuple[str, int], tuple[float, str]] = {}
    for labels, at, value in written:
        place, said = (labels["server"], at), (value, labels["flavor"])
        best[place] = max(said, best.get(place, said))
    return best


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_stores_the_same_samples(database_url: str, seed: int) -> None:
    """In runs of any size, by two copies, with some sent again; `opened_core` verifies all."""
    chance = random.Random(seed)
    async with opened_core(database_url, FILE) as core:
        copies = (core, new_core(core.pool))
        written = sent(chance, await core.now_ms())
        # The first part comes in order, as it mostly does, and the rest in none.
        cut = chance.randrange(len(written))
        rest = [*written[cut:], *chance.sample(written, len(written) // 5)]
        queue = [*sorted(written[:cut], key=lambda one: one[1]), *chance.sample(rest, len(rest))]
        while queue:
            count = chance.choice((1, 10, 100))
            copy = chance.choice(copies)
            await copy.push(queue[:count])
            del queue[:count]
            await copy.rate()
        async with connection(core.pool) as conn:
            rows = await conn.fetch(
                """
                SELECT s.resource, (extract(epoch FROM x.measured_at) * 1000)::bigint, x.value,
                       f.name
                FROM sample x JOIN series s ON s.id = x.series_id
                JOIN label_set l ON l.id = x.label_set_id JOIN flavor f ON f.id = l.flavor_id
                """
            )

    assert what_counts(written) == {(row[0], row[1]): (row[2], row[3]) for row in rows}
    assert len(rows) == len(what_counts(written))
