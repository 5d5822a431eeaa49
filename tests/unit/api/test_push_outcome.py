"""How a receipt is summed up for its sender."""

from collections import Counter

import numpy as np

from os_credits.api.push_outcome import REASONS_NAMED_MAX, outcome_of
from os_credits.domain.sample import Push, Rejected
from os_credits.flows.ingest import Receipt


def push_of(sample_count: int, *unreadable: Rejected) -> Push:
    return Push(
        unit="line",
        keys=[b"k"],
        key_index=np.zeros(sample_count, np.int32),
        times_ms=np.zeros(sample_count, np.int64),
        values=np.zeros(sample_count),
        positions=np.arange(1, sample_count + 1, dtype=np.int32),
        untimed=np.zeros(sample_count, np.bool_),
        rejected=list(unreadable),
    )


def receipt_of(*rejected: Rejected, accepted: int = 0) -> Receipt:
    return Receipt(accepted, Counter(), Counter(), list(rejected))


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
