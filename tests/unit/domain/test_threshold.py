"""Which lines there can be, and how rules replace them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from os_credits.domain.threshold import Line, LineKind, LineRule, Lines, rule_of
from os_credits.errors import InvalidInput


@pytest.mark.parametrize(
    "name,value",
    [
        ("percents", (Decimal(-1),)),
        ("percents", (Decimal("100.001"),)),
        ("percents", (Decimal("33.3333"),)),
        ("percents", (Decimal("NaN"),)),
        ("percents", (Decimal("Infinity"),)),
        ("percents", tuple(map(Decimal, range(21)))),
        ("credits", (Decimal("0.0000001"),)),
        ("credits", (Decimal(10) ** 18,)),
        ("days", (Decimal(-1),)),
        ("days", (Decimal(3651),)),
        ("burn_per_day", (Decimal(0),)),
        ("hysteresis_percent", Decimal(101)),
        ("cool_down_hours", -1),
        ("cool_down_hours", 8761),
    ],
)
def test_what_cannot_be_a_line_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=name):
        Lines(**{name: value})
    with pytest.raises(InvalidInput, match=name):
        LineRule(**{name: value})


def test_lines_are_sorted_gravest_first_and_repeated_ones_count_once() -> None:
    lines = Lines(
        percents=(Decimal(50), Decimal("20.0"), Decimal(0), Decimal(20)),
        burn_per_day=(Decimal(5), Decimal(10)),
    )

    assert [Line(LineKind.PERCENT, Decimal(value)) for value in (0, 20, 50)] + [
        Line(LineKind.BURN, Decimal(value)) for value in (10, 5)
    ] == list(lines.all())


def test_a_rule_replaces_what_it_names_only() -> None:
    lines = Lines(percents=(Decimal(50),), days=(Decimal(7),), cool_down_hours=5)

    changed = LineRule(percents=(), credits=(Decimal(100),), cool_down_hours=0).over(lines)

    assert Lines(credits=(Decimal(100),), days=(Decimal(7),), cool_down_hours=0) == changed


@pytest.mark.parametrize(
    "rule",
    [
        LineRule(),
        LineRule(percents=(), cool_down_hours=0),
        LineRule(
            percents=(Decimal("12.5"),),
            credits=(Decimal("-0.000001"), Decimal(10) ** 17),
            days=(Decimal(7),),
            burn_per_day=(Decimal("0.5"),),
            hysteresis_percent=Decimal("2.5"),
            cool_down_hours=24,
        ),
    ],
)
def test_a_rule_survives_its_json(rule: LineRule) -> None:
    assert rule == rule_of(json.loads(json.dumps(rule.definition())))
