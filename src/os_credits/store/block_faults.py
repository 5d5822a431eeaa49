"""Looks for blocks of samples that are not as the service writes them; pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import DAY_MS
from os_credits.store.block_bytes import BLOCK_SAMPLES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from os_credits.store.block_bytes import Arrays

_US_PER_DAY = DAY_MS * 1000


@dataclass(frozen=True, slots=True)
class Blocks:
    """Rows of `sample_block` in columns, in any order; times in microseconds since the epoch.

    `is_mixed` tells which of them have label sets of their own for each sample.
    """

    series_ids: NDArray[np.int64]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    label_set_ids: NDArray[np.int64]
    offsets_ms: Arrays
    values: Arrays
    label_sets: Arrays
    is_mixed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BlockFault:
    """A block of which something is not as it has to be: what is stored, and what should be."""

    series_id: int
    first_ms: int
    stored: str
    expected: str


def find_faults(blocks: Blocks) -> Iterator[BlockFault]:
    """Give each fault of each block, the same kinds together."""
    last_us = _real_last_us(blocks)
    label_sets = _last_of(blocks.label_sets)
    counts = blocks.offsets_ms.counts
    checks = (
        (
            (counts < 1)
            | (counts > BLOCK_SAMPLES_MAX)
            | (counts != blocks.values.counts)
            | (blocks.is_mixed & (counts != blocks.label_sets.counts)),
            "lists of different lengths, or not readable",
            f"1 to {BLOCK_SAMPLES_MAX} samples in each list",
        ),
        (_is_unsorted(blocks.offsets_ms), "times that do not rise", "times that rise from 0"),
        (last_us != blocks.last_us, "another end", "the time of its last sample as its end"),
        (
            (blocks.first_us % 1000 != 0)
            | (blocks.first_us // _US_PER_DAY != last_us // _US_PER_DAY),
            "more than one day, or less than a millisecond",
            "whole milliseconds of one day",
        ),
        (
            blocks.is_mixed & (label_sets != blocks.label_set_ids),
            "another label set",
            "the label set of its last sample",
        ),
        (
            _is_overlapped(blocks, np.maximum(last_us, blocks.last_us)),
            "another block within it",
            "blocks one after the other",
        ),
    )
    for wrong, stored, expected in checks:
        for place in np.flatnonzero(wrong).tolist():
            series_id, first_us = int(blocks.series_ids[place]), int(blocks.first_us[place])
            yield BlockFault(series_id, first_us // 1000, stored, expected)


def _real_last_us(blocks: Blocks) -> NDArray[np.int64]:
    return np.asarray(blocks.first_us + 1000 * _last_of(blocks.offsets_ms))


def _last_of(arrays: Arrays) -> NDArray[np.int64]:
    """Give the last element of each array, 0 where there is none."""
    items = np.r_[arrays.items(arrays.counts).astype(np.int64), 0]
    last = np.cumsum(arrays.counts) - 1
    return np.where(arrays.counts > 0, items[last], 0)


def _is_unsorted(offsets_ms: Arrays) -> NDArray[np.bool_]:
    counts = offsets_ms.counts
    items = offsets_ms.items(counts).astype(np.int64)
    blocks = np.repeat(np.arange(len(counts)), counts)
    is_first = np.r_[True, blocks[1:] != blocks[:-1]][: len(items)]
    before = np.r_[0, items[:-1]][: len(items)]
    wrong = np.where(is_first, items != 0, items <= before)
    return np.bincount(blocks[wrong], minlength=len(counts)) > 0


def _is_overlapped(blocks: Blocks, last_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which blocks end when or after the next one of their series has begun."""
    order = np.lexsort((blocks.first_us, blocks.series_ids))
    series_ids, first_us = blocks.series_ids[order], blocks.first_us[order]
    found = np.zeros(len(order), np.bool_)
    is_overlapped = (series_ids[1:] == series_ids[:-1]) & (first_us[1:] <= last_us[order][:-1])
    found[order[:-1][is_overlapped]] = True
    return found
