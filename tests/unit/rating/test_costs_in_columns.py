"""Columns of usage cost what the same rows cost one by one, however large the numbers are."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from os_credits.domain.amount import divide_each_half_even, to_micro
from os_credits.domain.meter import MeterDefinition, MeterVersion
from os_credits.domain.period import HOUR_MS, from_ms, to_ms
from os_credits.domain.price import Price, PriceList
from os_credits.domain.pricing import Meters, Pricing, Whitelist
from os_credits.domain.settlement import Settlement, Settlements, Verdict
from os_credits.domain.usage import WELL_WITHIN, Owners, UsageColumns, UsageKind, added, whole
from os_credits.rating.charge import (
    CHARGE_MAX,
    charge_of,
    charges_of,
    costs_of_usage,
    credits_of_usage,
)
from os_credits.rating.groups import groups_of

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS_MS = [to_ms(START) + number * HOUR_MS for number in range(5)]
KINDS_OF_METERS = {1: ("gauge", 10**6), 2: ("counter", 1), 3: ("delta", 10**9)}
METERS = {
    id_: MeterDefinition(
        name=f"m{id_}", metric="m", kind=kind, unit="u", steps_per_unit=steps, project_id="p"
    )
    for id_, (kind, steps) in KINDS_OF_METERS.items()
}
FLAVORS, PROJECTS, SERIES = range(3), range(4), range(6)
NAMES = {1: ("one", "cloud-1"), 2: ("two", ""), 3: ("",)}
LARGEST_PRICE = "999999999999999.999999999999"
PRICES = ("0", "1", "0.3", "0.000000000001", "1234.567", LARGEST_PRICE, None, None)
QUANTITIES = (0, 1, 2, 5, 1800, 10**6, 3_600_000, 10**12, 2**61, 2**62, 2**63, 10**21, 10**30)


def pricing_of(chance: random.Random, *, limits_anyone: bool) -> Pricing:
    prices = [
        Price(id_, meter, flavor, from_ms(chance.choice(HOURS_MS)), amount, "test")
        for id_ in range(24)
        for meter in [chance.choice(list(METERS))]
        for flavor in [chance.choice((None, *FLAVORS))]
        for text in [chance.choice(PRICES)]
        for amount in [None if text is None else Decimal(text)]
    ]
    settlements = [
        Settlement(
            id_, chance.choice(PROJECTS), chance.choice((None, *METERS)),
            chance.choice((None, None, *SERIES)), chance.choice(list(UsageKind)[1:]),
            START, from_ms(chance.choice(HOURS_MS)), chance.choice(list(Verdict)), "r", "ada",
        )
        for id_ in range(12)
    ]  # fmt: skip
    allowed = [(START, frozenset({"two", "cloud-1"})), (from_ms(HOURS_MS[3]), None)]
    versions = [MeterVersion(id_, id_, one, START, None) for id_, one in METERS.items()]
    whitelist = Whitelist(allowed if limits_anyone else [(START, None)])
    return Pricing(Meters(versions), PriceList(prices), whitelist, Settlements(settlements))


def rows_of(chance: random.Random, largest: int) -> tuple[UsageColumns, Owners]:
    """Draw rows; all of a series are of one meter and project, as they are stored."""
    drawn = [
        (
            chance.choice(SERIES), chance.choice(FLAVORS), chance.choice(HOURS_MS),
            chance.choice((0, 0, 0, 1, 2)),
            chance.choice((1, 1, -1)) * chance.choice([q for q in QUANTITIES if q <= largest]),
        )
        for _ in range(chance.randint(0, 200))
    ]  # fmt: skip
    keys = np.array([row[:4] for row in drawn], np.int64).reshape(-1, 4).T
    owners = Owners(keys[0] % len(PROJECTS), keys[0] % len(METERS) + 1)
    return UsageColumns(
        keys[0], keys[1], keys[2], keys[3], whole([row[4] for row in drawn])
    ), owners


def one_by_one(usage: UsageColumns, owners: Owners, pricing: Pricing) -> list[int | None]:
    """Price each row by itself; in millionths."""
    charges = [
        credits_of_usage(
            pricing, project_id=project, meter_id=meter, series_id=series, flavor_id=flavor,
            hour_ms=hour_ms, kind=kind, quantity=quantity, project_names=NAMES.get(project, ()),
        )
        for series, flavor, hour_ms, kind, quantity, project, meter in zip(
            usage.series_ids.tolist(), usage.flavor_ids.tolist(), usage.hours_ms.tolist(),
            usage.kinds.tolist(), usage.quantities.tolist(), owners.project_ids.tolist(),
            owners.meter_ids.tolist(), strict=True,
        )
    ]  # fmt: skip
    return [None if one is None else to_micro(one) for one in charges]


@pytest.mark.parametrize("limits_anyone", [False, True], ids=["all", "whitelist"])
def test_columns_cost_what_their_rows_cost(limits_anyone: bool) -> None:
    seen: set[str] = set()
    for seed in range(60):
        chance = random.Random(seed)
        pricing = pricing_of(chance, limits_anyone=limits_anyone)
        usage, owners = rows_of(chance, chance.choice((10**6, 10**12, 10**30)))

        costs = costs_of_usage(usage, owners, pricing, NAMES)

        expected = one_by_one(usage, owners, pricing)
        assert [one is not None for one in expected] == costs.is_priced.tolist(), seed
        assert [one or 0 for one in expected] == costs.micro.tolist(), seed
        fit = all(abs(one or 0) < WELL_WITHIN for one in expected)
        assert (np.int64 if fit else object) == costs.micro.dtype
        seen |= {"nothing" if one is None else f"{(one > 0) - (one < 0)}" for one in expected}
        seen.add(str(costs.micro.dtype))
    assert {"nothing", "-1", "0", "1", "int64", "object"} == seen


@pytest.mark.parametrize("quantity, is_priced", [(10**15, True), (10**15 + 1, False)])
def test_what_costs_more_than_a_charge_may_has_no_price(quantity: int, is_priced: bool) -> None:
    prices = PriceList([Price(1, 2, None, START, Decimal(1), "test")])
    versions = [MeterVersion(2, 2, METERS[2], START, None)]
    ones, none = np.ones(2, np.int64), np.zeros(2, np.int64)
    usage = UsageColumns(ones, none, HOURS_MS[0] * ones, none, whole([quantity, 7]))
    owners = Owners(ones, 2 * ones)

    costs = costs_of_usage(usage, owners, Pricing(Meters(versions), prices, Whitelist([])), {})

    assert [is_priced, True] == costs.is_priced.tolist()
    assert [to_micro(CHARGE_MAX) if is_priced else 0, 7_000_000] == costs.micro.tolist()


@pytest.mark.parametrize("price", [one for one in PRICES if one] + ["0.1234567", "9.999999999999"])
@pytest.mark.parametrize("meter", METERS.values(), ids=lambda one: one.kind)
def test_nothing_overflows_near_the_end_of_a_column(price: str, meter: MeterDefinition) -> None:
    top, _ = (Fraction(price) * 10**6 / meter.quantity_per_unit).as_integer_ratio()
    edge = WELL_WITHIN // max(top, 1)
    for near in (0, 1, edge - 1, edge, edge + 1, WELL_WITHIN - 1, 2**63 - 1):
        for quantities in ([near], [-near], [near, -near, 3], [0, -(2**63)]):
            column = np.array(quantities, np.int64)
            expected = [to_micro(charge_of(one, Decimal(price), meter)) for one in quantities]
            assert expected == charges_of(column, Decimal(price), meter).tolist(), near


@pytest.mark.parametrize("denominator", [1, 2, 3, 4, 7, 3_600_000, 2**62 - 1])
def test_each_is_divided_to_the_even_half(denominator: int) -> None:
    multiples = [number * denominator for number in (*range(-5, 6), WELL_WITHIN // denominator)]
    numerators = [
        one + off
        for one in multiples
        for off in (-1, 0, 1, denominator // 2, -denominator // 2)
        if abs(one + off) < WELL_WITHIN
    ]

    divided = divide_each_half_even(np.array(numerators, np.int64), denominator)

    assert [round(Fraction(one, denominator)) for one in numerators] == divided.tolist()
    assert np.int64 == divided.dtype


ENDS = (0, 1, -1, 2**61 - 1, 2**61, WELL_WITHIN - 1, WELL_WITHIN, 2**63 - 1, -(2**63), 10**30)


@pytest.mark.parametrize("one", ENDS)
@pytest.mark.parametrize("other", ENDS)
def test_columns_are_added_without_overflow(one: int, other: int) -> None:
    for sign in (1, -1):
        total = added(whole([one, 5]), whole([sign * other, 6]))

        assert [one + sign * other, 11] == total.tolist()
        assert total.dtype == object or abs(one + sign * other) < WELL_WITHIN
        assert total.dtype == np.int64 or max(map(abs, (one, other))) >= 2**61
        assert all(type(number) is int for number in total.tolist())


def test_rows_are_grouped_as_a_dictionary_groups_them() -> None:
    assert [] == groups_of(np.empty(0, np.int64), np.empty(0, np.int64))
    for seed in range(50):
        chance = np.random.default_rng(seed)
        columns = chance.integers(-1, 3, (3, chance.integers(1, 40)))
        expected: dict[Any, list[int]] = defaultdict(list)
        for row, key in enumerate(zip(*columns.tolist(), strict=True)):
            expected[key].append(row)

        groups = groups_of(*columns)

        assert [expected[key] for key in sorted(expected)] == [one.tolist() for one in groups]


def test_hours_of_one_flavor_have_prices_of_their_own() -> None:
    prices = [
        Price(1, 2, None, START, Decimal(2), "test"),
        Price(2, 2, 1, START + timedelta(hours=1), Decimal(3), "test"),
        Price(3, 2, 1, START + timedelta(hours=2), None, "test"),
    ]
    versions = [MeterVersion(2, 2, METERS[2], START, None)]
    hours_ms = np.array([HOURS_MS[2], HOURS_MS[0], HOURS_MS[1], HOURS_MS[0] - HOUR_MS])
    ones, none = np.ones(4, np.int64), np.zeros(4, np.int64)
    usage = UsageColumns(ones, ones, hours_ms, none, 10 * ones)
    pricing = Pricing(Meters(versions), PriceList(prices), Whitelist([]))

    costs = costs_of_usage(usage, Owners(ones, 2 * ones), pricing, {})

    assert [20_000_000, 20_000_000, 30_000_000, 0] == costs.micro.tolist()
    assert [True, True, True, False] == costs.is_priced.tolist()
