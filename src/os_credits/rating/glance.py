"""Accepts the usual push, of which nothing is odd, without looking at each sample of it.

What `acceptance.py` compares with every sample is compared here with the least and the largest
time and value. Whatever does not pass is judged there, one by one, with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.meter import MeterKind, MeterValue
from os_credits.rating.judgement import Judgement
from os_credits.rating.usage import in_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from os_credits.domain.claim import KnownKeys, KnownLabelSet
    from os_credits.domain.sample import Push
    from os_credits.rating.judgement import Circumstances


def accepted_at_a_glance(push: Push, known: KnownKeys, under: Circumstances) -> Judgement | None:
    """Accept all samples of a push; None if any of them may have to be treated otherwise."""
    if not len(push) or push.untimed.any():
        return None
    first_ms, last_ms = int(push.times_ms.min()), int(push.times_ms.max())
    # One NaN makes both of them NaN.
    extremes = np.array([push.values.min(), push.values.max()])
    if not _is_within(first_ms, last_ms, under) or np.isnan(extremes).any():
        return None
    if not all(_takes_all(kind, first_ms, last_ms, extremes, under) for kind in known.kinds):
        return None
    judgement = Judgement(known.label_set_ids[push.key_index], push.times_ms, push.values)
    numbers = known.kind_index[push.key_index]
    latest = np.full(len(known.kinds), first_ms)
    np.maximum.at(latest, numbers, push.times_ms)
    counts = np.bincount(numbers, minlength=len(known.kinds))
    for kind, count, time_ms in zip(known.kinds, counts.tolist(), latest.tolist(), strict=True):
        _count(judgement, kind, count, time_ms)
    return judgement


def _is_within(first_ms: int, last_ms: int, under: Circumstances) -> bool:
    oldest_ms = max(under.now_ms - under.window.past_ms, under.kept_from_ms)
    return oldest_ms <= first_ms and last_ms <= under.now_ms + under.window.ahead_ms


def _takes_all(
    kind: KnownLabelSet,
    first_ms: int,
    last_ms: int,
    extremes: NDArray[np.float64],
    under: Circumstances,
) -> bool:
    """Tell whether one meter takes everything between these times and values."""
    if not kind.is_plain:
        return False
    [claim] = kind.claims
    definition = claim.version.definition
    return (
        claim.invalid is None
        and claim.from_ms <= first_ms
        and last_ms < claim.until_ms
        and under.access.may_feed(claim.site, definition.name)
        and definition.kind is not MeterKind.DELTA
        and (claim.fits or definition.kind is MeterKind.GAUGE)
        and (definition.value is MeterValue.ONE or bool(in_range(extremes, definition).all()))
    )


def _count(judgement: Judgement, kind: KnownLabelSet, count: int, latest_ms: int) -> None:
    """Count accepted samples of a kind, `latest_ms` being the time of the latest."""
    [claim] = kind.claims
    so_far, latest = judgement.by_site.get(claim.site, (0, None))
    if count:
        name = claim.version.definition.name
        judgement.accepted[name] += count
        judgement.last_ms[name] = max(latest_ms, judgement.last_ms.get(name, latest_ms))
        latest = latest_ms if latest is None else max(latest_ms, latest)
    judgement.by_site[claim.site] = so_far + count, latest
