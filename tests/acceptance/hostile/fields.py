"""Where payloads stand: in a meter file, and in every label of the samples that are handed in."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from os_credits.decode import snappy
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_encode import encode_v1
from tests.acceptance.senders import now_ms
from tests.payloads import PAYLOADS

GATHERING = "gathering"
HARMLESS = "harmless"
NAME_LENGTH_MAX = 200
UNIT_LENGTH_MAX = 40


def meter_file(folder: Path) -> Path:
    """Write meters that have four payloads each: as metric, unit, description and label name.

    Fewer meters than payloads, since every answer reads them all.
    """
    parts = []
    for number, (metric, unit, description, label) in enumerate(_fours()):
        parts.append(
            f"""
[[meter]]
name = "hostile_{number}"
metric = {_toml(metric[:NAME_LENGTH_MAX])}
kind = "counter"
unit = {_toml(unit[:UNIT_LENGTH_MAX])}
description = {_toml(description)}
project_id = "project_id"
project_name = "project_name"
domain = "domain"
site = "site"
resource = "resource"
flavor = "flavor"
host = "resource"
region = "domain"
provider = "site"
state = "flavor"
identity = [{_toml(label[:NAME_LENGTH_MAX])}]
max_rate = 100
[[price]]
meter = "hostile_{number}"
credits_per_unit = "1"
"""
        )
        parts += [
            f"""
[[price]]
meter = "hostile_{number}"
flavor = {_toml(text)}
credits_per_unit = "1"
"""
            for text in (metric, unit, description, label)
        ]
    path = folder / "hostile.toml"
    path.write_text("".join(parts))
    return path


def _fours() -> list[tuple[str, str, str, str]]:
    texts = iter(PAYLOADS.values())
    return list(zip(texts, texts, texts, texts, strict=True))


def _meter_of(text: str) -> tuple[str, str]:
    """Give the metric and the name of the identity label of the meter that has a payload."""
    metric, *_, label = next(four for four in _fours() if text in four)
    return metric[:NAME_LENGTH_MAX], label[:NAME_LENGTH_MAX]


def _toml(text: str) -> str:
    escaped = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08X}" for c in text)
    return f'"{escaped}"'


def _labels(text: str, **changed: str) -> dict[str, str]:
    names = ("project_id", "project_name", "domain", "site", "resource", "flavor")
    own = {name: changed.get(name, text) for name in names}
    metric, label = _meter_of(text)
    return own | {"__name__": metric, label: text, "note": text, text[:NAME_LENGTH_MAX]: text}


def rising_counters(start: datetime, value: float, *, hours: int) -> bytes:
    """Write one sample of each series: counters that stand at `value` after so many hours."""
    time_ms = int((start + timedelta(hours=hours)).timestamp() * 1000)
    series = []
    for text in PAYLOADS.values():
        gathered = dict.fromkeys(("project_id", "project_name", "site", "domain"), GATHERING)
        for labels, factor in (
            (_labels(text), 1),
            (_labels(text, **gathered), 1),
            (_labels(text, **gathered, resource=f"{text}~"), 1000),  # suspect
        ):
            series.append((tuple(sorted(labels.items())), [(time_ms, value * factor)]))
    return encode_v1(series)


def one_sample_of(kind: str) -> bytes:
    """Write a sample of now, all of whose labels are one payload."""
    labels = tuple(sorted(_labels(PAYLOADS.get(kind, PAYLOADS[HARMLESS])).items()))
    return encode_v1([(labels, [(now_ms(), 1.0)])])


def series_of(series: Iterable[Iterable[tuple[bytes, bytes]]]) -> bytes:
    """Write a remote write body whose labels may be anything."""
    request = proto.WriteRequest()
    for labels in series:
        pairs = [proto.Label(name=name, value=value) for name, value in labels]
        one = proto.TimeSeries(
            labels=[pair.SerializeToString() for pair in pairs],
            samples=[proto.Sample(timestamp=now_ms(), value=1.0)],
        )
        request.timeseries.append(one.SerializeToString())
    return snappy.compress(request.SerializeToString())


def metrics_of(body: bytes) -> bytes:
    """Write Telegraf's JSON with one text as name, tags, fields and times, most of them wrong."""
    text = body.decode("utf-8", "surrogateescape")
    good = {"name": text, "tags": {"x": "y"}, "fields": {"value": 1}, "timestamp": 1}
    changes = ({"tags": {text: text}}, {"fields": {text: text}}, {"timestamp": text}, {text: text})
    return json.dumps({"metrics": [good, *(good | change for change in changes)]}).encode()
