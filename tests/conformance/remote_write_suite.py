"""What the receiver's part of prometheus/compliance sends, in words of our own.

That suite needs Go; the requests here have the same content and stricter expectations: always
204 where it wants a success, always the exact counts. Each case has the name that it has there.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.conformance import wire

Labels = Mapping[str, str]
HOUR_MS = 3_600_000
VALUES: dict[str, tuple[float, int | None]] = {
    "1.0": (1.0, None),
    "StaleNaN": (0.0, wire.STALE_BITS),
    "NaN": (0.0, 0x7FF8000000000001),
    "Inf": (math.inf, None),
    "-Inf": (-math.inf, None),
}
UP = {"__name__": "up", "job": "testjob", "instance": "localhost:9090"}
TRACE = {"trace_id": "abc123"}


@dataclass(frozen=True, slots=True)
class One:
    """One time series of a case; times are milliseconds from now."""

    labels: Labels
    samples: Sequence[tuple[float, int | None]] = ()
    histograms: Sequence[bytes] = ()
    exemplars: Sequence[Labels] = ()
    metadata: tuple[int, str, str] | None = None
    created_ms: int | None = None
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and how many samples, histograms and exemplars of it are written."""

    name: str
    series: Sequence[One]
    counts: tuple[int, int, int]
    is_taken: bool = True


def histogram(
    *, positive: bool = False, negative: bool = False, zero: bool = False, custom: bool = False
) -> bytes:
    """Write the inside of a histogram with buckets on these sides."""
    count = 23 * positive + 3 * negative + zero
    parts = [wire.double(3, 1.5)]
    if custom:
        count = 11
        bounds = b"".join(wire.double(0, bound)[1:] for bound in (0.1, 0.5, 1.0))
        parts += [wire.whole(4, _zigzag(-53)), wire.part(16, bounds)]
        parts += [wire.part(11, wire.whole(2, 4)), wire.part(12, _deltas(2, 1, 0, 0))]
    elif positive:
        spans = (wire.whole(2, 3), wire.whole(1, _zigzag(2)) + wire.whole(2, 2))
        parts += [*(wire.part(11, one) for one in spans), wire.part(12, _deltas(1, 2, 1, 3, 1))]
    if negative:
        parts += [wire.part(8, wire.whole(2, 2)), wire.part(9, _deltas(1, 1))]
    if zero:
        parts.append(wire.whole(6, 1))
    return wire.whole(1, count) + b"".join(parts)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _deltas(*deltas: int) -> bytes:
    return b"".join(wire.varint(_zigzag(delta)) for delta in deltas)


def body(case: Case, now_ms: int) -> bytes:
    """Write a case as a body of 2.0; labels stand in the order in which they are given."""
    symbols = wire.Symbols()
    return symbols.body([_series(one, symbols, now_ms + one.at_ms) for one in case.series])


def _series(one: One, symbols: wire.Symbols, at_ms: int) -> bytes:
    written = wire.series_v2(
        _refs(symbols, one.labels),
        [wire.sample(at_ms, *value) for value in one.samples],
        histograms=[inside + wire.whole(15, at_ms) for inside in one.histograms],
    )
    for labels in one.exemplars:
        refs = b"".join(map(wire.varint, _refs(symbols, labels)))
        written += wire.part(4, wire.part(1, refs) + wire.double(2, 1.0) + wire.whole(3, at_ms))
    if one.metadata is not None:
        kind, *texts = one.metadata
        numbers = symbols.refs([(texts[0].encode(), texts[1].encode())])
        inside = wire.whole(1, kind) + wire.whole(3, numbers[0]) + wire.whole(4, numbers[1])
        written += wire.part(5, inside)
    if one.created_ms is not None:
        written += wire.whole(6, at_ms + one.created_ms)
    return written


def _refs(symbols: wire.Symbols, labels: Labels) -> list[int]:
    return symbols.refs([(name.encode(), value.encode()) for name, value in labels.items()])


def cases() -> Iterator[Case]:
    """Give all cases."""
    yield from _of_samples()
    yield from _of_exemplars()
    yield from _of_histograms()
    yield from _of_metadata()
    yield from _combined()


def _of_samples() -> Iterator[Case]:
    named = {
        "simple metric": {"__name__": "up"},
        "simple metric with multiple labels": UP,
        "simple metric with newlines": {**UP, "job": "test\njob\n"},
        "simple metric with dots": {"__name__": "resource.cpu.usage", "job.name": "testjob"},
        "simple metric with spaces": {"__name__": "resource cpu usage", "job name": "testjob"},
        "simple metric without name label": {"job": "testjob", "instance": "localhost:9090"},
        "empty metric": {},
    }
    hosts = [{**UP, "instance": f"localhost:909{number}"} for number in range(4)]
    bare = [{name: text for name, text in one.items() if name != "__name__"} for one in hosts]
    many = {
        "multiple metrics": hosts,
        "multiple metrics, without name label": bare,
        "multiple metrics, 1 without name label": [bare[0], *hosts[1:]],
    }
    for value_name, value in VALUES.items():
        for name, labels in named.items():
            good = "__name__" in labels
            yield Case(
                f"TestSingleMetric/{value_name}/{name}", [One(labels, [value])], (good, 0, 0), good
            )
        for name, all_labels in many.items():
            count = sum("__name__" in one for one in all_labels)
            yield Case(
                f"TestMultipleMetrics/{value_name}/{name}",
                [One(one, [value]) for one in all_labels],
                (count, 0, 0),
                count == len(all_labels),
            )
    counter = One({"__name__": "requests", "job": "api"}, [(100.0, None)], created_ms=-HOUR_MS)
    yield Case("TestCounterWithCreatedTimestamp", [counter], (1, 0, 0))


def _of_exemplars() -> Iterator[Case]:
    one = [(1.0, None)]
    for name, labels in {
        "basic_exemplar": TRACE,
        "exemplar_with_span_id": {**TRACE, "span_id": "s"},
        "exemplar_without_trace_id": {"user_id": "u"},
        "exemplar_with_multiple_labels": {**TRACE, "user": "admin", "endpoint": "/login"},
        "exemplar_no_labels": {},
        "exemplar_with_special_chars": {"trace_id": "with-dashes_and.123"},
        "exemplar_with_unicode": {"trace_id": "unicode_测试"},
    }.items():
        series = One({"__name__": "requests", "region": "🌍"}, one, exemplars=[labels])
        yield Case(f"TestExemplars/{name}", [series], (1, 0, 1))
    created = One({"__name__": "requests"}, one, exemplars=[TRACE], created_ms=-2 * HOUR_MS)
    yield Case("TestExemplarWithCreatedTimestamp", [created], (1, 0, 1))
    several = [One({"__name__": "d", "m": method}, one, exemplars=[TRACE]) for method in "abc"]
    yield Case("TestMultipleExemplars", several, (3, 0, 3))
    times = [
        One({"__name__": "latency"}, one, exemplars=[TRACE], at_ms=at)
        for at in (-HOUR_MS, -60_000, 0)
    ]
    yield Case("TestExemplarTimestamps", times, (3, 0, 3))
    for name, labels, good in (
        ("exemplar_without_name_label", {"job": "test"}, False),
        ("exemplar_with_empty_name", {"__name__": ""}, False),
        ("exemplar_with_valid_name", {"__name__": "valid"}, True),
    ):
        series = One(labels, one, exemplars=[TRACE])
        yield Case(f"TestExemplarValidation/{name}", [series], (good, 0, good), good)
    for name, value in {
        "zero_value": 0.0,
        "negative_value": -123.456,
        "large_value": 1e10,
        "small_value": 1e-10,
        "nan_value": math.nan,
        "inf_value": math.inf,
        "-inf_value": -math.inf,
    }.items():
        series = One({"__name__": "test"}, [(value, None)], exemplars=[TRACE])
        yield Case(f"TestExemplarSpecialValues/{name}", [series], (1, 0, 1))


def _of_histograms() -> Iterator[Case]:
    labels = {"__name__": "test_histogram", "job": "test"}
    whole = histogram(positive=True, negative=True, zero=True)
    for name, inside in {
        "basic_histogram": whole,
        "custom_buckets_histogram": histogram(custom=True),
        "positive_only_histogram": histogram(positive=True, zero=True),
        "negative_only_histogram": histogram(negative=True),
        "minimal_histogram": histogram(zero=True),
    }.items():
        yield Case(f"TestHistograms/{name}", [One(labels, histograms=[inside])], (0, 1, 0))
    bad = histogram(positive=True) + wire.whole(1, 99)
    yield Case(
        "TestHistograms/bad_count_histogram", [One(labels, histograms=[bad])], (0, 0, 0), False
    )
    described = (3, "Duration", "seconds")
    other = {"__name__": "other_histogram"}
    for name, series, exemplars in (
        ("TestHistogramWithCreatedTimestamp", [One(labels, (), [whole], created_ms=-HOUR_MS)], 0),
        ("TestMultipleHistograms", [One(labels, (), [whole]), One(other, (), [whole])], 0),
        ("TestEmptyHistogram", [One(labels, (), [histogram()])], 0),
        ("TestHistogramWithMetadata", [One(labels, (), [whole], (), described)], 0),
        ("TestHistogramWithExemplar", [One(labels, (), [whole], [TRACE])], 1),
        ("TestHistogramWithMetadataAndExemplar", [One(labels, (), [whole], [TRACE], described)], 1),
        (
            "TestMultipleHistogramsWithMetadata",
            [One(labels, (), [whole], (), described), One(other, (), [whole], (), described)],
            0,
        ),
    ):
        yield Case(name, series, (0, len(series), exemplars))


def _of_metadata() -> Iterator[Case]:
    one, named = [(1.0, None)], {"__name__": "requests_total"}
    for name, metadata in {
        "counter_metadata": (1, "Total number of requests", "requests"),
        "gauge_metadata": (2, "Current usage", "percent"),
        "metadata_no_help_no_unit": (1, "", ""),
        "metadata_with_special_chars": (2, 'with\nnewlines and "quotes"', "bytes/sec"),
        "unspecified_metadata_type": (0, "Unknown", ""),
        "info_metadata_type": (6, "Build information", ""),
        "stateset_metadata_type": (7, "State", ""),
        "summary_metadata_type": (5, "Latency", "seconds"),
        "gauge_histogram_metadata_type": (4, "Temperature", "celsius"),
    }.items():
        series = One(named, one, metadata=metadata)
        yield Case(f"TestMetadata/{name}", [series], (1, 0, 0))
    described = (3, "Duration", "seconds")
    whole = [histogram(positive=True, negative=True, zero=True)]
    yield Case("TestMetadata/histogram_metadata", [One(named, (), whole, (), described)], (0, 1, 0))
    created = One(named, one, metadata=(1, "Total", "requests"), created_ms=-HOUR_MS)
    yield Case("TestCounterMetadataWithCreatedTimestamp", [created], (1, 0, 0))
    yield Case(
        "TestMetadataWithSamples", [One({**UP, **named}, one, metadata=described)], (1, 0, 0)
    )
    several = [One({"__name__": name}, one, metadata=(2, name, "x")) for name in ("a", "b", "c")]
    yield Case("TestMultipleMetadata", several, (3, 0, 0))
    complex_labels = {**UP, **named, "method": "GET", "endpoint": "/api/v1/users"}
    series = One(complex_labels, (), whole, (), described)
    yield Case("TestMetadataWithComplexLabels", [series], (0, 1, 0))
    for name, labels, good in (
        ("metadata_without_name_label", {"job": "test"}, False),
        ("metadata_with_empty_name", {"__name__": ""}, False),
        ("metadata_with_valid_name", {"__name__": "valid"}, True),
    ):
        series = One(labels, one, metadata=(1, "Test help", "unit"))
        yield Case(f"TestMetadataValidation/{name}", [series], (good, 0, 0), good)


def _combined() -> Iterator[Case]:
    one, described = [(1.0, None)], (1, "Total", "requests")
    whole = [histogram(positive=True, negative=True, zero=True)]
    a, b = {"__name__": "a", "x": "1"}, {"__name__": "b", "x": "2"}
    full = One(a, one, (), [TRACE], described)
    full_histogram = One(a, (), whole, [TRACE], described)
    plain, plain_histogram = One(b, one, (), (), described), One(b, (), whole, (), described)
    for name, series, counts in (
        ("TestSamplesWithMetadataAndExemplars", [full], (1, 0, 1)),
        ("TestHistogramsWithMetadataAndExemplars", [full_histogram], (0, 1, 1)),
        ("TestComplexSamplesRequest", [full, plain], (2, 0, 1)),
        ("TestComplexHistogramsRequest", [full_histogram, plain_histogram], (0, 2, 1)),
        ("TestMultipleMetricFamiliesSamples", [full, plain], (2, 0, 1)),
        ("TestMultipleMetricFamiliesHistograms", [full_histogram], (0, 1, 1)),
        ("metadata_without_data", [One(a, metadata=described)], (0, 0, 0)),
        ("exemplars_without_data", [One(a, exemplars=[TRACE])], (0, 0, 1)),
        (
            "mixed_timestamp_data",
            [One(a, one, (), [TRACE], at_ms=-HOUR_MS), One(b, one)],
            (2, 0, 1),
        ),
    ):
        group = "TestEdgeCaseCombinations/" if "data" in name.partition("_")[2] else ""
        yield Case(f"{group}{name}", series, counts)
    many = [{"__name__": f"m{n}", "series": f"s{n}"} for n in range(50)]
    samples = [One(labels, one, (), [TRACE], described) for labels in many]
    yield Case("TestManySamples", samples, (50, 0, 50))
    histograms = [One(labels, (), whole, [TRACE], described) for labels in many]
    yield Case("TestManyHistograms", histograms, (0, 50, 50))
    special = {"__name__": "test", "job": "test-job_with.special@chars", "environment": "test🚀"}
    odd = One(special, one, (), [{"trace_id": "äöü-123"}], (2, 'äöü\n"q"', "special/units"))
    yield Case("TestSpecialCharactersCombined", [odd], (1, 0, 1))
    custom = One(a, (), [histogram(custom=True)], [TRACE])
    yield Case("TestCustomBucketsHistogramWithExemplar", [custom], (0, 1, 1))
