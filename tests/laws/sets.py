"""Random sets of samples: meters of every kind, and what senders see of the things they measure.

Everything here is a pure function of a `random.Random`. Times are offsets in ms from a full hour.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from os_credits.domain.meter import MeterDefinition
from tests.laws import oracle
from tests.laws.oracle import HOUR, STALE

MINUTE = 60_000
FLAVORS = ("", "m1", "m2", "M1", "m1 large, x=1", "ü")
STATUSES = ("ACTIVE", "ACTIVE", "ACTIVE", "SHUTOFF")
PRICES = (
    "0",
    "0.3",
    "1",
    "1",
    "7.000001",
    "12.5",
    "0.000001",
    "0.0000005",
    "0.123456789012",
    "1000",
)
NEVER_BILLED = (math.nan, -1.0, math.inf, -math.inf, 1e308, -5e-324)
STEPS = (1, 1000, 10**6, 10**6, 10**9)
POINTS_MAX = 14


@dataclass(frozen=True)
class RandomMeter:
    """A meter of a set: its rules, and which labels count for it."""

    rules: oracle.Meter
    has_flavors: bool
    has_disks: bool

    def definition(self, name: str) -> MeterDefinition:
        """Declare it as the meter file would."""
        rules = self.rules
        return MeterDefinition(
            name=name,
            metric=name,
            kind=rules.kind,
            unit="unit",
            value=rules.value,
            steps_per_unit=rules.steps,
            project_id="project",
            resource="server",
            flavor="flavor" if self.has_flavors else None,
            identity=("disk",) if self.has_disks else (),
            match={} if rules.match is None else {"status": rules.match},
            max_gap_seconds=rules.max_gap // 1000,
            on_reset=rules.on_reset,
            max_rate=None if rules.max_rate is None else f"{float(rules.max_rate)}",
        )


@dataclass(frozen=True)
class Point:
    """One sample of a set, as a sender sees it; `meter` and `project` are numbers of the set."""

    meter: int
    project: int
    server: str
    disk: str
    offset: int
    value: float | str
    flavor: str
    status: str

    def __str__(self) -> str:
        """Write it so that a person can follow."""
        of = f"meter {self.meter} project {self.project} {self.server}{self.disk}"
        return f"{of} +{self.offset} ms: {self.value!r} {self.flavor!r} {self.status}"

    def sample(self, meter: RandomMeter, base: int) -> oracle.Sample:
        """Say what it means to the oracle."""
        series = self.server + (f"/{self.disk}" if meter.has_disks else "")
        flavor = self.flavor if meter.has_flavors else ""
        return oracle.Sample(series, base + self.offset, self.value, flavor, self.status)


def random_meter(chance: Random, kind: str) -> RandomMeter:
    """Draw a meter of a kind, with prices from the epoch on."""
    is_presence = kind == "gauge" and chance.random() < 0.5
    of_flavor = (chance.choice(FLAVORS[1:]), 0, Fraction(chance.choice(PRICES)))
    of_all = (None, 0, Fraction(chance.choice(PRICES)))
    rules = oracle.Meter(
        kind,
        value="one" if is_presence else "value",
        steps=chance.choice(STEPS),
        match="ACTIVE" if is_presence or chance.random() < 0.3 else None,
        max_gap=chance.choice([15, 30, 60, 90]) * MINUTE,
        on_reset=chance.choice(["absorb", "absorb", "absorb", "restart"]),
        max_rate=Fraction(chance.choice(["0.75", "20.5", "60"])) if chance.random() < 0.5 else None,
        prices=(of_flavor, of_all)[: chance.choice([1, 2, 2, 2, 2, 2])],
    )
    return RandomMeter(rules, chance.random() < 0.7, chance.random() < 0.2)


def random_points(
    chance: Random, meter: int, rules: oracle.Meter, hours: int, replicas: float
) -> Iterator[Point]:
    """Draw what two projects' servers are seen to do within some hours.

    `replicas` is how likely something steady is seen by two, whose samples interleave.
    """
    for project in range(chance.choice([1, 1, 2])):
        for server in "abc"[: chance.choice([1, 2, 2, 3])]:
            is_steady = chance.random() < 0.6
            length = hours * HOUR
            values = (
                _steady(chance, rules, length, has_replica=chance.random() < replicas)
                if is_steady
                else _wild(chance, rules, length)
            )
            flavor, status = chance.choice(FLAVORS), "ACTIVE"
            for offset, value in values:
                if chance.random() < 0.2:
                    flavor, status = chance.choice(FLAVORS), chance.choice(STATUSES)
                disk = chance.choice(["", "d1"]) if chance.random() < 0.2 else ""
                point = Point(meter, project, server, disk, offset, value, flavor, status)
                yield point
                if chance.random() < 0.25 and value != STALE:
                    # The same series and time again: which of the two counts?
                    other = chance.choice(["ACTIVE", "SHUTOFF", "SHUTOFF"])
                    more = chance.choice([0, 1, 1])
                    yield replace(point, value=float(value) + more, status=other)


def _wild(chance: Random, rules: oracle.Meter, length: int) -> Iterator[tuple[int, float | str]]:
    """Give anything at any time, often at the same ones, and around full hours."""
    for _ in range(chance.randint(3, POINTS_MAX)):
        step = chance.choice([HOUR, HOUR // 2, 15 * MINUTE, 1])
        offset = chance.randrange(length) // step * step + chance.choice([0, 0, 0, 1, -1])
        yield max(offset, 0), _number(chance, rules)


def _steady(
    chance: Random, rules: oracle.Meter, length: int, *, has_replica: bool
) -> Iterator[tuple[int, float | str]]:
    """Give one thing over time, with what goes wrong: dips, resets, bad zeros, replicas, gaps."""
    time, total = chance.randrange(length // 2), chance.choice([0.0, 5.0, 999.5])
    pause = chance.choice([MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, HOUR + 1, 90 * MINUTE])
    for _ in range(chance.randint(5, POINTS_MAX)):
        total += chance.choice([0.0, 0.25, 1 / 3, 7.0, 1e-6, chance.random()])
        if chance.random() < 0.07:
            total = chance.choice([0.0, 0.5])
        seen = total if rules.kind == "counter" else chance.uniform(0, 60)
        yield (
            time,
            chance.choice([0.0, total - 0.2, total - 0.2]) if chance.random() < 0.25 else seen,
        )
        if has_replica:
            skew = chance.choice([0, 1, 999, 20_000, 40_000])
            yield min(time + skew, length - 1), total - chance.choice([0.0, 0.125])
        if chance.random() < 0.15:
            yield time, _number(chance, rules)
        time += pause + chance.choice([0, 0, 0, 1, -1, 5 * MINUTE, 2 * HOUR])
        if time >= length:
            return


def _number(chance: Random, rules: oracle.Meter) -> float | str:
    """Give a value that somebody should have thought of; amounts come by lines only."""
    border = 2**62 / rules.steps
    borders = [border, math.nextafter(border, 0), border / 4, 2.0**53, 5e-324, -0.0]
    halves = [0.5 / rules.steps, 1.5 / rules.steps, 2.5 / rules.steps]
    common = [float(chance.randint(0, 60)), chance.uniform(0, 60)]
    strange: list[float | str] = [*NEVER_BILLED, STALE, STALE, *borders, *halves]
    value = chance.choice(strange if chance.random() < 0.3 else common)
    is_written = isinstance(value, float) and math.isfinite(value)
    return value if is_written or rules.kind != "delta" else 1.0
