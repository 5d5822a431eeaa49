"""What is remembered of usage is what was noted last, as a dictionary remembers it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from os_credits.domain.usage import CostColumns, UsageColumns, UsageKind, whole
from os_credits.flows import open_usage
from os_credits.flows.open_usage import OpenUsage

HOUR_MS = 3_600_000
# Series, flavor, hour and kind.
Key = tuple[int, int, int, int]
# Quantity, and millionths or None without a price.
Stored = tuple[int, int | None]
# By series: flavor and hour of the row that is remembered, and what it holds.
Model = dict[int, tuple[int, int, Stored]]


def columns(rows: dict[Key, Stored]) -> tuple[UsageColumns, CostColumns]:
    keys = np.array(list(rows), np.int64).reshape(-1, 4).T
    stored = list(rows.values())
    return (
        UsageColumns(
            keys[0], keys[1], keys[2], keys[3], whole([quantity for quantity, _ in stored])
        ),
        CostColumns(
            whole([micro or 0 for _, micro in stored]),
            np.array([micro is not None for _, micro in stored], np.bool_),
        ),
    )


def note(known: OpenUsage, rows: dict[Key, Stored]) -> None:
    """Note rows as they are written: by hour."""
    known.note(*columns(dict(sorted(rows.items(), key=lambda row: row[0][2]))))


def asked(known: OpenUsage, keys: list[Key]) -> list[Stored | None]:
    found, quantities, costs = known.find(columns(dict.fromkeys(keys, (999, 999)))[0])
    assert not quantities[~found].any()
    assert not costs.micro[~costs.is_priced].any()
    assert not costs.is_priced[~found].any()
    return [
        (quantity, micro if priced else None) if is_found else None
        for is_found, quantity, micro, priced in zip(
            found.tolist(),
            quantities.tolist(),
            costs.micro.tolist(),
            costs.is_priced.tolist(),
            strict=True,
        )
    ]


def expected(model: Model, keys: list[Key]) -> list[Stored | None]:
    return [
        model[series][2]
        if kind == UsageKind.BILLED and model.get(series, (None, None))[:2] == (flavor, hour_ms)
        else None
        for series, flavor, hour_ms, kind in keys
    ]


def remember(model: Model, rows: dict[Key, Stored]) -> None:
    numbers = [number or 0 for stored in rows.values() for number in stored]
    if any(abs(number) >= 2**62 for number in numbers):
        for series, *_ in rows:
            model.pop(series, None)
        return
    for (series, flavor, hour_ms, kind), stored in sorted(rows.items(), key=lambda row: row[0][2]):
        latest = model[series][1] if series in model else hour_ms
        if kind == UsageKind.BILLED and hour_ms >= latest:
            model[series] = flavor, hour_ms, stored


def drawn(chance: random.Random, *, large: bool) -> dict[Key, Stored]:
    numbers = (0, 1, -7, 2**61, *([2**62, 10**25] if large else []))
    return {
        (
            chance.choice((1, 2, 3, 50, 2**40)), chance.randrange(2),
            HOUR_MS * chance.randrange(4), chance.choice((0, 0, 0, 1, 2)),
        ): (chance.choice(numbers), chance.choice((None, *numbers)))
        for _ in range(chance.randint(0, 12))
    }  # fmt: skip


ALL_KEYS = [
    (series, flavor, HOUR_MS * hour, kind)
    for series in (1, 2, 3, 4, 50, 2**40)
    for flavor in range(2)
    for hour in range(4)
    for kind in range(3)
]


@pytest.mark.parametrize("seed", range(20))
def test_it_remembers_what_a_dictionary_does(seed: int) -> None:
    chance, known, model = random.Random(seed), OpenUsage(), Model()
    found = 0
    for _ in range(40):
        if chance.random() < 0.05:
            known.clear()
            model.clear()
        rows = drawn(chance, large=chance.random() < 0.2)
        note(known, rows)
        remember(model, rows)

        keys = chance.sample(ALL_KEYS, len(ALL_KEYS))
        assert expected(model, keys) == asked(known, keys)
        assert [] == asked(known, [])
        found += len(model)
    assert found > 0


def test_a_late_hour_is_not_remembered_and_does_no_harm() -> None:
    known, late, current = OpenUsage(), (7, 1, HOUR_MS, 0), (7, 1, 2 * HOUR_MS, 0)
    note(known, {current: (5, 50)})
    note(known, {late: (6, 60)})

    assert [None, (5, 50)] == asked(known, [late, current])


def test_of_another_flavor_or_kind_nothing_is_said() -> None:
    known = OpenUsage()
    note(known, {(7, 1, HOUR_MS, 0): (5, 50), (8, 1, HOUR_MS, 1): (6, None)})

    others: list[Key] = [
        (7, 2, HOUR_MS, 0),
        (7, 1, HOUR_MS, 1),
        (8, 1, HOUR_MS, 1),
        (9, 1, HOUR_MS, 0),
    ]
    assert [None] * 4 == asked(known, others)


@pytest.mark.parametrize("large", [(2**62, 5), (5, 2**62)], ids=["quantity", "costs"])
def test_numbers_too_large_for_it_are_forgotten_rather_than_kept_wrong(large: Stored) -> None:
    known, one, other = OpenUsage(), (7, 1, HOUR_MS, 0), (8, 1, HOUR_MS, 0)
    note(known, {one: (1, 1), other: (2, 2)})
    note(known, {one: large})
    assert [None, (2, 2)] == asked(known, [one, other])

    note(known, {one: (3, None)})
    assert [(3, None), (2, 2)] == asked(known, [one, other])


def test_it_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_usage, "SERIES_MAX", 10)
    known = OpenUsage()
    for series in range(0, 100, 4):
        rows: dict[Key, Stored] = {(series + n, 0, HOUR_MS, 0): (series + n, 1) for n in range(4)}
        note(known, rows)

        assert list(rows.values()) == asked(known, list(rows))
        kept = asked(known, [(one, 0, HOUR_MS, 0) for one in range(100)])
        assert 4 <= sum(one is not None for one in kept) <= 10
