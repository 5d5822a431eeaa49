"""What a sender can do wrong at each door: each is refused for good, with the same three keys."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from os_credits.decode import snappy
from tests.conformance.doors import Door, Point, packed

# The bounds of the service that is asked.
BOUNDS: dict[str, Any] = {
    "body_bytes_max": 20_000,
    "decoded_bytes_max": 200_000,
    "body_lines_max": 1000,
    "label_count_max": 10,
    "label_bytes_max": 64,
    "new_series_per_hour_max": 500,
}
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong request: `key` is a scope or a key, `more` changes path, method or headers."""

    name: str
    status: int
    body: Any
    key: str | None = "ingest"
    more: Mapping[str, Any] = field(default_factory=dict)


def wrongs(door: Door, good: Point, revoked: str) -> Iterator[Wrong]:
    """Give everything that can be wrong with a push by this door."""
    body = door.write([good])
    yield Wrong("no key", 401, body, None)
    yield Wrong("unknown key", 401, body, "osc_unknown")
    yield Wrong("revoked key", 401, body, revoked)
    yield Wrong("key of no ASCII", 401, body, None, _headers(Authorization="Bearer ключ"))
    yield Wrong("broken Basic", 401, body, None, _headers(Authorization="Basic !!!"))
    yield Wrong("key without scope", 403, body, "read")
    for method in ("PUT", "PATCH", "DELETE", *(["GET"] if door.stores else [])):
        yield Wrong(f"method {method}", 405, body, more={"method": method})
    path, _, query = door.path.partition("?")
    for slip in (f"{path}/", f"{path}/more", f"/{path}", path.upper(), f"{path};x"):
        yield Wrong(f"path {slip}", 404, body, more={"path": f"{slip}?{query}"})
    size = BOUNDS["body_bytes_max"] + 1
    yield Wrong("body too large", 413, b" " * size)
    yield Wrong("body too large, in chunks", 413, _chunks(size))
    yield from _by_form(door, body)
    if door.stores:
        yield from _packed_wrongly(door, body)
        yield from _samples(door, good)


def _headers(**headers: str) -> dict[str, Any]:
    return {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}


async def _chunks(size: int) -> AsyncIterator[bytes]:
    yield b" " * (size // 2)
    yield b" " * (size - size // 2)


def _packed_wrongly(door: Door, body: bytes) -> Iterator[Wrong]:
    for encoding in ("deflate", "br", "zstd", "gzip, gzip", "snappy, gzip"):
        headers = _headers(Content_Encoding=encoding)
        yield Wrong(f"encoding {encoding}", 415, body, more=headers)
    plain = snappy.decompress(body, 10**6) if door.is_remote_write else body
    whole, headers = packed(door, plain)
    more = {"headers": headers}
    yield Wrong("cut off", 400, whole[:-3], more=more)
    yield Wrong("not compressed", 400, b"\xff\xff\xff\xff\xff\xff", more=more)
    bomb, _ = packed(door, b"\n" * (BOUNDS["decoded_bytes_max"] + 1))
    yield Wrong("too large unpacked", 413, bomb, more=more)


def _by_form(door: Door, body: bytes) -> Iterator[Wrong]:
    """Give what only the door's own form can do wrong."""
    path = door.path.partition("?")[0]
    if door.is_remote_write:
        yield from _of_remote_write(body)
    elif door.name == "query":
        for statement in ("q=DROP DATABASE x", "q=SELECT 1", "", "x", "q=%ff", "q=CREATE DATABASE"):
            yield Wrong(f"statement {statement!r}", 400, statement.encode())
    else:
        for precision in ("q", "NS", "1", "s&precision=s"):
            more = {"path": f"{path}?precision={precision}"}
            yield Wrong(f"precision {precision}", 400, body, more=more)
        if door.name == "telegraf":
            for text in ("", "no json", "[1]", '{"metrics":1}', "[" * 100):
                yield Wrong(f"JSON {text[:20]!r}", 400, text.encode())
        else:
            for text in ("nothing", "m v", "m v=", 'm v="', "m,t v=1", "m v=1 x", "m v=nan", "=,"):
                yield Wrong(f"line {text!r}", 400, text.encode())


def _of_remote_write(body: bytes) -> Iterator[Wrong]:
    for content_type in (
        "application/json",
        "text/plain",
        "application/x-protobuf;proto=io.prometheus.write.v3.Request",
        "application/x-protobuf;proto=",
    ):
        more = _headers(Content_Type=content_type)
        yield Wrong(f"type {content_type}", 415, body, more=more)
    yield Wrong("nothing at all", 400, b"")
    yield Wrong("framed", 400, b"\xff\x06\x00\x00sNaPpY" + body)
    yield Wrong("claims 4 GiB", 413, b"\xff\xff\xff\xff\x0fab")
    yield Wrong("no message", 400, snappy.compress(b"\xff\xff\xff no protobuf"))


def _samples(door: Door, good: Point) -> Iterator[Wrong]:
    """Give messages that can be read, and whose only samples cannot be taken."""
    ahead, old = good.time_ms + DAY_MS, good.time_ms - 400 * DAY_MS
    yield Wrong("too far ahead", 400, door.write([replace(good, time_ms=ahead)]))
    yield Wrong("too old", 400, door.write([replace(good, time_ms=old)]))
    yield Wrong("label too long", 400, door.write([replace(good, project="p" * 65)]))
    many = {f"label{number}": "x" for number in range(10)}
    yield Wrong("too many labels", 400, door.write([replace(good, more=many)]))
    bare = replace(good, project="")
    yield Wrong("no project", 400, door.write([bare]))
    lines = [good] * (BOUNDS["body_lines_max"] + 1)
    whole, headers = door.write(lines), dict(door.headers)
    if not door.is_remote_write:
        whole, headers = packed(door, whole)
    yield Wrong("too many lines", 413, whole, more={"headers": headers})
