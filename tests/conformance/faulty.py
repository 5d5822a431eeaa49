"""One bad item of every kind for each door, and what must become of it.

An item is a time series, a line or a metric. Every bad one is about a project of its own, `bad`.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.conformance import wire
from tests.conformance.doors import VCPU, Door, Point, line, metric, pairs

DAY_MS = 86_400_000
# Writes an item of remote write into the table of symbols of a body, which 1.0 has none of.
Writes = Callable[[wire.Symbols], bytes]
Item = Writes | bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """A bad item, how many samples of it are refused, set aside, unknown, or counted after all."""

    name: str
    item: Item
    refused: int = 0
    aside: str = ""
    unknown: str = ""
    exemplar: bool = False

    @property
    def is_refused(self) -> bool:
        """Tell whether the sender must hear of it."""
        return self.refused > 0 or self.exemplar

    @property
    def written(self) -> int:
        """Count the samples that were taken, though nobody bills them."""
        return 1 if self.aside or self.unknown else 0


@dataclass(frozen=True, slots=True)
class Series:
    """A time series in words, for either version."""

    pairs: Sequence[tuple[bytes, bytes]]
    samples: Sequence[bytes] = ()
    exemplars: Sequence[Sequence[tuple[bytes, bytes]]] = ()
    histograms: Sequence[bytes] = ()

    def v1(self, symbols: wire.Symbols) -> bytes:
        """Write it for 1.0."""
        del symbols
        return wire.series_v1(self.pairs, self.samples, self.exemplars, self.histograms)

    def v2(self, symbols: wire.Symbols) -> bytes:
        """Write it for 2.0."""
        exemplars = [symbols.refs(one) for one in self.exemplars]
        return wire.series_v2(symbols.refs(self.pairs), self.samples, exemplars, self.histograms)


def good_item(door: Door, point: Point) -> Item:
    """Write a point as an item of a door."""
    if door.is_remote_write:
        series = Series(pairs(point), [wire.sample(point.time_ms, point.value)])
        return series.v1 if door.name.endswith("1.0") else series.v2
    if door.name == "telegraf":
        return json.dumps(metric(point)).encode()
    return line(point).encode()


def body_of(door: Door, items: Sequence[Item]) -> bytes:
    """Put items together."""
    symbols = wire.Symbols()
    written = [item if isinstance(item, bytes) else item(symbols) for item in items]
    if door.name.endswith("1.0"):
        return wire.body_v1(written)
    if door.is_remote_write:
        return symbols.body(written)
    if door.name == "telegraf":
        return b'{"metrics":[%s]}' % b",".join(written)
    return b"".join(written)


def bad_items(door: Door, at_ms: int) -> Iterator[Bad]:
    """Give one of each kind."""
    point = Point("bad", at_ms, 1.0)
    if door.is_remote_write:
        for kind in _of_remote_write(point):
            series = kind.item
            item = series.v1 if door.name.endswith("1.0") else series.v2
            yield replace(kind.bad, item=item)
        if door.name.endswith("2.0"):
            yield from _of_symbols(point)
    elif door.name == "telegraf":
        yield from _of_json(point)
    else:
        yield from _of_lines(point)
    yield from _of_points(door, point)


def _of_points(door: Door, point: Point) -> Iterator[Bad]:
    """Give what every door can write."""
    many = {f"label{number}": "x" for number in range(70)}
    for name, wrong in (
        ("too old", replace(point, time_ms=point.time_ms - 400 * DAY_MS)),
        ("too far ahead", replace(point, time_ms=point.time_ms + DAY_MS)),
        ("before the epoch", replace(point, time_ms=-DAY_MS)),
        ("no project", replace(point, project="")),
        ("label too long", replace(point, project="p" * 1025)),
        ("too many labels", replace(point, more=many)),
        ("NUL in a label", replace(point, more={"x": "a\0b"})),
    ):
        yield Bad(name, good_item(door, wrong), refused=1)
    yield Bad("negative", good_item(door, replace(point, value=-1.0)), aside="negative")
    yield Bad(
        "beyond its range", good_item(door, replace(point, value=1e300)), aside="out_of_range"
    )
    unknown = f"unknown_{door.name}".replace(" ", "_").replace(".", "_")
    yield Bad("unknown", good_item(door, replace(point, metric=unknown)), unknown=unknown)


# ---- remote write


@dataclass(frozen=True, slots=True)
class _Kind:
    bad: Bad
    item: Series


def _of_remote_write(point: Point) -> Iterator[_Kind]:
    good, sample = pairs(point), wire.sample(point.time_ms, 1.0)
    named = [pair for pair in good if pair[0] != b"__name__"]
    for name, labels in (
        ("no metric name", named),
        ("empty metric name", [(b"__name__", b""), *named]),
        ("empty label name", [*good, (b"", b"x")]),
        ("empty label value", [*good, (b"x", b"")]),
        ("label twice", [*good, (b"x", b"1"), (b"x", b"2")]),
        ("project twice", [*good, (b"project_id", b"other")]),
        ("name is no UTF-8", [*good, (b"\xff", b"x")]),
        ("value is no UTF-8", [*good, (b"x", b"\xc3(")]),
        ("half a surrogate", [*good, (b"x", b"\xed\xa0\x80")]),
    ):
        yield _Kind(Bad(name, b"", refused=1), Series(labels, [sample]))
        yield _Kind(Bad(f"{name}, two samples", b"", refused=2), Series(labels, [sample, sample]))
    for aside, value, bits in (
        ("nan", math.nan, None),
        ("nan", 0.0, 0x7FF0000000000003),
        ("stale_marker", 0.0, wire.STALE_BITS),
        ("out_of_range", math.inf, None),
        ("negative", -math.inf, None),
    ):
        written = wire.sample(point.time_ms, value, bits)
        yield _Kind(Bad(f"{value} {bits}", b"", aside=aside), Series(good, [written]))
    yield _Kind(
        Bad("histogram with a bad count", b"", refused=1),
        Series(good, histograms=[wire.histogram(5, point.time_ms)]),
    )
    yield _Kind(Bad("bad exemplar", b"", exemplar=True), Series(good, exemplars=[[(b"", b"x")]]))
    for name, time_ms in (("the last", 2**63 - 1), ("the first", -(2**63))):
        far = wire.sample(time_ms, 1.0)
        yield _Kind(Bad(f"{name} millisecond", b"", refused=1), Series(good, [far]))


def _of_symbols(point: Point) -> Iterator[Bad]:
    """Give what only references can do wrong."""
    good, sample = pairs(point), wire.sample(point.time_ms, 1.0)

    def broken(change: Callable[[list[int]], list[int]], **more: Any) -> Writes:
        return lambda symbols: wire.series_v2(change(symbols.refs(good)), [sample], **more)

    changes: tuple[tuple[str, Callable[[list[int]], list[int]]], ...] = (
        ("odd references", lambda refs: refs[:-1]),
        ("reference out of the table", lambda refs: [*refs[:-1], 100_000]),
        ("the largest reference", lambda refs: [*refs[:-1], 2**32 - 1]),
        ("reference to the empty text", lambda refs: [*refs[:-1], 0]),
        ("no references", lambda refs: []),
    )
    for name, change in changes:
        yield Bad(name, broken(change), refused=1)
    both = [wire.histogram(2, point.time_ms)]
    yield Bad("samples and histograms", broken(lambda refs: refs, histograms=both), refused=2)


# ---- line protocol


def _of_lines(point: Point) -> Iterator[Bad]:
    for text in (
        *("nothing", "m v", "m v=", "m  ", "m,t v=1", "m,t= v=1", "m,=x v=1", ",t=x v=1", "m =1"),
        *("m v=1 x", "m v=1 1 2", "m v=1 1.5", "m v=1 1i", "m v=nan", "m v=NaN", "m v=inf"),
        *("m v=1_0", "m v=+1", "m v=0x1", "m v=1e", "m v=--1", "m v=.", "m v=1ii", "m v=tru"),
        *("m v=9223372036854775808i", "m v=-1u", "m v=18446744073709551616u", "m v=1e999"),
        *('m v="abc', "m v='abc'", 'm v="a"b', "m v=1,", "m v=1,,w=2", "m v=1,w", "m,, v=1"),
        *("m,a=1,a=2 v=1", "m,time=1 v=1", "m time=1", "m v=1 9223372036854775807", "m v=٣"),
        *(f"{VCPU},project_id=bad value=x", f"{VCPU},project_id=bad,__name__=other value=1"),
    ):
        yield Bad(f"line {text!r}", f"{text}\n".encode(), refused=1)
    start, _, rest = line(point).encode().partition(b" ")
    yield Bad("name is no UTF-8", b"\xff v=1\n", refused=1)
    yield Bad("tag is no UTF-8", start + b",x=\xc3( " + rest, refused=1)
    many = start + b' value="many" %d000000\n' % point.time_ms
    yield Bad("text where a number is billed", many, aside="text")
    hidden = b'm v="\n%s"\n' % line(point).encode().strip()
    yield Bad("a line within a string", hidden)


# ---- Telegraf's JSON


def _of_json(point: Point) -> Iterator[Bad]:
    good = metric(point)
    for text in ("1", '"x"', "null", "[]", "{}", '{"name":nope}', '{"name":"m"}', "true"):
        yield Bad(f"metric {text}", text.encode(), refused=1)
    changes: tuple[dict[str, Any], ...] = (
        *({"name": 1}, {"name": ""}, {"name": None}, {"name": "a\0b"}, {"name": "\ud800"}),
        *({"fields": None}, {"fields": []}, {"fields": {"": 1}}, {"fields": {"value": None}}),
        *({"fields": {"value": [1]}}, {"fields": {"value": {}}}, {"fields": {"a\0b": 1}}),
        *({"tags": None}, {"tags": []}, {"tags": {"x": 1}}, {"tags": {"x": "\ud800"}}),
        *({"timestamp": "1"}, {"timestamp": 1.5}, {"timestamp": None}, {"timestamp": 2**63}),
        *({"timestamp": True}, {"timestamp": 10**400}),
    )
    for change in changes:
        yield Bad(f"metric with {change}", json.dumps({**good, **change}).encode(), refused=1)
    whole = json.dumps(good).encode()
    for name, before, after in (
        ("number out of range", b'"value": 1.0', b'"value": 1e999'),
        ("no number of JSON", b'"value": 1.0', b'"value": NaN'),
        ("tag is no UTF-8", b'"bad"', b'"\xff"'),
        ("member twice", b'"timestamp"', b'"fields"'),
        ("tag twice", b'"project_name"', b'"project_id"'),
    ):
        assert before in whole
        yield Bad(name, whole.replace(before, after), refused=1)
    many = json.dumps({**good, "fields": {"value": "many"}}).encode()
    yield Bad("text where a number is billed", many, aside="text")
