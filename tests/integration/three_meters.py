"""Three meters over one project's samples, and what the oracle says that they cost."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from os_credits.domain.meter import MeterDefinition
from os_credits.flows.meters import FilePrice, MeterFile
from tests.acceptance import stored
from tests.core import Core, Written
from tests.laws import oracle

HOUR_MS = 3_600_000
AT_ONCE = timedelta(0)
METERS = {
    "counter": oracle.Meter("counter", prices=[(None, 0, Fraction(1))]),
    "gauge": oracle.Meter("gauge", prices=[(None, 0, Fraction(3))]),
    "restart": oracle.Meter("counter", on_reset="restart", prices=[(None, 0, Fraction(7))]),
}
FILE = MeterFile(
    tuple(
        MeterDefinition(
            name=name, metric=name, kind=meter.kind, on_reset=meter.on_reset, unit="thing",
            project_id="project", project_name="project", flavor="flavor",
        )
        for name, meter in METERS.items()
    ),
    tuple(FilePrice(name, None, Decimal(int(meter.prices[0][2] or 0)))
          for name, meter in METERS.items()),
)  # fmt: skip


def sample(project: str, meter: str, time_ms: int, value: float, flavor: str = "f") -> Written:
    return {"__name__": meter, "project": project, "flavor": flavor}, time_ms, value


def of_every_meter(project: str, time_ms: int, value: float, flavor: str = "f") -> list[Written]:
    return [sample(project, meter, time_ms, value, flavor) for meter in METERS]


def expected(samples: Iterable[Written], project: str) -> dict[tuple[str, str, int], int]:
    """Ask the oracle for millionths by meter, flavor and hour."""
    known = [one for one in samples if one[0]["project"] == project]
    return {
        (meter, flavor, hour): micro
        for meter, rules in METERS.items()
        for (flavor, hour), micro in oracle.credits(
            rules,
            [
                oracle.Sample("", time_ms, value, labels["flavor"])
                for labels, time_ms, value in known
                if labels["__name__"] == meter
            ],
        ).items()
    }


async def hours_ago(core: Core, hours: int) -> int:
    return (await core.now_ms() // HOUR_MS - hours) * HOUR_MS


def of_project(amounts: dict[stored.Place, int], project: str) -> dict[tuple[str, str, int], int]:
    return {
        (meter, flavor, hour): micro
        for (name, meter, flavor, hour), micro in amounts.items()
        if name == project
    }


async def booked(url: str, project: str) -> dict[tuple[str, str, int], int]:
    return of_project(await stored.ledger(url), project)
