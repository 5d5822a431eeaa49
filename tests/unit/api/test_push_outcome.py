"""How a receipt is summed up for its sender."""

from collections import Counter

import numpy as np

from os_credits.api.push_outcome import REASONS_LENGTH_MAX, REASONS_NAMED_MAX, outcome_of
from os_credits.domain.key_spans import KeySpans
from os_credits.domain.sample import Push, Rejected
from os_credits.flows.ingest import Receipt


def push_of(sample_count: int, *unreadable: Rejected) -> Push:
    return Push(
        unit="line",
        keys=KeySpans.of([b"k"]),
        key_index=np.zeros(sample_count, np.int32),
        times_ms=np.zeros(sample_count, np.int64),
        values=np.zeros(sample_count),
        positions=np.arange(1, sample_count + 1, dtype=np.int32),
        untimed=np.zeros(sample_count, np.bool_),
        rejected=list(unreadable),
    )


def receipt_of(*rejected: Rejected, accepted: int = 0) -> Receipt:
    refused = sum(one.sample_count for one in rejected)
    return Receipt(accepted, Counter(), Counter(), refused, list(rejected))


def test_what_could_not_be_read_does_not_lessen_what_was_kept() -> None:
    unreadable = Rejected("line 4", "no fields")
    outcome = outcome_of(push_of(3, unreadable), receipt_of(unreadable, accepted=3))

    assert (outcome.kept, outcome.refused, outcome.is_partial) == (3, 1, True)
    assert outcome.reasons == "line 4: no fields"


def test_a_refused_sample_is_not_kept() -> None:
    outcome = outcome_of(push_of(1), receipt_of(Rejected("line 1", "too old")))

    assert (outcome.kept, outcome.refused, outcome.is_partial) == (0, 1, False)


def test_set_aside_and_unknown_samples_are_in_order() -> None:
    outcome = outcome_of(push_of(5), receipt_of(accepted=2))

    assert (outcome.kept, outcome.refused, outcome.is_partial) == (5, 0, False)


def test_only_the_first_reasons_are_named_and_the_others_counted() -> None:
    many = [Rejected(f"line {number}", "bad") for number in range(1, REASONS_NAMED_MAX + 1)]
    outcome = outcome_of(push_of(100), receipt_of(*many, Rejected("further on", "bad", 80)))

    assert outcome.reasons.count("bad") == REASONS_NAMED_MAX
    assert outcome.reasons.endswith("; and 80 more")
    assert outcome.kept == 100 - REASONS_NAMED_MAX - 80


def test_long_reasons_are_fewer_so_that_the_count_behind_them_is_not_cut_off() -> None:
    long = "x" * (REASONS_LENGTH_MAX // 2)
    many = [Rejected(f"line {number}", long) for number in range(1, 4)]
    outcome = outcome_of(push_of(9), receipt_of(*many))

    assert outcome.reasons == f"line 1: {long}; and 2 more"


def test_the_first_refused_place_is_named_whoever_refused_it() -> None:
    unreadable = [Rejected("line 7", "no fields"), Rejected("line 8", "no fields")]
    judged = [Rejected("line 5", "too old"), Rejected("further on", "too old", 3)]
    outcome = outcome_of(push_of(9, *unreadable), receipt_of(*unreadable, *judged))
    none = outcome_of(push_of(1), receipt_of(accepted=1))

    assert (outcome.first_refused, none.first_refused) == (5, None)
