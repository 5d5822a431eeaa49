"""One set on its way through the service: what was done so far, and what must come of it."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from os_credits.domain.period import from_ms
from os_credits.flows.meters import FilePrice, MeterFile, load_meters
from os_credits.store.pool import connection
from tests.laws import oracle
from tests.laws.bodies import Body, Names
from tests.laws.copies import Copies
from tests.laws.mismatch import MismatchError
from tests.laws.oracle import HOUR
from tests.laws.sets import Point, RandomMeter

RATING_SECONDS_MAX = 30
WAIT_SECONDS = 0.03
# Project, meter (both by their numbers in the set), flavor, hour.
Place = tuple[int, int, str, int]


@dataclass(frozen=True)
class Sent:
    """A body with the points that are accepted from it, and the answer while nothing is dropped."""

    body: Body
    points: list[Point]
    status: int


@dataclass(frozen=True)
class Scope:
    """What a decision is about: a project, maybe only a meter, maybe only one of its series."""

    project: int
    meter: int | None = None
    series: str | None = None

    def holds(self, project: int, meter: int, series: str) -> bool:
        """Tell whether a series is concerned."""
        return (
            project == self.project
            and self.meter in (None, meter)
            and self.series in (None, series)
        )


@dataclass(frozen=True)
class Exclusion:
    """Samples that are out of the set, from `start` up to before `end` (microseconds)."""

    scope: Scope
    start: int
    end: int


@dataclass(frozen=True)
class Settlement:
    """A verdict on a kind of usage, from the first hour up to before the end."""

    scope: Scope
    kind: int
    first_hour: int
    end_hour: int
    is_billed: bool


@dataclass
class Scene:
    """A set being played; the oracle is told of everything that the service took."""

    copies: Copies
    names: Names
    meters: Sequence[RandomMeter]
    points: list[Point] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    prices: dict[int, list[tuple[str | None, int, Fraction | None]]] = field(default_factory=dict)
    later: dict[int, list[tuple[int, oracle.Meter]]] = field(default_factory=dict)
    exclusions: dict[int, Exclusion] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)
    granted: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    @property
    def first_hour(self) -> int:
        """Number the hour in which the set begins."""
        return self.names.base // HOUR

    def time(self, hour: int) -> datetime:
        """Give the moment at which an hour of the set begins, counted from its first."""
        return from_ms((self.first_hour + hour) * HOUR)

    async def begin(self) -> None:
        """Declare the meters, each with prices from the epoch on."""
        file_prices = []
        for number, meter in enumerate(self.meters):
            self.prices[number] = list(meter.rules.prices)
            file_prices += [
                FilePrice(
                    self.names.meter(number), flavor, Decimal(price.numerator) / price.denominator
                )
                for flavor, _, price in meter.rules.prices
                if price is not None
            ]
        definitions = tuple(
            meter.definition(self.names.meter(number)) for number, meter in enumerate(self.meters)
        )
        await load_meters(self.copies.core.pool, MeterFile(definitions, tuple(file_prices)))

    async def send(self, body: Body, points: list[Point], copy: int, *, status: int = 204) -> None:
        """Post a body until it is taken, but for what is too old to be kept."""
        kept = [one for one in points if self.is_kept(one)]
        found, text = await self.copies.request(
            "POST", body.path, copy, data=body.data, headers=body.headers
        )
        if found != (status if len(kept) == len(points) else 400):
            raise MismatchError(f"{body.path} answered {found}: {text}")
        self.points += kept
        self.sent.append(Sent(body, points, status))

    def is_kept(self, point: Point) -> bool:
        """Tell whether samples of this time are not dropped yet."""
        return self.names.base + point.offset >= self.copies.kept_from_ms

    async def ask(self, path: str, request: object, status: int = 201) -> Any:
        """Post a wish of an administrator, and hold the answer to a status."""
        copy = self.asked = self.asked + 1
        found, text = await self.copies.request("POST", path, copy, steady=True, json=request)
        if found != status:
            raise MismatchError(f"POST {path} {request} answered {found}, not {status}: {text}")
        return json.loads(text)

    def expected(self) -> dict[Place, int]:
        """Ask the oracle for all charges."""
        return {
            (project, number, flavor, hour): micro
            for number, meter in enumerate(self.meters)
            for project in self.projects
            for (flavor, hour), micro in oracle.credits(
                self._rules(number, project), list(self._samples(number, project))
            ).items()
        }

    def unbilled(self, scope: Scope) -> list[tuple[int, int]]:
        """Give kind and hour of usage that costs nothing unless somebody says so."""
        return sorted(
            {
                (kind, hour)
                for number in range(len(self.meters))
                for series, _, hour, kind in oracle.usage(
                    self._rules(number, scope.project), list(self._samples(number, scope.project))
                )
                if kind != oracle.BILLED and scope.holds(scope.project, number, series)
            }
        )

    @property
    def projects(self) -> list[int]:
        """Number the projects that the service has heard of."""
        return sorted({point.project for point in self.points})

    def _samples(self, number: int, project: int) -> Iterator[oracle.Sample]:
        for point in set(self.points):
            sample = point.sample(self.meters[number], self.names.base)
            if (point.meter, point.project) == (number, project) and not any(
                one.scope.holds(project, number, sample.series)
                and one.start <= sample.time * 1000 < one.end
                for one in self.exclusions.values()
            ):
                yield sample

    def _rules(self, number: int, project: int) -> oracle.Meter:
        def counts(series: str, hour: int, kind: int) -> bool:
            verdicts = [
                one.is_billed
                for one in self.settlements
                if one.kind == kind
                and one.scope.holds(project, number, series)
                and one.first_hour <= hour < one.end_hour
            ]
            return kind == oracle.BILLED or verdicts[-1:] == [True]

        return replace(
            self.meters[number].rules,
            prices=self.prices[number],
            later=self.later.get(number, ()),
            counts=counts,
        )

    async def rated(self) -> None:
        """Wait until everything handed in so far is rated."""
        pool = self.copies.core.pool
        async with connection(pool) as conn:
            newest = await conn.fetchval("SELECT max(id) FROM batch")
        async with asyncio.timeout(RATING_SECONDS_MAX):
            while newest is not None:
                async with connection(pool) as conn:
                    if not await conn.fetchval("SELECT true FROM batch WHERE id <= $1", newest):
                        return
                await asyncio.sleep(WAIT_SECONDS)
