"""Bodies in which senders hand in points: by remote write or line protocol, in any form."""

import gzip
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
    """Tell whether samples of a kind of meter are taken by line protocol only."""
    return kind == "delta"


def is_writable(point: Point) -> bool:
    """Tell whether line protocol can say it at all."""
    return point.value != STALE and math.isfinite(float(point.value))


def write(points: Sequence[Point], names: Names, chance: Random, *, as_lines: bool) -> Body:
    """Write a body in one of the forms of a door."""
    return _lines(points, names, chance) if as_lines else _remote_write(points, names, chance)


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
    data = "\n".join(lines).encode()
    if chance.random() < 0.5:
        return Body(path, gzip.compress(data), {"Content-Encoding": "gzip"})
    return Body(path, data, {})


def _written(value: float, chance: Random) -> str:
    """Write a number as a float or as an integer, which may have more digits than a float."""
    if not value.is_integer() or not 0 <= value < 2**63 or chance.random() < 0.5:
        return repr(value)
    whole = int(value)
    return f"{whole + (float(whole + 1) == value)}{chance.choice('iu')}"
