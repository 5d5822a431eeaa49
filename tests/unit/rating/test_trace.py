"""A trace adds up to the usage, and every calculation it prints can be repeated by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.domain.explanation import Pair
from os_credits.domain.meter import MeterDefinition, MeterKind, MeterVersion
from os_credits.domain.sample import STALE_MARKER_BITS
from os_credits.domain.usage import UsageKind
from os_credits.rating.charge import charge_of
from os_credits.rating.formula import contribution_of, cost_of, number, over, total_of
from os_credits.rating.trace import TracedHour, folded, trace
from os_credits.rating.usage import SampleColumns, usage_by_versions
from tests.unit.rating.arithmetic import result_of

HOUR = 3_600_000
WINDOW = 48 * HOUR
STALE = float(np.array([STALE_MARKER_BITS], np.int64).view(np.float64)[0])
# Hours and samples lie here; the second version of a meter begins in the middle.
BASE = 490_000 * HOUR
CHANGE = BASE + 2 * HOUR
METERS: list[list[dict[str, Any]]] = [
    [{"kind": "gauge", "unit": "GiB", "max_rate": Decimal("40.5")}],
    [{"kind": "gauge", "unit": "server", "value": "one", "max_gap_seconds": 1800}],
    [{"kind": "counter", "unit": "vCPU-hour"}],
    [{"kind": "counter", "unit": "GB", "on_reset": "restart", "max_rate": Decimal("0.7")}],
    [{"kind": "counter", "unit": "GB", "steps_per_unit": 1}],
    [{"kind": "delta", "unit": "request", "max_rate": Decimal(30)}],
    [
        {"kind": "counter", "unit": "GB", "steps_per_unit": 1000},
        {"kind": "counter", "unit": "GB", "steps_per_unit": 1000, "on_reset": "restart"},
    ],
    [
        {"kind": "gauge", "unit": "GiB", "max_gap_seconds": 900},
        {"kind": "gauge", "unit": "GiB", "max_gap_seconds": 7200, "max_rate": Decimal(20)},
    ],
]


def versions_of(parts: list[dict[str, Any]]) -> list[MeterVersion]:
    starts = [datetime(1970, 1, 1, tzinfo=UTC), datetime.fromtimestamp(CHANGE // 1000, UTC)]
    return [
        MeterVersion(
            id=index,
            meter_id=1,
            definition=MeterDefinition(name="m", metric="m", project_id="p", **part),
            valid_from=starts[index],
            valid_until=starts[index + 1] if index + 1 < len(parts) else None,
        )
        for index, part in enumerate(parts)
    ]


# Mostly within three hours, so that most sets have neighbours that matter; times in a coarse
# grid meet full hours and each other.
offsets = st.one_of(
    st.integers(0, 18).map(lambda step: step * HOUR // 6),
    st.integers(0, 18).map(lambda step: step * HOUR // 6),
    st.integers(0, 3 * HOUR),
    st.integers(-60 * HOUR, 60 * HOUR),
)
values = st.one_of(
    st.integers(0, 60).map(float),
    st.integers(0, 60).map(float),
    st.floats(0, 60, allow_nan=False),
    st.just(STALE),
)
samples = st.tuples(
    st.sampled_from([7, 7, 7, 8]),
    offsets,
    values,
    st.integers(0, 2),
    st.sampled_from([True, True, True, False]),
)
sets = st.lists(samples, min_size=10, max_size=30)


def columns_of(drawn: list[tuple[int, int, float, int, bool]]) -> SampleColumns:
    rows = sorted({(series, time): (value, flavor, fits and value == value)  # noqa: PLR0124
                   for series, time, value, flavor, fits in drawn}.items())  # fmt: skip
    return SampleColumns(
        np.array([key[0] for key, _ in rows], np.int64),
        np.array([BASE + key[1] for key, _ in rows], np.int64),
        np.array([row[0] for _, row in rows], np.float64),
        np.array([row[2] for _, row in rows], np.bool_),
        np.array([row[1] for _, row in rows], np.int64),
    )


def sums_of(pairs: dict[int, list[Pair]]) -> dict[tuple[int, int, int], int]:
    result: dict[tuple[int, int, int], int] = defaultdict(int)
    for series_id, of_series in pairs.items():
        for pair in of_series:
            if pair.kind is not None:
                result[series_id, pair.flavor_id, pair.kind] += pair.quantity
    return dict(result)


def usage_of_hour(
    columns: SampleColumns, versions: list[MeterVersion], hour_ms: int
) -> dict[tuple[int, int, int], int]:
    usage = usage_by_versions(columns, versions, window_ms=WINDOW)
    usage = usage.where(usage.hours_ms == hour_ms)
    result: dict[tuple[int, int, int], int] = defaultdict(int)
    for series_id, flavor_id, kind, quantity in zip(
        usage.series_ids.tolist(), usage.flavor_ids.tolist(), usage.kinds.tolist(),
        usage.quantities.tolist(), strict=True,
    ):  # fmt: skip
        result[series_id, flavor_id, kind] += quantity
    return {key: quantity for key, quantity in result.items() if quantity}


def by_hand(pair: Pair, definition: MeterDefinition) -> Fraction:
    """Repeat what is printed of a pair; gives its quantity in the smallest steps."""
    told = contribution_of(pair, definition)
    if told.formula is None:
        assert told.remark
        return Fraction(0)
    result = result_of(told.formula.expression)
    assert result == result_of(told.formula.result)
    if told.formula.unit == "steps":
        return result
    in_seconds = 1000 if definition.kind is MeterKind.GAUGE else 1
    assert told.formula.unit.endswith("·s") is (in_seconds != 1)
    return result * definition.steps_per_unit * in_seconds


@pytest.mark.parametrize("parts", METERS)
@given(drawn=sets, hour=st.integers(-1, 4))
@settings(max_examples=15, deadline=None)
def test_pairs_add_up_to_the_usage_and_their_calculations_hold(
    parts: list[dict[str, Any]], drawn: list[tuple[int, int, float, int, bool]], hour: int
) -> None:
    versions = versions_of(parts)
    columns = columns_of(drawn)
    traced = TracedHour(BASE + hour * HOUR, versions, WINDOW)
    ids = np.arange(len(columns.times_ms), dtype=np.int64) % 3

    pairs = trace(columns, ids, traced)
    short = {key: folded(some, traced.definition) for key, some in pairs.items()}

    expected = usage_of_hour(columns, versions, traced.hour_ms)
    assert expected == sums_of(pairs) == sums_of(short)
    for some in (pairs, short):
        for pair in (pair for of_series in some.values() for pair in of_series):
            assert pair.quantity == by_hand(pair, traced.definition), pair
    for key, some_pairs in short.items():
        assert sum(one.pair_count for one in some_pairs) == len(pairs[key])


@pytest.mark.parametrize("parts", METERS)
@given(drawn=sets, hour=st.integers(-1, 4))
@settings(max_examples=5, deadline=None)
def test_two_samples_before_the_hour_and_one_after_it_are_enough(
    parts: list[dict[str, Any]], drawn: list[tuple[int, int, float, int, bool]], hour: int
) -> None:
    """This is what is read of the stored samples, however many there are."""
    traced = TracedHour(BASE + hour * HOUR, versions_of(parts), WINDOW)
    columns = columns_of(drawn)
    if MeterKind(parts[0]["kind"]) is not MeterKind.GAUGE:  # others are never stored
        columns = columns.where(columns.fits)
    near = np.zeros(len(columns.times_ms), np.bool_)
    for series_id in (7, 8):
        own = np.flatnonzero(columns.series_ids == series_id)
        times = columns.times_ms[own]
        near[own[times < traced.hour_ms][-2:]] = True
        near[own[(times >= traced.hour_ms) & (times < traced.hour_ms + HOUR)]] = True
        near[own[times >= traced.hour_ms + HOUR][:1]] = True

    few = trace(columns.where(near), np.zeros(int(near.sum()), np.int64), traced)

    assert few == trace(columns, np.zeros(len(near), np.int64), traced)


PRICES = ("0.25", "1.6", "0.000000000001", "7.000001", "999999999999999", "0")


@given(
    quantity=st.integers(0, 10**24),
    price=st.sampled_from(PRICES).map(Decimal),
    parts=st.sampled_from(METERS),
)
def test_the_calculation_of_credits_can_be_repeated_by_hand(
    quantity: int, price: Decimal, parts: list[dict[str, Any]]
) -> None:
    definition = versions_of(parts)[0].definition
    charge = charge_of(quantity, price, definition)

    cost = cost_of(quantity, price, definition, charge)

    exact = result_of(cost.exactly)
    assert round(exact * 10**6) == Fraction(charge) * 10**6
    assert (cost.rounding == "") is (exact == Fraction(charge))
    in_units = cost.in_units.removeprefix("≈ ").replace(f" {definition.priced_unit}", "")
    assert abs(result_of(in_units) - exact) <= Fraction(price) / 10**9
    assert cost.in_units.startswith("≈") is (result_of(in_units) != exact) or price == 0


@given(st.integers(-(10**30), 10**30), st.integers(0, 12))
def test_numbers_are_written_exactly(value: int, digits: int) -> None:
    text = number(Decimal(f"{value}e-{digits}"))

    assert Fraction(value, 10**digits) == Fraction(text.replace(" ", "").replace("−", "-"))
    assert text == over(value, 10**digits)


def test_a_total_says_in_which_unit_it_is_priced() -> None:
    gauge, counter = (versions_of(METERS[index])[0].definition for index in (1, 2))

    assert ("1 800 / 3 600 s", "0.5", "server-hour") == _told(1800 * 10**9, gauge)
    assert ("1 200 / 3 600 s", "≈ 0.333333333", "server-hour") == _told(1200 * 10**9, gauge)
    assert ("10.5", "10.5", "vCPU-hour") == _told(10_500_000, counter)


def _told(quantity: int, definition: MeterDefinition) -> tuple[str, str, str]:
    total = total_of(quantity, definition)
    return total.expression, total.result, total.unit


def _pairs(part: dict[str, Any], rows: list[tuple[int, float, bool]], hour: int = 0) -> list[Any]:
    """Give what is told of one series' pairs, folded; times in seconds."""
    traced = TracedHour(BASE + hour * HOUR, versions_of([part]), WINDOW)
    columns = columns_of([(7, at * 1000, value, 0, fits) for at, value, fits in rows])
    pairs = trace(columns, np.zeros(len(rows), np.int64), traced)[7]
    told = [contribution_of(pair, traced.definition) for pair in folded(pairs, traced.definition)]
    return [
        (one.formula and f"{one.formula.expression} = {one.formula.result} {one.formula.unit}",
         one.remark)
        for one in told
    ]  # fmt: skip


def test_a_level_that_stays_is_one_calculation_however_often_it_was_measured() -> None:
    rows = [(60 * minute, 2.0, True) for minute in range(-1, 62)]

    assert [("2 × 3 600 s = 7 200 GiB·s", "60 pairs of neighbours")] == _pairs(
        {"kind": "gauge", "unit": "GiB"}, rows
    )


def test_what_ends_a_level_is_told() -> None:
    rows = [(0, 2.0, True), (600, STALE, True), (1200, 2.0, False), (1800, 0.0, True),
            (2400, 2.5, True), (9000, 1.0, True)]  # fmt: skip

    assert _pairs({"kind": "gauge", "unit": "GiB"}, rows) == [
        ("2 × 600 s = 1 200 GiB·s", ""),
        (None, "a stale marker ended the level"),
        (None, "the earlier sample is outside the meter's match"),
        (None, "the level is zero"),
        (
            "2.5 × 1 200 s = 3 000 GiB·s",
            "a gap of 6 600 s, longer than 3 600 s",
        ),
    ]


def test_a_counter_is_held_against_the_larger_of_two_and_spread_by_floor() -> None:
    rows = [(-1200, 100.0, True), (-600, 99.0, True), (600, 103.0, True), (1200, 101.0, True),
            (1800, 104.0, True), (2400, 105.0, True), (3900, 106.0, True)]  # fmt: skip

    assert _pairs({"kind": "counter", "unit": "GB"}, rows) == [
        ("(103 − max(100, 99)) × 600 s / 1 200 s = 1.5 GB", ""),
        (None, "the counter did not grow"),
        ("104 − max(103, 101) = 1 GB", ""),
        ("105 − 104 = 1 GB", ""),
        ("(106 − 105) × 1 200 s / 1 500 s = 0.8 GB", ""),
    ]
    assert _pairs({"kind": "counter", "unit": "GB", "steps_per_unit": 1}, rows[-2:]) == [
        (None, "less than one step falls into this hour")
    ]
    assert _pairs({"kind": "counter", "unit": "GB", "steps_per_unit": 1}, rows[-2:], 1) == [
        (
            "⌊1 × 1 500 000 / 1 500 000⌋ − ⌊1 × 1 200 000 / 1 500 000⌋ = 1 steps",
            "1 steps are 106 − 105",
        )
    ]


def test_what_is_suspect_restarted_or_rounded_says_so() -> None:
    rows = [(0, 5.0, True), (600, 1.5, True), (1200, 40.0000004, True)]

    part = {"kind": "counter", "unit": "GB", "on_reset": "restart", "max_rate": Decimal(100)}
    assert _pairs(part, rows) == [
        ("1.5 = 1.5 GB", "it fell: counted from zero"),
        (
            "40 − 1.5 = 38.5 GB",
            "more than 100 GB per hour; 40.0000004 counts as 40",
        ),
    ]


def test_a_pair_without_a_kind_never_brings_anything() -> None:
    traced = TracedHour(BASE, versions_of(METERS[0]), WINDOW)
    columns = columns_of([(7, 0, 2.0, 0, False), (7, HOUR, 2.0, 0, True)])

    (pair,) = trace(columns, np.zeros(2, np.int64), traced)[7]

    assert (pair.kind, pair.quantity) == (None, 0)
    assert pair.kind is not UsageKind.BILLED
