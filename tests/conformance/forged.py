"""Samples that pretend to be of a site or meter that a key may feed, written for every door.

What must become of each is decided here by plain comparison of texts, as bytes: nothing that only
looks alike is the same.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from tests.conformance import wire
from tests.conformance.doors import VCPU, Door

MB = "project_mb_usage"
# The letter is one character here; written as two it is another site.
SITE = "s\u00fcd-1"
FOREIGN = "nord-2"
SITES = (
    *(SITE, FOREIGN, SITE.upper(), SITE.title(), "su\u0308d-1", f"{SITE} ", f" {SITE}"),
    *(f"{SITE}\u200b", f"{SITE}\u00a0", f"\ufeff{SITE}", f"{SITE}\u202e", "s\u00fcd\u20101"),
    *("\u0455\u00fcd-1", "\uff53\u00fcd-1", "s\u00fcd-\uff11", "s\u00fcd\u00ad-1", "sud-1"),
    *("s%C3%BCd-1", "s\\u00fcd-1", f"{SITE},{FOREIGN}", f"{SITE}={FOREIGN}", f"{FOREIGN} {SITE}"),
    *("*", "%", "s_d-1", "s.d-1", ".*", "null", "0", f"'{SITE}'", f'"{SITE}"', f"{SITE};--", ""),
)
METRICS = (
    *(VCPU, MB, VCPU.upper(), f"{VCPU} ", f" {VCPU}", f"{VCPU}\u200b", "pro\u0458ect_vcpu_usage"),
    *("\uff50roject_vcpu_usage", f"{VCPU}_value", f"{MB},{VCPU}", "project.vcpu.usage"),
)


@dataclass(frozen=True, slots=True)
class Forged:
    """A sample as it is written; `tags` may name one twice, `field` is of lines and JSON only."""

    tags: tuple[tuple[str, str], ...]
    metric: str = VCPU
    field: str = "value"

    def feeds(self, door: Door) -> tuple[str, str] | None:
        """Give the meter and the site that this is for, None where it is refused or unknown."""
        names = [name for name, _ in self.tags]
        if len(set(names)) < len(names):
            return None
        tags = dict(self.tags)
        if "" in tags.values():
            if door.name != "telegraf":
                return None
            tags = {name: value for name, value in tags.items() if value}
        metric = self._metric(door)
        if tags.pop("__name__", self.metric) != self.metric:
            return None
        return (metric, tags.get("location_id", "")) if metric in (VCPU, MB) else None

    def _metric(self, door: Door) -> str:
        if door.is_remote_write or self.field == "value":
            return self.metric
        return self.field if self.metric == "prometheus" else f"{self.metric}_{self.field}"


def forgeries(door: Door) -> Iterator[Forged]:
    """Give every forgery, of no project yet."""
    for site in SITES:
        yield Forged((("location_id", site),))
    for metric in METRICS:
        yield Forged((("location_id", SITE),), metric)
    yield Forged(())
    foreign = ("location_id", FOREIGN)
    for name in ("Location_id", "LOCATION_ID", "location_id ", "l\u043ecation_id", "site", "loc"):
        yield Forged(((name, SITE), foreign))
        yield Forged(((name, SITE),))
    for one, other in ((SITE, FOREIGN), (FOREIGN, SITE), (SITE, SITE), (SITE, "")):
        yield Forged((("location_id", one), ("location_id", other)))
    if not door.is_remote_write:
        for metric, field in (
            *(("project_vcpu", "usage"), ("project", "vcpu_usage"), ("prometheus", VCPU)),
            *(("prometheus", MB), (VCPU, "VALUE"), (VCPU, MB), ("project_mb", "usage")),
        ):
            yield Forged((("location_id", SITE),), metric, field)
            yield Forged((foreign,), metric, field)
        yield Forged((("__name__", VCPU), ("location_id", SITE)), MB)
        yield Forged((("__name__", MB), ("location_id", SITE)), VCPU)


def write(door: Door, samples: list[tuple[Forged, str, int]]) -> bytes:
    """Write forgeries, each with its project and time (ms), into one body."""
    symbols, written = wire.Symbols(), []
    for number, (forged, project, time_ms) in zip(count(1), samples, strict=False):
        tags = [("project_id", project), *forged.tags]
        if door.is_remote_write:
            pairs = [(name.encode(), value.encode()) for name, value in tags]
            pairs.append((b"__name__", forged.metric.encode()))
            sample = [wire.sample(time_ms, number)]
            version_1 = door.name.endswith("1.0")
            written.append(
                wire.series_v1(pairs, sample)
                if version_1
                else wire.series_v2(symbols.refs(pairs), sample)
            )
        elif door.name == "telegraf":
            written.append(_metric(forged, tags, time_ms, number))
        else:
            written.append(_line(forged, tags, time_ms, number))
    if door.name == "telegraf":
        return b'{"metrics":[%s]}' % b",".join(written)
    if not door.is_remote_write:
        return b"".join(written)
    return wire.body_v1(written) if door.name.endswith("1.0") else symbols.body(written)


def _line(forged: Forged, tags: list[tuple[str, str]], time_ms: int, number: int) -> bytes:
    series = "".join(f",{_escaped(name)}={_escaped(value)}" for name, value in tags)
    measurement = forged.metric.replace(",", "\\,").replace(" ", "\\ ")
    return f"{measurement}{series} {forged.field}={number} {time_ms}000000\n".encode()


def _escaped(text: str) -> str:
    for sign in ",= ":
        text = text.replace(sign, f"\\{sign}")
    return text


def _metric(forged: Forged, tags: list[tuple[str, str]], time_ms: int, number: int) -> bytes:
    """Write by hand what no dictionary can hold: a name twice."""
    named = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in tags)
    return (
        f'{{"name":{json.dumps(forged.metric)},"tags":{{{named}}},'
        f'"fields":{{{json.dumps(forged.field)}:{number}}},"timestamp":{time_ms // 1000}}}'
    ).encode()
