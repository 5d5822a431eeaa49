"""What Telegraf keeps of a measurement, and the texts that its serializers make of many.

Written after the sources of Telegraf 1.39: plugins/serializers/{influx,json,prometheus,
prometheusremotewrite}. Only metrics without a type of their own are made, as most inputs do.
"""

import json
import math
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from os_credits.decode.remote_write_encode import encode_v1
from os_credits.domain.sample import Labels

Value = float | int | str | bool
INT64_MAX = 2**63 - 1
SECOND_NS = 10**9
# Go writes these as \\u00.. so that JSON may stand in a page.
HTML = {sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
BREAKS = {"\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}
_LEGACY = {"name": "[a-zA-Z_:][a-zA-Z0-9_:]*", "label": "[a-zA-Z_][a-zA-Z0-9_]*"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One measurement at one time (nanoseconds)."""

    name: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    time_ns: int


def to_influx(metrics: Iterable[Metric]) -> bytes:
    """Write line protocol: tags sorted, fields as they come, no precision but nanoseconds."""
    return "".join(map(_line, metrics)).encode()


def _line(metric: Metric) -> str:
    """Write a line, or nothing of a metric that has no field that can be written."""
    tags = [
        f",{key}={value}"
        for key, value in (
            (_escaped(key, ",= ").rstrip("\\"), _escaped(value, ",= ").rstrip("\\"))
            for key, value in sorted(metric.tags.items())
        )
        if key and value
    ]
    fields = [
        f"{_escaped(key, ',= ')}={_field(value)}"
        for key, value in metric.fields.items()
        if key and _is_finite(value)
    ]
    if not fields:
        return ""
    return f"{_escaped(metric.name, ', ')}{''.join(tags)} {','.join(fields)} {metric.time_ns}\n"


def _escaped(text: str, signs: str) -> str:
    """Escape names and values of tags; a line break becomes a backslash and a letter."""
    replaced = {**BREAKS, **{sign: f"\\{sign}" for sign in signs}}
    return "".join(replaced.get(sign, sign) for sign in text)


def _field(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{min(value, INT64_MAX)}i"
        case float():
            return _go_float(value)
        case _:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'


def _go_float(value: float) -> str:
    """Write every digit, never an exponent, and whole numbers without a point."""
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _is_finite(value: Value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def to_json(metrics: Iterable[Metric], unit_ns: int = SECOND_NS) -> bytes:
    """Write the batch format; times are whole units, so what is smaller is cut off."""
    objects = [
        {
            "fields": {
                key: _json_value(value)
                for key, value in sorted(metric.fields.items())
                if _is_finite(value)
            },
            "name": metric.name,
            "tags": dict(sorted(metric.tags.items())),
            "timestamp": metric.time_ns // unit_ns,
        }
        for metric in metrics
    ]
    text = json.dumps({"metrics": objects}, ensure_ascii=False, separators=(",", ":"))
    return "".join(HTML.get(sign, sign) for sign in text).encode() + b"\n"


def _json_value(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def to_remote_write(metrics: Iterable[Metric]) -> bytes:
    """Write remote write 1.0: a series for each number, named measurement_field, in any order.

    Several samples of one series stand together, and of those only what does not go back in time.
    """
    series: dict[Labels, dict[int, float]] = {}
    for metric in metrics:
        labels = [
            (name, value)
            for name, value in ((_sanitized(tag, "label"), metric.tags[tag]) for tag in metric.tags)
            if name and value
        ]
        for field, value in metric.fields.items():
            raw = field if metric.name == "prometheus" else f"{metric.name}_{field}"
            name = _sanitized(raw, "name")
            if isinstance(value, str) or not name:
                continue
            key = tuple(sorted([*labels, ("__name__", name)]))
            samples = series.setdefault(key, {})
            time_ms = metric.time_ns // 10**6
            if not samples or time_ms >= max(samples):
                samples[time_ms] = float(value)
    chance = random.Random(len(series))
    shuffled = chance.sample(sorted(series), len(series))
    return encode_v1([(labels, list(series[labels].items())) for labels in shuffled])


def _sanitized(text: str, kind: str) -> str:
    """Replace what Prometheus' older names do not allow; blank if nothing is left."""
    if re.fullmatch(_LEGACY[kind], text):
        return text
    first, rest = text[:1], text[1:]
    allowed = "a-zA-Z_:" if kind == "name" else "a-zA-Z_"
    first = first if re.fullmatch(f"[{allowed}]", first) else ""
    return (first + re.sub(f"[^{allowed}0-9]", "_", rest)).strip("_")
