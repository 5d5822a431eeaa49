"""P21: a native histogram that contradicts itself is refused, by Prometheus' own rules."""

import math

import pytest

from os_credits.decode.histogram import histogram_fault
from os_credits.decode.proto.remote_write_pb2 import BucketSpan, Histogram

SPANS = [BucketSpan(offset=-2, length=2), BucketSpan(offset=1, length=1)]


def integer(**parts: object) -> Histogram:
    usual = {"count_int": 9, "zero_count_int": 2, "positive_spans": SPANS}
    return Histogram(**{**usual, "positive_deltas": [2, 1, -1], **parts})  # type: ignore[arg-type]


def floating(**parts: object) -> Histogram:
    usual = {"count_float": 9.0, "positive_spans": SPANS, "positive_counts": [2.0, 3.0, 2.0]}
    return Histogram(**{**usual, **parts})  # type: ignore[arg-type]


def custom(**parts: object) -> Histogram:
    usual = {"schema": -53, "count_int": 3, "custom_values": [1.0, 2.0]}
    buckets = {"positive_spans": [BucketSpan(length=3)], "positive_deltas": [1, 0, 0]}
    return Histogram(**{**usual, **buckets, **parts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram(),
        integer(),
        integer(sum=math.nan, count_int=10),
        integer(schema=8),
        floating(),
        floating(count_float=100.0),
        custom(),
    ],
)
def test_a_sound_histogram_has_no_fault(histogram: Histogram) -> None:
    assert histogram_fault(histogram) is None


@pytest.mark.parametrize(
    "histogram, fault",
    [
        (integer(count_int=8), "counts 8, its buckets hold 9"),
        (integer(count_int=10), "counts 10, its buckets hold 9"),
        (integer(sum=math.nan, count_int=8), "counts 8, its buckets hold 9"),
        (integer(positive_deltas=[2, -3, 1]), "negative count"),
        (integer(positive_deltas=[2, 1]), "spans do not match"),
        (integer(positive_spans=[SPANS[1], BucketSpan(offset=-1, length=2)]), "negative offset"),
        (integer(negative_spans=[BucketSpan(length=1)]), "spans do not match"),
        (integer(schema=-10), "schema -10 is not known"),
        (integer(schema=53), "schema 53 is not known"),
        (integer(custom_values=[1.0]), "custom bounds, but an exponential schema"),
        (floating(count_float=-1.0), "negative count"),
        (floating(positive_counts=[2.0, -3.0, 2.0]), "negative count"),
        (floating(positive_counts=[2.0]), "spans do not match"),
        (custom(custom_values=[2.0, 1.0]), "do not rise"),
        (custom(custom_values=[1.0, math.inf]), "do not rise"),
        (custom(custom_values=[1.0, math.nan]), "do not rise"),
        (custom(custom_values=[1.0]), "more buckets than custom bounds"),
        (custom(zero_count_int=1), "zero bucket"),
        (custom(negative_spans=[BucketSpan(length=0)]), "zero bucket or negative ones"),
    ],
)
def test_a_histogram_that_contradicts_itself_is_named(histogram: Histogram, fault: str) -> None:
    assert fault in (histogram_fault(histogram) or "")
