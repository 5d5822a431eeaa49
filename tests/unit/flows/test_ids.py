"""Ids give rows as a dictionary does; so do the last samples and the facts kept in them."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from os_credits.flows.facts import Facts
from os_credits.flows.ids import UNKNOWN, Ids, grown
from os_credits.flows.tails import Tails
from os_credits.store import flavors as flavor_table
from os_credits.store import label_sets, samples
from os_credits.store.label_sets import StoredLabelSet
from os_credits.store.sample_columns import StoredSamples

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from os_credits.store.pool import Connection

NOBODY = cast("Connection", None)
# Time, value and label set.
Sample = tuple[int, float, int]


def ints(numbers: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(numbers), np.int64)


@pytest.mark.parametrize("seed", range(10))
def test_ids_keep_a_row_of_their_own_whatever_is_added_and_forgotten(seed: int) -> None:
    chance, ids, held, most = random.Random(seed), Ids(), dict[int, int](), 0
    some = [*range(-3, 60), 2**40, 2**62, -(2**62)]
    for _ in range(200):
        wanted = chance.choices(some, k=chance.randint(0, 12))
        if chance.random() < 0.4:
            ids.forget(ints(wanted))
            held = {one: row for one, row in held.items() if one not in wanted}
        elif chance.random() < 0.02:
            ids.clear()
            held, most = {}, 0
        else:
            new = ids.strangers(ints(wanted))
            assert sorted({one for one in wanted if one not in held}) == new.tolist()
            held |= dict(zip(new.tolist(), ids.add(new).tolist(), strict=True))
        most = max(most, len(held))
        assert len(held) == len(set(held.values())) == len(ids)
        assert [held.get(one, UNKNOWN) for one in some] == ids.rows(ints(some)).tolist()
        assert most == ids.row_count


def test_what_is_forgotten_and_added_again_and_again_takes_no_more_rows() -> None:
    ids = Ids()
    ids.add(ints(range(10)))
    for _ in range(100):
        ids.forget(ints([3, 4]))
        ids.add(ints([3, 4]))
    assert 10 == ids.row_count


def test_a_stranger_has_no_row_of_somebody_else() -> None:
    ids = Ids()
    ids.add(ints([5, 9]))

    assert [0, 1, 0] == ids.known_rows(ints([5, 9, 5])).tolist()
    assert [] == ids.known_rows(ints([])).tolist()
    for stranger in (-1, 7, 10):
        with pytest.raises(LookupError, match=f"number {stranger}"):
            ids.known_rows(ints([5, stranger]))


@pytest.mark.parametrize("shape", [(), (2,)])
def test_columns_grow_with_room_to_spare_and_keep_what_they_hold(shape: tuple[int, ...]) -> None:
    column = np.ones((3, *shape), np.int32)

    assert column is grown(column, 3)
    larger = grown(column, 80)

    assert (90, *shape) == larger.shape
    assert np.int32 == larger.dtype
    assert larger[:3].all()
    assert not larger[3:].any()


@dataclass
class Stored:
    """Samples by series, each with its time, value and label set, as a database has them."""

    by_series: dict[int, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    read: list[list[int]] = field(default_factory=list)

    async def read_tails(self, conn: Connection, series_ids: list[int]) -> StoredSamples:
        """Give the last two of each, in no useful order."""
        self.read.append(series_ids)
        rows = [(one, *row) for one in series_ids for row in self.by_series[one][:-3:-1]]
        return columns(rows)


def columns(rows: list[tuple[int, int, float, int]]) -> StoredSamples:
    return StoredSamples(
        ints(row[0] for row in rows),
        ints(row[1] for row in rows),
        np.array([row[2] for row in rows], np.float64),
        ints(row[3] for row in rows),
    )


def listed(rows: StoredSamples) -> list[tuple[int, int, float, int]]:
    return list(
        zip(
            rows.series_ids.tolist(),
            rows.times_ms.tolist(),
            rows.values.tolist(),
            rows.label_set_ids.tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize("seed", range(10))
async def test_tails_are_the_last_two_samples(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, tails, stored = random.Random(seed), Tails(), Stored()
    monkeypatch.setattr(samples, "read_tails", stored.read_tails)
    for series in (1, 2, 3):
        stored.by_series[series] = [(-9 - back, 0.5, 4) for back in range(series, 1, -1)]
    for step in range(40):
        series_ids = sorted(chance.sample(range(1, 7), 4))
        await tails.learn(NOBODY, ints(series_ids))
        before = {one: stored.by_series[one][-2:] for one in series_ids}
        assert [(one, *row) for one in series_ids for row in before[one]] == listed(
            tails.of(ints(series_ids))
        )
        assert [before[one][-1][0] if before[one] else -(2**62) for one in series_ids] == (
            tails.last_ms(ints(series_ids)).tolist()
        )
        new = {
            one: [(10 * step + n, chance.random(), chance.randrange(9)) for n in range(count)]
            for one in series_ids
            for count in [chance.randrange(4)]
        }
        tails.append(columns([(one, *row) for one in series_ids for row in new[one]]))
        for one, rows in new.items():
            stored.by_series[one] += rows
        if chance.random() < 0.2:
            tails.forget(ints(chance.sample(range(1, 7), 2)))
    tails.clear()
    stored.read.clear()
    await tails.learn(NOBODY, ints([3, 1, 3]))
    await tails.learn(NOBODY, ints([1, 2, 3]))
    assert [[1, 3], [2]] == stored.read


async def test_facts_are_learned_once_and_told_by_label_set_and_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Flavors and names rank as texts do, whatever their ids.
    flavors, read = {5: "small", 6: "large", 0: ""}, list[list[int]]()
    sets = {
        40: StoredLabelSet(40, 4, 2, 1, 6, fits=True, project_name="b"),
        41: StoredLabelSet(41, 4, 2, 1, 5, fits=False, project_name="a"),
        30: StoredLabelSet(30, 3, 9, 8, 6, fits=True, project_name="a"),
        31: StoredLabelSet(31, 3, 9, 8, 0, fits=True, project_name=""),
    }

    async def read_label_sets(conn: Connection, ids: list[int]) -> list[StoredLabelSet]:
        read.append(ids)
        return [sets[one] for one in reversed(ids)]

    async def list_flavors(conn: Connection) -> dict[int, str]:
        return flavors

    monkeypatch.setattr(label_sets, "read_label_sets", read_label_sets)
    monkeypatch.setattr(flavor_table, "list_flavors", list_flavors)
    facts, asked = Facts(), ints([41, 30, 40, 31, 41])
    await facts.learn(NOBODY, ints([40, 40]))
    await facts.learn(NOBODY, asked)
    await facts.learn(NOBODY, asked)

    assert ([[40], [30, 31, 41]], 4) == (read, len(facts))
    assert [4, 3, 4, 3, 4] == facts.series_ids(asked).tolist()
    fits, flavor_ids, ranks = facts.columns(asked)
    assert ([False, True, True, True, False], [5, 6, 6, 0, 5], [3, 1, 2, 0, 3]) == (
        fits.tolist(), flavor_ids.tolist(), ranks.tolist(),
    )  # fmt: skip
    assert ([8, 1], [9, 2]) == (
        facts.project_ids(ints([3, 4])).tolist(), facts.meter_ids(ints([3, 4])).tolist(),
    )  # fmt: skip
    # The latest that gives a name; of two at one moment the greater; an empty one is none.
    assert {1: (7, "b"), 8: (2, "a")} == facts.names_given(
        ints([41, 40, 41, 30, 31]), ints([7, 7, 3, 2, 9])
    )
    assert {} == facts.names_given(ints([]), ints([]))
