"""Sends remote write of either version and reads back what became of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.acceptance import stored
from tests.acceptance.conftest import Service
from tests.conformance import wire
from tests.conformance.doors import DOORS, VCPU, WRITTEN, Door, Point, Reply, pairs, push
from tests.conformance.faulty import Series, body_of

RW1, RW2 = DOORS[:2]
BOTH = pytest.mark.parametrize("door", [RW1, RW2], ids=["1.0", "2.0"])


def series(project: str, *samples: tuple[int, float], **labels: str) -> Series:
    """Give a billed counter of a project, at these times with these values."""
    point = Point(project, 0, 0.0, more=labels)
    return Series(pairs(point), [wire.sample(*sample) for sample in samples])


def body(door: Door, all_series: Sequence[Series]) -> bytes:
    """Write series as a body of a version."""
    return body_of(door, [one.v1 if door is RW1 else one.v2 for one in all_series])


async def send(service: Service, door: Door, *all_series: Series, **more: Any) -> Reply:
    """Send series in one request."""
    return await push(service, door, body(door, all_series), **more)


def written(reply: Reply) -> tuple[str | None, ...]:
    """Give the counts of samples, histograms and exemplars that an answer names."""
    return tuple(reply.headers.get(name) for name in WRITTEN)


def counts(door: Door, samples: int, histograms: int = 0, exemplars: int = 0) -> Any:
    """Give what `written` must be: nothing at all in an answer to 1.0."""
    named = tuple(map(str, (samples, histograms, exemplars)))
    return named if door is RW2 else (None,) * len(WRITTEN)


def check_taken(reply: Reply, door: Door, *numbers: int) -> None:
    """Check a success and its exact counts."""
    assert (reply.status, reply.text) == (204, "")
    assert written(reply) == counts(door, *numbers)


def check_refused(reply: Reply, door: Door, *numbers: int, status: int = 400) -> str:
    """Check a refusal and its exact counts; gives its message."""
    assert reply.status == status, reply.text
    assert written(reply) == counts(door, *numbers)
    message: str = reply.json["message"]
    assert message == reply.json["error"] != ""
    return message


async def read_back(service: Service, *projects: str) -> dict[tuple[str, int], float]:
    """Give what is stored of these projects by now: value by project and time."""
    await service.rated()
    found = await stored.samples(service.settings.database_url, *projects)
    assert {place[0] for place in found} <= {VCPU}
    return {(place[1], place[3]): value for place, value in found.items()}
