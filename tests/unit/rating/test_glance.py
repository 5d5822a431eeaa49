"""What is accepted at a glance is what is accepted sample by sample."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from os_credits.domain.access import Access, Scope
from os_credits.domain.claim import NOT_STORED, OVER_ALLOWANCE, Claim, KnownKeys, KnownLabelSet
from os_credits.domain.key_spans import KeySpans
from os_credits.domain.meter import MeterDefinition, MeterVersion
from os_credits.domain.period import to_ms
from os_credits.domain.sample import STALE_MARKER_BITS, Push
from os_credits.rating.acceptance import judge, judge_each
from os_credits.rating.glance import accepted_at_a_glance
from os_credits.rating.judgement import AcceptanceWindow, Circumstances, Judgement

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2026, 1, 28, tzinfo=UTC)
NOW_MS = to_ms(START + timedelta(days=10))
MINUTE_MS = 60_000
STALE = float(np.array([STALE_MARKER_BITS], np.int64).view(np.float64)[0])
FOREVER_MS = 2**62
METERS = [
    MeterDefinition(name="vcpu", metric="vcpu", kind="counter", unit="u", project_name="p"),
    MeterDefinition(name="level", metric="level", kind="gauge", unit="u", project_name="p"),
    MeterDefinition(
        name="state", metric="state", kind="gauge", unit="u", project_name="p", value="one"
    ),
    MeterDefinition(name="amount", metric="amount", kind="delta", unit="u", project_name="p"),
]
VERSIONS = [MeterVersion(place, place, one, START, None) for place, one in enumerate(METERS)]
# What may be odd about a push; most have nothing, or one thing, of all these.
ODDITIES = (
    "delta", "unfit", "unstored", "over", "unknown", "broken", "unreadable", "twice taken",
    "not yet", "no more", "old", "ahead", "dropped", "untimed", "nan", "stale", "negative", "huge",
    "no site", "no meter", "no deltas",
)  # fmt: skip


def label_set(chance: random.Random, odd: str) -> KnownLabelSet:
    """Make what is known of a label set, which has this oddity or none."""
    place = chance.randrange(3) if odd != "delta" else 3
    ids = {"unstored": NOT_STORED, "over": OVER_ALLOWANCE}
    claim = Claim(
        ids.get(odd, chance.randrange(1000)),
        VERSIONS[place],
        chance.choice(("here", "there")),
        odd != "unfit",
        NOW_MS - (5 * MINUTE_MS if odd == "not yet" else 9 * 24 * 60 * MINUTE_MS),
        NOW_MS - 5 * MINUTE_MS if odd == "no more" else FOREVER_MS,
        "no such label" if odd == "broken" else None,
    )
    if odd == "unknown":
        return KnownLabelSet("nobody's")
    if odd == "unreadable":
        return KnownLabelSet("", invalid="two labels of one name")
    other = Claim(chance.randrange(1000), VERSIONS[1], "there", True, 0, FOREVER_MS)
    return KnownLabelSet("m", (claim, other) if odd == "twice taken" else (claim,))


def random_push(chance: random.Random) -> tuple[Push, KnownKeys, Circumstances]:
    odd = set(chance.sample(ODDITIES, chance.choice((0, 0, 1, 1, 2))))
    keys = chance.randint(1, 4)
    known = [label_set(chance, chance.choice([*sorted(odd), ""])) for _ in range(keys)]
    count = chance.randint(0, 12)
    times = [NOW_MS - chance.randrange(10) * MINUTE_MS for _ in range(count)]
    values = [chance.choice((0.0, 0.5, 7.0)) for _ in range(count)]
    untimed = np.zeros(count, np.bool_)
    for place in range(count):
        moments = {"old": -7 * 24 * 60, "ahead": 6, "dropped": -3 * 24 * 60}
        numbers = {"nan": float("nan"), "stale": STALE, "negative": -1.0, "huge": 1e300}
        if chance.random() < 0.2:
            for one in odd & set(moments):
                times[place] = NOW_MS + moments[one] * MINUTE_MS
            for one in odd & set(numbers):
                values[place] = numbers[one]
            untimed[place] = "untimed" in odd
    push = Push(
        unit="series",
        keys=KeySpans.of(str(number).encode() for number in range(keys)),
        key_index=np.array([chance.randrange(keys) for _ in range(count)], np.int32),
        times_ms=np.where(untimed, 0, np.array(times, np.int64)),
        values=np.array(values, np.float64),
        positions=np.arange(1, count + 1, dtype=np.int32),
        untimed=untimed,
    )
    access = Access(
        "test",
        frozenset({Scope.INGEST}),
        sites=frozenset({"here"}) if "no site" in odd else None,
        meters=frozenset({"vcpu", "level"}) if "no meter" in odd else None,
    )
    under = Circumstances(
        NOW_MS,
        AcceptanceWindow(past_ms=5 * 24 * 60 * MINUTE_MS, ahead_ms=5 * MINUTE_MS),
        access,
        deltas_allowed="no deltas" not in odd,
        kept_from_ms=NOW_MS - 2 * 24 * 60 * MINUTE_MS if "dropped" in odd else 0,
    )
    return push, columns_of(known), under


def columns_of(known: Sequence[KnownLabelSet]) -> KnownKeys:
    """Let plain label sets share kinds, as they do when they are remembered."""
    kinds: list[KnownLabelSet] = []
    index, ids = [], []
    for one in known:
        kind = one.kind() if one.is_plain else one
        if kind not in kinds or not one.is_plain:
            kinds.append(kind)
        index.append(len(kinds) - 1 if not one.is_plain else kinds.index(kind))
        ids.append(one.claims[0].label_set_id if one.claims else NOT_STORED)
    return KnownKeys(kinds, np.array(index), np.array(ids))


def told(judgement: Judgement) -> tuple[object, ...]:
    rows = zip(
        judgement.label_set_ids.tolist(),
        judgement.times_ms.tolist(),
        judgement.values.tolist(),
        strict=True,
    )
    return (
        sorted(map(repr, rows)), dict(judgement.accepted), judgement.last_ms,
        dict(judgement.set_aside), dict(judgement.unknown),
        sorted(map(repr, judgement.refused)), judgement.refused_count,
        judgement.unstored, judgement.by_site,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_a_glance_tells_what_a_close_look_does(seed: int) -> None:
    chance, glances = random.Random(seed), 0
    for _ in range(200):
        push, known, under = random_push(chance)
        glance, close = accepted_at_a_glance(push, known, under), judge_each(push, known, under)

        assert told(close) == told(judge(push, known, under))
        glances += glance is not None
        # Whatever is not accepted is not overlooked.
        assert glance is None or len(push) == len(close) == len(glance)
    assert 40 < glances < 160
