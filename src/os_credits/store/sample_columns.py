"""Samples in columns, and how rows of tables become them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import to_ms
from os_credits.store.block_bytes import arrays_of, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """Samples in columns."""

    series_ids: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    label_set_ids: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.times_ms)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> StoredSamples:
        """Keep the chosen rows, in the order chosen."""
        return StoredSamples(
            self.series_ids[chosen],
            self.times_ms[chosen],
            self.values[chosen],
            self.label_set_ids[chosen],
        )

    def join(self, other: StoredSamples) -> StoredSamples:
        """Put other rows after these."""
        return StoredSamples(
            np.concatenate([self.series_ids, other.series_ids]),
            np.concatenate([self.times_ms, other.times_ms]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.label_set_ids, other.label_set_ids]),
        )


def blocks_of(rows: Sequence[Record]) -> tuple[NDArray[np.int64], StoredSamples]:
    """Unpack blocks, or pieces of them; gives of each sample the place of its row, and all samples.

    Arrays stand in the rows as `array_send` writes them, as `offsets`, `values` and `label_sets`.
    """
    last_ids = np.array([row["label_set_id"] for row in rows], np.int64)
    held = unpack(
        *arrays_of(
            [row["offsets"] for row in rows],
            [row["values"] for row in rows],
            [row["label_sets"] for row in rows],
        ),
        last_ids,
    )
    series_ids = np.array([row["series_id"] for row in rows], np.int64)
    first_ms = np.array([to_ms(row["first_at"]) for row in rows], np.int64)
    return held.blocks, StoredSamples(
        series_ids[held.blocks],
        first_ms[held.blocks] + held.offsets_ms,
        held.values,
        held.label_set_ids,
    )


def columns_of(rows: Sequence[Record]) -> StoredSamples:
    """Put rows with the columns of `sample` into columns."""
    return StoredSamples(
        np.array([row["series_id"] for row in rows], np.int64),
        np.array([to_ms(row["measured_at"]) for row in rows], np.int64),
        np.array([row["value"] for row in rows], np.float64),
        np.array([row["label_set_id"] for row in rows], np.int64),
    )


def joined(parts: Sequence[StoredSamples]) -> StoredSamples:
    """Put one after the other."""
    return StoredSamples(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("series_ids", "times_ms", "values", "label_set_ids")
        )
    )


def without_repetition(rows: StoredSamples) -> StoredSamples:
    """Keep one row of each series and time."""
    order = np.lexsort((rows.times_ms, rows.series_ids))
    series_ids, times_ms = rows.series_ids[order], rows.times_ms[order]
    is_other = (series_ids[1:] != series_ids[:-1]) | (times_ms[1:] != times_ms[:-1])
    return rows.where(order[np.r_[True, is_other][: len(order)]])
