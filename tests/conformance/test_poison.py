"""A poisoned item harms only itself (invariant I-9): at any place in a batch, by every door."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.conformance.answers import full_second_ms
from tests.conformance.doors import STORING, VCPU, Door, Point, Reply, push, written_faults
from tests.conformance.faulty import Bad, bad_items, body_of, good_item
from tests.conformance.figures import say

POSITIONS = ("first", "middle", "last")
# Each cell has a second of its own.
SECONDS_BACK = 3600


@dataclass(slots=True)
class Poisoning:
    """What was sent by all doors, what must be stored and counted, and what was wrong."""

    service: Service
    start_ms: int = field(default_factory=lambda: full_second_ms() - SECONDS_BACK * 1000)
    wanted: dict[stored.SamplePlace, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    aside: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def by(self, door: Door) -> None:
        """Send a batch for each kind and position; each one finds the sender not blocked."""
        for number, bad in enumerate(bad_items(door, self.start_ms)):
            at_ms = self.start_ms + 3000 * number
            replies = await asyncio.gather(
                *(
                    push(self.service, door, self._batch(door, bad, place, at_ms))
                    for place in range(len(POSITIONS))
                )
            )
            for position, reply in zip(POSITIONS, replies, strict=True):
                faults = _faults(door, bad, reply)
                self.wrong += [f"{door.name}, {bad.name}, {position}: {one}" for one in faults]

    def _batch(self, door: Door, bad: Bad, place: int, at_ms: int) -> bytes:
        """Put the bad item first, between, or behind two good ones; some are of a new series."""
        self.counts["cells"] += 1
        self.counts["refused"] += bad.refused
        if bad.aside:
            self.aside[bad.aside] += 1
        if bad.unknown:
            self.unknown[bad.unknown] += 1
        seen = self._good(door, "seen", at_ms + 1000 * place)
        other = self._good(door, bad.name if place == 0 else "also seen", at_ms + 1000 * place)
        items = [seen, other]
        items.insert(place, bad.item)
        return body_of(door, items)

    def _good(self, door: Door, name: str, time_ms: int) -> Any:
        point = Point(f"{door.name} {name!r}", time_ms, 1.0)
        self.wanted[VCPU, point.project, "", time_ms] = point.value
        return good_item(door, point)


def _faults(door: Door, bad: Bad, reply: Reply) -> list[str]:
    """Compare an answer with what must be said of two good items and a bad one."""
    status = 204 if not bad.is_refused else 422 if door.name == "write v2" else 400
    faults = []
    if reply.status != status:
        faults.append(f"status {reply.status} instead of {status}: {reply.text}")
    if bad.refused:
        counted = f"refused {bad.refused}: " if door.is_remote_write else f"dropped={bad.refused}"
        if counted not in reply.text:
            faults.append(f"not {counted!r} in {reply.text}")
    return faults + written_faults(door, reply, str(2 + bad.written), "0", "0")


async def test_a_bad_item_at_any_place_of_a_batch_harms_only_itself(
    database_url: str,
) -> None:
    async with running(settings_for(database_url, log_level="ERROR")) as service:
        poisoning = Poisoning(service)
        await asyncio.gather(*(poisoning.by(door) for door in STORING))
        await service.rated()
        async with service.request("GET", "/stats", key="admin") as response:
            seen = await response.json()
    say("I-9", cells=poisoning.counts["cells"], good_samples=len(poisoning.wanted))
    assert not poisoning.wrong, "\n".join(poisoning.wrong)
    assert await stored.samples(database_url) == poisoning.wanted
    assert seen["accepted_samples"] == {VCPU: len(poisoning.wanted)}
    assert sum(seen["refused_samples"].values()) == poisoning.counts["refused"]
    assert seen["set_aside_samples"] == poisoning.aside
    assert seen["unknown_metrics"] == poisoning.unknown
