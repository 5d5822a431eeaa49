"""Bodies in which senders hand in points: by remote write, lines or JSON, in any form."""

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from os_credits.decode.remote_write_encode import encode_v1, encode_v2
from tests.acceptance.senders import V1, V2
from tests.core import STALE as STALE_VALUE
from tests.laws.oracle import STALE
from tests.laws.sets import Point

NANOSECONDS = {"ns": 1, "us": 1000, "ms": 10**6}
METRICS_SHARE = 0.4
SPECIAL = str.maketrans({character: f"\\{character}" for character in ", ="})


@dataclass(frozen=True)
class Body:
    """What is posted where."""

    path: str
    data: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Names:
    """How a set calls its meters and projects, and where its time begins (ms)."""

    tag: str
    base: int

    def meter(self, number: int) -> str:
        """Name a meter."""
        return f"meter_{self.tag}_{number}"

    def project(self, number: int) -> str:
        """Name a project."""
        return f"project-{self.tag}-{number}"


def needs_lines(kind: str) -> bool:
    """Tell whether samples of a kind of meter are taken by line protocol and JSON only."""
    return kind == "delta"


def is_writable(point: Point) -> bool:
    """Tell whether line protocol and JSON can say it at all."""
    return point.value != STALE and math.isfinite(float(point.value))


def write(points: Sequence[Point], names: Names, chance: Random, *, as_lines: bool) -> Body:
    """Write a body in one of the forms of a door; JSON is one of those for lines."""
    if not as_lines:
        return _remote_write(points, names, chance)
    return (_metrics if chance.random() < METRICS_SHARE else _lines)(points, names, chance)


def _labels(point: Point, names: Names, chance: Random) -> dict[str, str]:
    labels = {
        "project": names.project(point.project),
        "server": point.server,
        "disk": point.disk,
        "flavor": point.flavor,
        "status": point.status,
        "replica": chance.choice(["", "a", "b"]),
    }
    return {name: value for name, value in labels.items() if value}


def _remote_write(points: Sequence[Point], names: Names, chance: Random) -> Body:
    encode, headers = chance.choice([(encode_v1, V1), (encode_v1, V1), (encode_v2, V2)])
    series: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    for point in points:
        labels = {"__name__": names.meter(point.meter), **_labels(point, names, chance)}
        value = STALE_VALUE if point.value == STALE else float(point.value)
        key = tuple(sorted(labels.items()))
        series.setdefault(key, []).append((names.base + point.offset, value))
    return Body("/api/v1/write", encode(series.items()), headers)


def _lines(points: Sequence[Point], names: Names, chance: Random) -> Body:
    precision = chance.choice(["", "ns", "us", "ms"])
    nanoseconds = NANOSECONDS[precision or "ns"]
    lines = []
    for point in points:
        labels = _labels(point, names, chance).items()
        tags = "".join(f",{name}={value.translate(SPECIAL)}" for name, value in labels)
        # Whatever is finer than a millisecond is cut off.
        units = (names.base + point.offset) * 10**6 + chance.randrange(10**6)
        value = _written(float(point.value), chance)
        lines.append(f"{names.meter(point.meter)}{tags} value={value} {units // nanoseconds}")
    path = "/write?db=telegraf" + (f"&precision={precision}" if precision else "")
    return _maybe_packed(path, "\n".join(lines), chance)


def _metrics(points: Sequence[Point], names: Names, chance: Random) -> Body:
    times = [names.base + point.offset for point in points]
    units = ["ns", "us", "ms", *([] if any(time % 1000 for time in times) else ["s", ""])]
    precision = chance.choice(units)
    metrics = []
    for point, time in zip(points, times, strict=True):
        nanoseconds = time * 10**6 + (chance.randrange(10**6) if precision in NANOSECONDS else 0)
        meter = names.meter(point.meter)
        name, _, field = chance.choice([f"{meter} value", f"prometheus {meter}"]).partition(" ")
        metrics.append(
            {
                "name": name,
                "tags": {**_labels(point, names, chance), "empty": ""},
                "fields": {field: _whole(float(point.value), chance), "text": "x"},
                "timestamp": nanoseconds // NANOSECONDS.get(precision, 10**9),
            }
        )
    written = metrics[0] if len(metrics) == 1 and chance.random() < 0.5 else {"metrics": metrics}
    path = "/telegraf" + (f"?precision={precision}" if precision else "")
    return _maybe_packed(path, json.dumps(written, ensure_ascii=chance.random() < 0.5), chance)


def _maybe_packed(path: str, text: str, chance: Random) -> Body:
    if chance.random() < 0.5:
        return Body(path, gzip.compress(text.encode()), {"Content-Encoding": "gzip"})
    return Body(path, text.encode(), {})


def _written(value: float, chance: Random) -> str:
    """Write a number as line protocol does, as a float or as an integer."""
    number = _whole(value, chance)
    return repr(number) if isinstance(number, float) else f"{number}{chance.choice('iu')}"


def _whole(value: float, chance: Random) -> float | int:
    """Give a whole number as an integer, maybe, which may have more digits than a float."""
    if not value.is_integer() or not 0 <= value < 2**63 or chance.random() < 0.5:
        return value
    whole = int(value)
    return whole + (float(whole + 1) == value)
