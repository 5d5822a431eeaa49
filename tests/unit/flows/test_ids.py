"""Rows of columns are found by id, and those of forgotten ids are used again."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from os_credits.flows.ids import UNKNOWN, Ids


def column(*ids: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(ids, np.int64)


@pytest.mark.parametrize("seed", range(10))
def test_ids_keep_a_row_of_their_own_whatever_is_added_and_forgotten(seed: int) -> None:
    chance = Random(f"ids {seed}")
    ids, held = Ids(), dict[int, int]()
    most = 0
    for _ in range(200):
        some = column(*sorted(chance.sample(range(60), chance.randrange(1, 12))))
        if chance.random() < 0.4:
            ids.forget(some)
            held = {one: row for one, row in held.items() if one not in some}
        else:
            new = ids.strangers(some)
            assert [one for one in some.tolist() if one not in held] == new.tolist()
            held |= dict(zip(new.tolist(), ids.add(new).tolist(), strict=True))
        most = max(most, len(held))
        assert len(held) == len(set(held.values())) == len(ids)
        every = column(*range(60))
        assert [held.get(one, UNKNOWN) for one in range(60)] == ids.rows(every).tolist()
    assert most == ids.row_count


def test_what_is_forgotten_and_added_again_and_again_takes_no_more_rows() -> None:
    ids = Ids()
    ids.add(column(*range(10)))
    for _ in range(100):
        ids.forget(column(3, 4))
        ids.add(column(3, 4))
    assert 10 == ids.row_count
