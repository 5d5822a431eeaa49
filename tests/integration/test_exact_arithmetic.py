"""Exact arithmetic (I-7): whatever the size, the credits are those of fractions, to the digit."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import asyncpg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.domain.amount import CREDITS_MAX, credits_of, divide_half_even
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import EPOCH
from os_credits.domain.usage import whole
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.rating.charge import CHARGE_MAX, charge_of, charges_of
from os_credits.rating.usage import in_range, steps_of
from os_credits.store.pool import connection
from tests.core import WINDOW_MS, Core, Written, opened_core
from tests.integration.test_booking import age_charges, balance_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR_MS = 3_600_000
# The largest double below 2^62, beyond which a value is out of range.
LARGEST = 2.0**62 - 512
STEPS = {"total": 1, "fine": 10**6, "finest": 10**9}
# Longer runs: INCREMENTS=1000000, EXAMPLES=100000.
INCREMENTS = int(os.environ.get("INCREMENTS", "30000"))
patient = settings(max_examples=int(os.environ.get("EXAMPLES", "100")), deadline=None)


def meter(name: str, **changes: Any) -> MeterDefinition:
    """Declare a meter without a flavor, of whole steps, but for what is said otherwise."""
    usual = {"metric": name, "unit": "thing", "project_id": "project", "steps_per_unit": 1}
    return MeterDefinition(**{"name": name, **usual, **changes})


FILE = MeterFile(
    (
        meter("total", kind="counter"),
        meter("fine", kind="counter", steps_per_unit=10**6),
        meter("finest", kind="counter", steps_per_unit=10**9),
        meter("amount", kind="delta"),
        meter("millionths", kind="delta", steps_per_unit=10**6),
        meter("level", kind="gauge", max_gap_seconds=35 * 86_400),
        meter("dear", kind="gauge"),
    ),
    (
        FilePrice("total", None, Decimal("0.000000000001")),
        FilePrice("fine", None, Decimal(1)),
        FilePrice("finest", None, Decimal(1)),
        FilePrice("amount", None, Decimal("0.000000000003")),
        FilePrice("millionths", None, Decimal(1)),
        FilePrice("level", None, Decimal("0.000000000007")),
        FilePrice("dear", None, Decimal(10) ** 14),
    ),
)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


def sample(metric: str, time_ms: int, value: float, *, project: str = "p1") -> Written:
    return {"__name__": metric, "project": project}, time_ms, value


async def fetched(core: Core, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async with connection(core.pool) as conn:
        return [tuple(row) for row in await conn.fetch(statement, *arguments)]


async def quantities(core: Core) -> list[int]:
    rows = await fetched(core, "SELECT quantity FROM usage ORDER BY hour")
    return [int(quantity) for (quantity,) in rows]


def exact(quantity: int, credits_per_step: Fraction) -> int:
    """Give millionths of a credit, rounded half-even once."""
    return round(quantity * credits_per_step * 10**6)


def spread(total: int, start: int, end: int) -> list[int]:
    """Cut a total at the full hours, each part what was reached less what was reached before."""
    parts, before = [], 0
    for hour in range(start // HOUR_MS, (end - 1) // HOUR_MS + 1):
        reached = total * (min(end, (hour + 1) * HOUR_MS) - start) // (end - start)
        parts.append(reached - before)
        before = reached
    return parts


async def charged_micro(core: Core) -> int:
    """Give all charges in millionths of a credit."""
    ((charged,),) = await fetched(core, "SELECT coalesce(sum(charged), 0) FROM charge")
    return int(Fraction(charged) * 10**6)


async def some_hours_ago(core: Core, hours: int = 3) -> int:
    return (await core.now_ms() // HOUR_MS - hours) * HOUR_MS


# What a sender writes for which meter, and the steps it becomes (None: it is set aside).
WRITTEN = (
    # A double knows no 2^53 + 1: what was sent is 2^53 already.
    ("total", "9007199254740993", 2**53),
    ("total", "9007199254740994", 2**53 + 2),
    ("total", str(2**62 - 512), 2**62 - 512),
    ("total", str(2**62), None),
    ("total", "1e308", None),
    ("total", "inf", None),
    ("fine", "1e308", None),
    ("total", "5e-324", 0),
    ("finest", "2.2250738585072014e-308", 0),
    ("finest", "0.0000000005", 0),  # half a step, to even
    ("finest", "0.0000000015", 2),
    ("fine", "0.1", 100_000),
    ("fine", "0.30000000000000004", 300_000),
    ("fine", "4611686018427.387", 2**62 - 1024),
    ("fine", "4611686018427.3877", None),
)


async def test_a_value_becomes_whole_steps_or_is_set_aside(core: Core) -> None:
    hour = await some_hours_ago(core)
    for number, (metric, written, steps) in enumerate(WRITTEN):
        values = (0.0, float(written))
        await core.push(
            [
                sample(metric, hour + at, value, project=f"{number:02}")
                for at, value in enumerate(values)
            ]
        )
        aside = sum(one is None for _, _, one in WRITTEN[: number + 1])
        assert aside == core.stats.set_aside["out_of_range"], written
        assert steps is None or metric == "total" or steps == round(values[1] * STEPS[metric])
    await core.rate()

    assert [
        (f"{number:02}", steps) for number, (_, _, steps) in enumerate(WRITTEN) if steps
    ] == await fetched(
        core,
        "SELECT p.external_id, u.quantity::bigint FROM usage u JOIN series s ON s.id = u.series_id "
        "JOIN project p ON p.id = s.project_id ORDER BY 1",
    )


async def test_the_largest_counter_over_the_whole_window_adds_up(core: Core) -> None:
    """2^62 - 512 steps spread over 35 days: 841 parts, and not one step more or less."""
    now = await core.now_ms()
    start = now - WINDOW_MS + 60_000
    await core.push([sample("total", start, 0.0), sample("total", now, LARGEST)])
    await core.rate()
    parts = await quantities(core)

    assert int(LARGEST) == sum(parts)
    assert spread(int(LARGEST), start, now) == parts
    assert sum(exact(part, Fraction(1, 10**12)) for part in parts) == await charged_micro(core)


async def test_the_largest_level_over_the_whole_window_adds_up(core: Core) -> None:
    now = await core.now_ms()
    start = now - WINDOW_MS + 60_000
    await core.push([sample("level", start, LARGEST), sample("level", now, 0.0)])
    await core.rate()
    parts = await quantities(core)

    assert int(LARGEST) * (now - start) == sum(parts)
    assert max(parts) == int(LARGEST) * HOUR_MS
    price = Fraction(7, 10**12 * HOUR_MS)
    assert sum(exact(part, price) for part in parts) == await charged_micro(core)


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_sums_beyond_64_bits_do_not_wrap(core: Core, one_by_one: bool) -> None:
    """Ten amounts of nearly 2^62 in one hour: in one rating run, and added one after the other."""
    hour = await some_hours_ago(core)
    samples = [sample("amount", hour + number, LARGEST) for number in range(10)]
    for body in [[one] for one in samples] if one_by_one else [samples]:
        await core.push(body)
        await core.rate()

    assert [10 * int(LARGEST)] == await quantities(core)
    expected = exact(10 * int(LARGEST), Fraction(3, 10**12))
    assert expected == await charged_micro(core)


async def test_a_great_many_millionths_add_up_to_the_last_one(core: Core) -> None:
    """Floats would drift: a million times 0.000001 is not 1 in IEEE double."""
    assert sum([1e-6] * 10**6) != 1.0
    now = await core.now_ms()
    start = now - WINDOW_MS + 60_000
    step_ms = (now - start) // INCREMENTS
    for first in range(0, INCREMENTS, 100_000):
        numbers = range(first, min(first + 100_000, INCREMENTS))
        await core.push([sample("millionths", start + n * step_ms, 1e-6) for n in numbers])
        await core.push([sample("fine", start + n * step_ms, (n + 1) * 1e-6) for n in numbers])
    await core.rate()
    by_meter: dict[str, Decimal] = dict(
        await fetched(
            core,
            "SELECT m.name, sum(u.quantity) FROM usage u JOIN series s ON s.id = u.series_id "
            "JOIN meter m ON m.id = s.meter_id GROUP BY m.name",
        )
    )

    # A counter's first sample has none before it: one increment is not usage.
    assert {"millionths": INCREMENTS, "fine": INCREMENTS - 1} == by_meter
    assert 2 * INCREMENTS - 1 == await charged_micro(core)


@pytest.mark.parametrize(
    "price, charged",
    [
        ("100000000000000", Decimal(10) ** 15),
        ("100000000000000.0000001", Decimal(10) ** 15 + Decimal("0.000001")),
    ],
)
async def test_a_charge_beyond_its_bound_is_kept_apart_unpriced(
    core: Core, price: str, charged: Decimal
) -> None:
    """Level 10 for an hour: up to 10^15 credits are charged, more waits for a person."""
    hour = await some_hours_ago(core)
    await fetched(
        core,
        "INSERT INTO price (meter_id, valid_from, credits_per_unit, author) "
        "SELECT id, $1, $2::numeric, 'test' FROM meter WHERE name = 'dear'",
        EPOCH,
        Decimal(price),
    )
    core.rater.memory.forget()
    await core.push([sample("dear", hour, 10.0), sample("dear", hour + HOUR_MS, 0.0)])
    await core.rate()

    kept = charged <= CHARGE_MAX
    assert [10 * HOUR_MS] == await quantities(core)
    assert [(charged if kept else None,)] == await fetched(core, "SELECT credits FROM usage")
    assert (int(charged.scaleb(6)) if kept else 0) == await charged_micro(core)


async def test_hundreds_of_the_largest_charges_are_booked_to_the_digit(core: Core) -> None:
    """8 * 10^17 credits and a millionth: the balance, the chain and the sums keep every digit."""
    hour = await some_hours_ago(core, 835)
    await core.push([sample("dear", hour, 10.0), sample("fine", hour, 0.0)])
    await core.push([sample("dear", hour + n * HOUR_MS, 10.0) for n in range(1, 830)])
    await core.push([sample("fine", hour + HOUR_MS, 1e-6)])
    await core.rate()
    await age_charges(core, timedelta(days=2))
    await core.book()
    balance = await balance_of(core)

    assert -829 * Decimal(10) ** 15 - Decimal("0.000001") == balance.current == balance.booked
    assert Decimal(0) == balance.tally
    sums = await fetched(core, "SELECT sum(amount), min(balance) FROM entry")
    assert [(balance.current, balance.current)] == sums


async def test_the_columns_of_money_refuse_what_they_cannot_hold(core: Core) -> None:
    """Never a wrap, never a rounding: an amount too large, or too fine for its column."""
    core.leaves_a_mess = True
    hour = await some_hours_ago(core)
    await core.push([sample("fine", hour, 0.0), sample("fine", hour + 1, 1.0)])
    await core.rate()
    for statement in (
        "UPDATE usage SET quantity = 1e60",
        "UPDATE usage SET credits = 1e24",
        "UPDATE charge SET charged = 1e24",
    ):
        with pytest.raises(asyncpg.NumericValueOutOfRangeError):
            await fetched(core, statement)
    await fetched(core, "UPDATE usage SET quantity = 1e60 - 1, credits = 1e24 - 0.000001")
    assert [10**60 - 1] == await quantities(core)


async def test_only_samples_are_floats_in_the_database(core: Core) -> None:
    found = await fetched(
        core,
        "SELECT table_name::text, column_name::text FROM information_schema.columns "
        "WHERE table_schema = 'public' AND (data_type IN ('double precision', 'real', 'money')"
        " OR udt_name IN ('_float8', '_float4', '_money')) ORDER BY 1",
    )

    assert [
        ("excluded_sample", "value"),
        ("sample", "value"),
        ("sample_block", "values"),
        ("sample_floor", "value"),
    ] == found


@patient
@given(
    quantities=st.lists(st.integers(0, 10**60) | st.integers(0, 10**13), min_size=1),
    price=st.decimals(0, 10**15 - 1, places=12) | st.decimals(0, 9, places=2),
    definition=st.sampled_from(FILE.meters),
)
def test_a_charge_is_the_fraction_rounded_once_half_even(
    quantities: list[int], price: Decimal, definition: MeterDefinition
) -> None:
    rate = Fraction(price) / definition.quantity_per_unit
    expected = [exact(one, rate) for one in quantities]

    assert expected == [Fraction(charge_of(one, price, definition)) * 10**6 for one in quantities]
    assert expected == charges_of(whole(quantities), price, definition).tolist()
    small = [one for one in quantities if one <= 10**13]
    assert [exact(one, rate) for one in small] == (
        charges_of(np.array(small, np.int64), price, definition).tolist()
    )


@patient
@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    assert round(Fraction(numerator, denominator)) == divide_half_even(numerator, denominator)


@pytest.mark.parametrize("half, even", [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2)])
def test_exactly_one_half_goes_to_the_even_side(half: int, even: int) -> None:
    assert even == divide_half_even(half, 2)
    assert even == divide_half_even(half * 10**40, 2 * 10**40)


@patient
@given(st.floats(allow_nan=False), st.sampled_from(FILE.meters[:3]))
def test_steps_are_the_nearest_whole_number_of_the_double(
    value: float, definition: MeterDefinition
) -> None:
    values = np.array([value])
    countable = 0 <= value and value * definition.steps_per_unit < 2**62

    assert [countable] == in_range(values, definition).tolist()
    if countable:
        expected = round(Fraction(value * float(definition.steps_per_unit)))
        assert [expected] == steps_of(values, definition).tolist()


@patient
@given(st.integers(-(10**24) + 1, 10**24 - 1))
def test_an_amount_of_credits_keeps_all_its_digits(micro: int) -> None:
    written = f"{'-' if micro < 0 else ''}{abs(micro) // 10**6}.{abs(micro) % 10**6:06d}"

    assert written == str(credits_of(written))
    assert abs(credits_of(written)) < CREDITS_MAX
