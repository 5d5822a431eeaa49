"""What specs cost for an hour, by the prices of that hour."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from os_credits.domain.meter import MeterDefinition, MeterKind, MeterValue
from os_credits.domain.period import EPOCH, HOUR_MS, to_ms
from os_credits.domain.price import Price, PriceList
from os_credits.errors import InvalidInput, NotFound
from os_credits.rating.quote import PriceTable

SERVERS, DISKS, VCPUS = 1, 2, 3
FLAVORS = {0: "", 1: "small", 2: "large", 3: "unpriced"}
CHANGE = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE, AFTER = to_ms(CHANGE) - HOUR_MS, to_ms(CHANGE)


def _meter(name: str, kind: MeterKind, **more: object) -> MeterDefinition:
    values = {"name": name, "metric": f"{name}_total", "kind": kind, "unit": name, **more}
    return MeterDefinition.model_validate({"project_id": "project", **values})


METERS = {
    SERVERS: _meter("servers", MeterKind.GAUGE, value=MeterValue.ONE, flavor="flavor"),
    DISKS: _meter("disks", MeterKind.GAUGE, flavor="flavor"),
    VCPUS: _meter("vcpus", MeterKind.COUNTER),
}


def _table(*prices: tuple[int, int | None, str | None, datetime]) -> PriceTable:
    listed = [
        Price(number, meter, flavor, start, None if amount is None else Decimal(amount), "test")
        for number, (meter, flavor, amount, start) in enumerate(prices, 1)
    ]
    return PriceTable(METERS, FLAVORS, PriceList(listed))


def test_a_flavor_is_priced_by_every_meter_that_prices_it() -> None:
    table = _table(
        (SERVERS, 1, "1.5", EPOCH), (DISKS, 1, "0.1", EPOCH), (DISKS, None, "7", EPOCH),
        (VCPUS, None, "9", EPOCH),
    )  # fmt: skip

    lines = table.quote_flavor("small", Decimal(2), AFTER)

    assert [(line.meter, line.credits) for line in lines] == [
        ("servers", Decimal(3)),
        ("disks", Decimal("0.2")),
    ]


def test_presence_without_a_price_of_the_flavor_costs_the_meters_own_price() -> None:
    table = _table((SERVERS, None, "4", EPOCH), (DISKS, None, "7", EPOCH))

    [line] = table.quote_flavor("small", Decimal(1), AFTER)

    assert (line.meter, line.credits_per_unit) == ("servers", Decimal(4))


def test_the_price_of_the_hour_counts_and_an_ended_one_does_not() -> None:
    table = _table(
        (VCPUS, None, "1", EPOCH),
        (VCPUS, None, "2", CHANGE),
        (VCPUS, None, None, CHANGE + timedelta(hours=1)),
    )

    assert table.quote_meter("vcpus", Decimal(3), BEFORE).credits == Decimal(3)
    assert table.quote_meter("vcpus", Decimal(3), AFTER).credits == Decimal(6)
    with pytest.raises(NotFound, match="vcpus"):
        table.quote_meter("vcpus", Decimal(3), AFTER + HOUR_MS)
    assert list(table.own_prices(BEFORE)) == ["vcpus"]
    assert table.own_prices(AFTER + HOUR_MS) == {}


def test_a_meter_is_known_by_its_metric_too() -> None:
    table = _table((VCPUS, None, "1", EPOCH))

    assert table.quote_meter("vcpus_total", Decimal(1), AFTER).meter == "vcpus"


def test_what_is_unknown_or_unpriced_is_named() -> None:
    table = _table((VCPUS, None, "1", EPOCH))

    for flavor in ("unpriced", "never seen", ""):
        with pytest.raises(NotFound, match=repr(flavor)):
            table.quote_flavor(flavor, Decimal(1), AFTER)
    with pytest.raises(NotFound, match="no meter 'other'"):
        table.quote_meter("other", Decimal(1), AFTER)


@pytest.mark.parametrize(
    "count,price,expected",
    [
        ("0.5", "0.000001", "0.000000"),  # half of the smallest amount: to even
        ("1.5", "0.000001", "0.000002"),
        ("2.5", "0.000001", "0.000002"),
        ("0.1", "0.3", "0.030000"),
        ("0", "5", "0.000000"),
        ("1000000000", "0.000000000001", "0.001000"),
    ],
)
def test_credits_are_rounded_once_half_to_even(count: str, price: str, expected: str) -> None:
    table = _table((VCPUS, None, price, EPOCH))

    assert str(table.quote_meter("vcpus", Decimal(count), AFTER).credits) == expected


def test_a_cost_beyond_all_amounts_is_refused() -> None:
    table = _table((VCPUS, None, "999999999999999", EPOCH))

    with pytest.raises(InvalidInput, match="vcpus"):
        table.quote_meter("vcpus", Decimal(10**9), AFTER)
