"""All attacks, by the names by which `make abuse` is told of them."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from tests.abuse import bodies
from tests.abuse.attacks import (
    HUNDRED_MB,
    Attack,
    Make,
    chunked_body,
    crowded,
    declared_body,
    flood,
    garbage,
    garbage_bodies,
    half_body,
    in_parts,
    many,
    never_read,
    once,
    pipelined,
    unknown_keys,
)
from tests.abuse.bodies import MIB, NEARLY_ALL
from tests.acceptance.senders import V1, V2

GZIP = {"Content-Encoding": "gzip"}
JSON = {"Content-Type": "application/json"}
RW, LINES, METRICS = "/api/v1/write", "/write", "/telegraf"
HALF_HEAD = b"POST /write HTTP/1.1\r\nHost: victim\r\nX-Half: "


class Heavy(NamedTuple):
    """A body that is meant to take much memory: alone, and eight at once."""

    what: str
    path: str
    make: Make
    headers: Mapping[str, str]


HEAVY = {
    "gzip-over": Heavy(
        "gzip bomb 1000:1 of 100 MB", LINES, partial(bodies.bomb, HUNDRED_MB, b"\n"), GZIP
    ),
    "gzip-blank": Heavy(
        "gzip bomb of 60 MiB of blank lines", LINES, partial(bodies.bomb, NEARLY_ALL, b"\n"), GZIP
    ),
    "gzip-lines": Heavy(
        "gzip bomb of 10 million lines", LINES, partial(bodies.bomb, NEARLY_ALL, b"m v=1\n"), GZIP
    ),
    "snappy-zeros": Heavy("snappy at 21:1, 60 MiB of zeros", RW, bodies.zeros, V1),
    "frames-1": Heavy(
        "60 MiB of empty series, remote write 1.0", RW, partial(bodies.empty_frames, 1), V1
    ),
    "frames-2": Heavy(
        "60 MiB of empty series, remote write 2.0", RW, partial(bodies.empty_frames, 5), V2
    ),
    "symbols-2": Heavy(
        "60 MiB of empty symbols, remote write 2.0", RW, partial(bodies.empty_frames, 4), V2
    ),
    "inner-1": Heavy(
        "one series of 60 MiB of empty samples, 1.0", RW, partial(bodies.one_series_of, 1), V1
    ),
    "inner-2": Heavy(
        "one series of 60 MiB of empty samples, 2.0", RW, partial(bodies.one_series_of, 5), V2
    ),
    "json-many": Heavy(
        "15 MiB of empty JSON arrays", METRICS, partial(bodies.many_valued_json, 15 * MIB), JSON
    ),
    "json-bomb": Heavy(
        "gzip bomb of 60 MiB of empty JSON arrays", METRICS, bodies.many_values_packed, JSON | GZIP
    ),
}


def _attacks() -> Iterator[tuple[str, Attack]]:
    yield "body-declared", Attack("100 MB body, declared", list, declared_body)
    yield "body-chunked", Attack("100 MB body, chunked", list, chunked_body)
    for name, heavy in HEAVY.items():
        yield name, once(*heavy)
        yield f"{name}-x8", many(*heavy)
    yield from _labels()
    yield from _counts()
    yield from _sockets()


def _labels() -> Iterator[tuple[str, Attack]]:
    make = partial(bodies.snappy_claiming, 2**32 - 1)
    yield "snappy-4-gib", once("snappy claiming 4 GiB in 7 bytes", RW, make, V1)
    yield "labels-1", once("1e6 labels in one series, 1.0", RW, bodies.million_labels_1, V1)
    yield "labels-2", once("1e6 labels in one series, 2.0", RW, bodies.million_labels_2, V2)
    yield "label-1-mb", once("a label of 1 MB", RW, bodies.huge_label, V1)
    make = partial(bodies.huge_symbol, 1)
    yield "symbols", once("1e5 symbols, one of 1 MB", RW, make, V2)
    make = partial(bodies.huge_symbol, 1000)
    yield "symbols-1000", once("the same, and 1,000 series refer to it", RW, make, V2)
    make = partial(bodies.nested_json, 10**6)
    yield "json-nested", once("JSON nested 1e6 deep", METRICS, make, JSON)
    make = partial(bodies.nested_json, 10**5)
    yield "json-read", once("JSON nested 1e5 deep at /cost_per_hour", "/cost_per_hour", make, JSON)
    make = partial(bodies.many_fields_json, 10**6)
    yield "json-fields", once("a JSON metric of 1e6 fields", METRICS, make, JSON)


def _counts() -> Iterator[tuple[str, Attack]]:
    servers, projects = bodies.many_series, partial(bodies.many_series, projects=True)
    make = partial(servers, 0, 100_000)
    yield "new-series", once("1e5 new series in one push", RW, make, V1)
    make = partial(projects, 0, 100_000)
    yield "new-projects", once("1e5 new projects in one push", RW, make, V1)
    yield (
        "new-series-flood",
        flood("2e5 new series in 200 pushes", RW, partial(in_parts, servers, 200, 1000), V1),
    )
    tiny = partial(bodies.tiny_lines, 100_000)
    yield "lines-1e5", once("1e5 tiny lines", LINES, tiny)
    yield "lines-1e5-x8", many("1e5 tiny lines", LINES, tiny)
    yield (
        "unknown-metrics",
        flood(
            "2e5 unknown metrics in 200 pushes",
            RW,
            partial(in_parts, bodies.unknown_metrics, 200, 1000),
            V1,
        ),
    )
    yield (
        "too-old",
        flood(
            "2e5 refused samples in 200 pushes",
            RW,
            partial(in_parts, bodies.too_old, 200, 1000),
            V1,
        ),
    )
    body = partial(bodies.many_series, 0, 500)
    yield "unknown-keys", Attack("5,000 pushes with unknown keys", lambda: [body()], unknown_keys)


def _sockets() -> Iterator[tuple[str, Attack]]:
    for count, more in ((1000, ""), (3000, "-3000")):
        yield (
            f"half-heads{more}",
            crowded(f"half-sent heads by {count:,} sockets", count, lambda _: HALF_HEAD),
        )
        yield (
            f"half-bodies{more}",
            crowded(
                f"half-sent bodies by {count:,} sockets, with a key",
                count,
                partial(half_body, key=True),
            ),
        )
        yield f"idle{more}", crowded(f"{count:,} idle sockets", count, lambda _: b"")
    yield (
        "half-bodies-open",
        crowded(
            "half-sent bodies by 1,000 sockets, without a key", 1000, partial(half_body, key=False)
        ),
    )
    what = "1,000 sockets that never read 100 answers of 1.5 MB"
    yield "never-read", Attack(what, list, never_read)
    what = "300 sockets of 4,000 pipelined requests each, answers never read"
    yield "pipelined", Attack(what, list, pipelined)
    yield "garbage", Attack("200 sockets of pipelined garbage", garbage_bodies, garbage)


ATTACKS = dict(_attacks())
