"""Every sample of a push is accepted, set aside, refused or unknown: none is lost unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
import pytest

from os_credits.domain.access import Access, Scope
from os_credits.domain.claim import NOT_STORED, Claim, KnownKeys, KnownLabelSet
from os_credits.domain.key_spans import KeySpans
from os_credits.domain.meter import MeterDefinition, MeterVersion
from os_credits.domain.period import to_ms
from os_credits.domain.sample import Push
from os_credits.rating.acceptance import judge
from os_credits.rating.judgement import AcceptanceWindow, Circumstances, Judgement

NOW_MS = to_ms(datetime(2026, 1, 31, tzinfo=UTC))
DAY_MS = 86_400_000
FIRST_MS = NOW_MS - 3 * DAY_MS
UNDER = Circumstances(
    NOW_MS,
    AcceptanceWindow(35 * DAY_MS, 600_000),
    Access("test", frozenset({Scope.INGEST})),
    deltas_allowed=True,
)
METER = MeterDefinition(
    name="vcpu", metric="vcpu", kind="counter", unit="vCPU-hour", project_name="project"
)
VERSION = MeterVersion(1, 1, METER, datetime(2026, 1, 28, tzinfo=UTC), None)
KNOWN = KnownLabelSet("vcpu", (Claim(7, VERSION, "", True, FIRST_MS, 2**62),))


def judged(known: list[KnownLabelSet], samples: list[tuple[int, int, float]]) -> Judgement:
    """Judge samples, each the number of its label set, a time and a value."""
    count = len(samples)
    push = Push(
        unit="series",
        keys=KeySpans.of(str(number).encode() for number in range(len(known))),
        key_index=np.array([number for number, _, _ in samples], np.int32),
        times_ms=np.array([time for _, time, _ in samples], np.int64),
        values=np.array([value for _, _, value in samples], np.float64),
        positions=np.arange(1, count + 1, dtype=np.int32),
        untimed=np.zeros(count, np.bool_),
    )
    return judge(push, KnownKeys.of(known), UNDER)


@pytest.mark.parametrize(
    "time_ms, code",
    [
        (-(2**63), "too_old"),
        (-1, "too_old"),
        (NOW_MS - 36 * DAY_MS, "too_old"),
        (NOW_MS + 600_001, "too_far_ahead"),
        (2**62, "too_far_ahead"),
        (2**63 - 1, "too_far_ahead"),
    ],
)
def test_a_time_that_no_meter_version_covers_is_refused_by_the_window(
    time_ms: int, code: str
) -> None:
    result = judged([KNOWN], [(0, time_ms, 1.0), (0, NOW_MS, 2.0)])

    assert [(code, "series 1")] == [(code, one.where) for code, one in result.refused]
    assert [2.0] == result.values.tolist()


def test_a_label_set_that_is_not_stored_is_never_accepted_and_never_refused_for_good() -> None:
    """It was too old when it was looked at, and is not now: the push has to come again."""
    lost = KnownLabelSet("vcpu", (replace(KNOWN.claims[0], label_set_id=NOT_STORED),))
    result = judged([KNOWN, lost], [(0, NOW_MS, 1.0), (1, NOW_MS, 2.0), (1, NOW_MS - 1, 3.0)])

    assert (2, []) == (result.unstored, result.refused)
    assert ([7], [1.0]) == (result.label_set_ids.tolist(), result.values.tolist())


def test_a_sample_before_the_first_version_of_its_meter_is_of_an_unknown_metric() -> None:
    result = judged([KNOWN], [(0, FIRST_MS - 1, 1.0), (0, FIRST_MS, 2.0)])

    assert {"vcpu": 1} == dict(result.unknown)
    assert ([7], [2.0]) == (result.label_set_ids.tolist(), result.values.tolist())


def test_interleaved_label_sets_keep_their_samples_apart() -> None:
    unknown, broken = KnownLabelSet("nobody's"), KnownLabelSet("", invalid="no project")
    samples = [(number, NOW_MS, float(place)) for place, number in enumerate([1, 0, 2, 0, 1, 1])]
    result = judged([KNOWN, unknown, broken], samples)

    assert [1.0, 3.0] == result.values.tolist()
    assert {"nobody's": 3} == dict(result.unknown)
    assert [("labels", "series 3")] == [(code, one.where) for code, one in result.refused]


def test_very_many_unknown_metrics_in_one_body_do_not_hold_up_the_others() -> None:
    count = 100_000
    known = [KnownLabelSet(str(number)) for number in range(count)]
    started = perf_counter()
    result = judged(known, [(number, NOW_MS, 1.0) for number in range(count)])

    assert count == result.unknown.total()
    # Looking through all samples for each of them takes more than ten seconds.
    assert perf_counter() - started < 3
