"""Check a native histogram as Prometheus does; os_credits then sets it aside."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from os_credits.decode.proto.remote_write_pb2 import BucketSpan, Histogram

# Prometheus takes the exponential schemas -4 to 8 and may reduce what is finer.
SCHEMA_EXPONENTIAL_MIN = -9
SCHEMA_EXPONENTIAL_MAX = 52
SCHEMA_CUSTOM_BUCKETS = -53

NUMBERS_PER_SPAN = 4


def part_count(histogram: Histogram) -> int:
    """Count what has to be looked at; a span takes as long as several numbers."""
    spans = len(histogram.negative_spans) + len(histogram.positive_spans)
    deltas = len(histogram.negative_deltas) + len(histogram.positive_deltas)
    counts = len(histogram.negative_counts) + len(histogram.positive_counts)
    return NUMBERS_PER_SPAN * spans + deltas + counts + len(histogram.custom_values)


def histogram_fault(histogram: Histogram) -> str | None:
    """Say what contradicts itself in `histogram`, or None."""
    if _is_integer(histogram):
        negative = list(accumulate(histogram.negative_deltas))
        positive = list(accumulate(histogram.positive_deltas))
        return _shape_fault(histogram, negative, positive) or _count_fault(
            histogram, histogram.zero_count_int + sum(negative) + sum(positive)
        )
    return _shape_fault(histogram, histogram.negative_counts, histogram.positive_counts)


def _is_integer(histogram: Histogram) -> bool:
    """Tell integer from float histograms; one without a count is an empty integer one."""
    return not histogram.HasField("count_float")


def _shape_fault(
    histogram: Histogram, negative: Sequence[float], positive: Sequence[float]
) -> str | None:
    if min(histogram.count_float, histogram.zero_count_float, *negative, *positive) < 0:
        return "histogram has a negative count"
    return (
        _schema_fault(histogram, len(negative), len(positive))
        or _span_fault(histogram.negative_spans, len(negative))
        or _span_fault(histogram.positive_spans, len(positive))
    )


def _schema_fault(histogram: Histogram, negative_count: int, positive_count: int) -> str | None:
    if histogram.schema == SCHEMA_CUSTOM_BUCKETS:
        return _custom_fault(histogram, negative_count, positive_count)
    if not SCHEMA_EXPONENTIAL_MIN <= histogram.schema <= SCHEMA_EXPONENTIAL_MAX:
        return f"histogram schema {histogram.schema} is not known"
    if histogram.custom_values:
        return "histogram has custom bounds, but an exponential schema"
    return None


def _custom_fault(histogram: Histogram, negative_count: int, positive_count: int) -> str | None:
    bounds = histogram.custom_values
    if any(not low < high for low, high in pairwise(bounds)) or math.inf in bounds:
        return "histogram's custom bounds do not rise"
    reach = sum(span.offset + span.length for span in histogram.positive_spans)
    if reach > len(bounds) + 1 or positive_count > len(bounds) + 1:
        return "histogram has more buckets than custom bounds"
    zero = histogram.zero_count_int or histogram.zero_count_float or histogram.zero_threshold
    if zero or negative_count or histogram.negative_spans:
        return "histogram with custom buckets has a zero bucket or negative ones"
    return None


def _span_fault(spans: Iterable[BucketSpan], bucket_count: int) -> str | None:
    spans = list(spans)
    if any(span.offset < 0 for span in spans[1:]):
        return "histogram has a span with a negative offset"
    if sum(span.length for span in spans) != bucket_count:
        return "histogram's spans do not match its buckets"
    return None


def _count_fault(histogram: Histogram, bucket_sum: int) -> str | None:
    """Compare count and buckets; observations of NaN are counted, but in no bucket."""
    count = histogram.count_int
    if bucket_sum == count or (math.isnan(histogram.sum) and bucket_sum < count):
        return None
    return f"histogram counts {count}, its buckets hold {bucket_sum}"
