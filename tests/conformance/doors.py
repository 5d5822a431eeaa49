"""Every door that takes pushes: how a body is written for it, sent, and must be answered.

The rules are those by which real senders keep, drop or repeat a batch.
"""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from os_credits.decode import snappy
from tests.acceptance.conftest import Service
from tests.acceptance.senders import EXEMPLARS, HISTOGRAMS, SAMPLES, V1, V2
from tests.conformance import wire

WRITTEN = (SAMPLES, HISTOGRAMS, EXEMPLARS)
VCPU = "project_vcpu_usage"
TEMPORARY = dict.fromkeys(("error", "message"), "temporarily unavailable") | {"code": "unavailable"}
# What makes Telegraf's outputs.influxdb drop a batch though the answer was a 5xx.
DROPPED_BY_TELEGRAF = (
    "partial write",
    "unable to parse",
    "points beyond retention policy",
    "retention policy not found",
    "hinted handoff queue not empty",
    "database not found",
)


@dataclass(frozen=True, slots=True)
class Point:
    """One sample of a project; `more` are further labels."""

    project: str
    time_ms: int
    value: float
    site: str = "1"
    metric: str = VCPU
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """Name it as an exporter does; what is blank is left out."""
        project = {"project_id": self.project, "project_name": self.project}
        labels = {**project, "location_id": self.site, **self.more}
        return {name: value for name, value in labels.items() if value}


@dataclass(frozen=True, slots=True)
class Door:
    """One way in: where it is, and how points are written for it.

    `stores` is false where nothing is ever stored (`/query`).
    """

    name: str
    path: str
    write: Callable[[Sequence[Point]], bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    stores: bool = True
    success: int = 204

    @property
    def is_influx(self) -> bool:
        """Tell whether InfluxDB's own headers are expected."""
        return self.name in ("write", "write v2", "query")

    @property
    def is_remote_write(self) -> bool:
        """Tell whether the body is packed with snappy."""
        return self.name.startswith("remote write")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Read the body, None if it is no JSON object."""
        return json.loads(self.text) if self.text.startswith("{") else None


def _v1(points: Sequence[Point]) -> bytes:
    return wire.body_v1(
        wire.series_v1(pairs(point), [wire.sample(point.time_ms, point.value)]) for point in points
    )


def _v2(points: Sequence[Point]) -> bytes:
    symbols = wire.Symbols()
    series = [
        wire.series_v2(symbols.refs(pairs(point)), [wire.sample(point.time_ms, point.value)])
        for point in points
    ]
    return symbols.body(series)


def pairs(point: Point) -> list[tuple[bytes, bytes]]:
    """Give the labels of a point, its metric among them, sorted as Prometheus does."""
    named = {"__name__": point.metric, **point.labels}
    return [(name.encode(), value.encode()) for name, value in sorted(named.items())]


def line(point: Point) -> str:
    """Write a point as Telegraf does; the time in nanoseconds."""
    tags = "".join(f",{name}={_escaped(value)}" for name, value in sorted(point.labels.items()))
    return f"{point.metric}{tags} value={point.value!r} {point.time_ms}000000\n"


def _escaped(text: str) -> str:
    for sign in ",= ":
        text = text.replace(sign, f"\\{sign}")
    return text


def _lines(points: Sequence[Point]) -> bytes:
    return "".join(map(line, points)).encode()


def metric(point: Point) -> dict[str, Any]:
    """Write a point as Telegraf's JSON serializer does; the time in whole seconds."""
    return {
        "name": point.metric,
        "tags": point.labels,
        "fields": {"value": point.value},
        "timestamp": point.time_ms // 1000,
    }


def _metrics(points: Sequence[Point]) -> bytes:
    return json.dumps({"metrics": [metric(point) for point in points]}).encode()


def _statement(points: Sequence[Point]) -> bytes:
    del points
    return urlencode({"q": 'CREATE DATABASE "telegraf"'}).encode()


TEXT = {"Content-Type": "text/plain; charset=utf-8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DOORS = (
    Door("remote write 1.0", "/api/v1/write", _v1, V1),
    Door("remote write 2.0", "/api/v1/write", _v2, V2),
    Door("write", "/write?db=credits&precision=ns", _lines, TEXT),
    Door("write v2", "/api/v2/write?org=o&bucket=b&precision=ns", _lines, TEXT),
    Door("telegraf", "/telegraf", _metrics, TEXT),
    Door("query", "/query", _statement, FORM, stores=False, success=200),
)
STORING = tuple(door for door in DOORS if door.stores)


def packed(door: Door, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Compress a body as a door takes it; gives the headers to send with it."""
    if door.is_remote_write:
        return snappy.compress(body), dict(door.headers)
    return gzip.compress(body), {**door.headers, "Content-Encoding": "gzip"}


async def push(
    service: Service, door: Door, body: Any, *, key: str | None = "ingest", **more: Any
) -> Reply:
    """Send a body to a door; `more` may change path, method or headers."""
    headers = {**door.headers, **more.pop("headers", {})}
    async with service.request(
        more.pop("method", "POST"),
        more.pop("path", door.path),
        key=key,
        data=body,
        headers=headers,
        allow_redirects=False,
        **more,
    ) as response:
        return Reply(response.status, response.headers.copy(), await response.text())


def transient_faults(door: Door, reply: Reply) -> list[str]:
    """Say what is wrong with an answer that must make every sender come again."""
    faults = []
    if reply.status != 503:
        faults.append(f"status {reply.status}")
    # A connection that is turned away before anything was asked has no path yet.
    if reply.headers.get("Retry-After") not in {
        "2",
        "15" if door.path.startswith("/api/v2/") else "2",
    }:
        faults.append(f"Retry-After {reply.headers.get('Retry-After')!r}")
    if reply.text and reply.json != TEMPORARY:
        faults.append(f"body {reply.text}")
    if any(word in f"{reply.headers}{reply.text}".lower() for word in DROPPED_BY_TELEGRAF):
        faults.append("words by which Telegraf drops a batch")
    return faults + _form_faults(door, reply)


def permanent_faults(door: Door, reply: Reply, status: int, *, code: str) -> list[str]:
    """Say what is wrong with an answer that must make every sender drop or mend what it sent."""
    faults = []
    if reply.status != status:
        faults.append(f"status {reply.status} instead of {status}: {reply.text}")
    if "Retry-After" in reply.headers:
        faults.append("Retry-After")
    said = reply.json or {}
    texts = [said.get(name) for name in ("error", "message")]
    if said.get("code") != code or not all(isinstance(text, str) and text for text in texts):
        faults.append(f"body {reply.text!r}")
    if (reply.status == 401) != ("WWW-Authenticate" in reply.headers):
        faults.append("WWW-Authenticate")
    if (reply.status == 405) != ("Allow" in reply.headers):
        faults.append("Allow")
    return faults + _form_faults(door, reply)


def _form_faults(door: Door, reply: Reply) -> list[str]:
    """Look at what all refusals of a door have in common."""
    faults = []
    if reply.status < 400 or reply.status == 429 or "Location" in reply.headers:
        faults.append(f"status {reply.status}, Location {reply.headers.get('Location')}")
    if reply.headers.get("Content-Type") != "application/json; charset=utf-8":
        faults.append(f"Content-Type {reply.headers.get('Content-Type')!r}")
    if not reply.text:
        faults.append("no body")
    if door.is_influx and reply.status not in (404, 405):
        missing = {"X-Influxdb-Error", "X-Influxdb-Version", "Request-Id"} - reply.headers.keys()
        faults += sorted(missing)
    if reply.status in (404, 415) and not set(WRITTEN) & reply.headers.keys():
        return faults  # another path or type than that of 2.0
    return faults + written_faults(door, reply, "0", "0", "0")


def written_faults(door: Door, reply: Reply, *counts: str) -> list[str]:
    """Compare the counts of samples, histograms and exemplars: in answers to 2.0, no others."""
    said = [reply.headers.get(name) for name in WRITTEN]
    wanted = list(counts) if door.name == "remote write 2.0" else [None] * len(WRITTEN)
    return [] if said == wanted else [f"-Written headers {said} instead of {wanted}"]
