"""What changes how a set is worked out again: meters revised for the past, old samples dropped."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from random import Random
from typing import Any, Self

from os_credits.domain.period import EPOCH, from_ms
from os_credits.flows.retain import Kept, retain
from os_credits.store import batches, retention
from os_credits.store.pool import connection
from tests.laws.events import Shape
from tests.laws.mismatch import MismatchError
from tests.laws.oracle import HOUR
from tests.laws.scene import Scene

DROPS_MAX = 100


@dataclass(frozen=True)
class Revise:
    """A meter is rated otherwise from an hour of the set on, up to its next version."""

    meter: int
    hour: int
    changes: tuple[tuple[str, Any], ...]

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        drawn = {
            "max_gap_seconds": chance.choice([600, 3600, 7200]),
            "max_rate": chance.choice([None, "0.5", "30"]),
            "on_reset": chance.choice(["absorb", "restart"]),
        }
        chosen = chance.sample(sorted(drawn), chance.randint(1, 3))
        return cls(
            chance.randrange(len(shape.meters)),
            chance.randint(-1, shape.hours),
            tuple((name, drawn[name]) for name in chosen),
        )

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen; where it changes nothing, or a version begins there, it is refused."""
        kept_from = -(-scene.copies.kept_from_ms // HOUR)
        start = max(scene.first_hour + self.hour, kept_from)
        later = scene.later.setdefault(self.meter, [])
        held = [rules for first, rules in later if first <= start]
        before = held[-1] if held else scene.meters[self.meter].rules
        after = replace(before, **dict(_rules_of(self.changes)))
        request = {
            **dict(self.changes),
            "valid_from": from_ms(start * HOUR).isoformat(),
            "reason": "tried",
        }
        status = 201
        if after == before:
            status = 400
        elif any(first == start for first, _ in later):
            status = 409
        path = f"/api/v1/meters/{scene.names.meter(self.meter)}/revisions"
        await scene.ask(path, request, status)
        if status == 201:
            later.append((start, after))
            later.sort(key=lambda one: one[0])


@dataclass(frozen=True)
class Drop:
    """All samples before an hour of the set, where a day begins, are dropped: no credit changes."""

    hour: int

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen to everybody's samples."""
        core, day = scene.copies.core, scene.time(self.hour)
        for _ in range(DROPS_MAX):
            async with connection(core.pool) as conn:
                if (await retention.read_retention(conn)).samples_dropped_until >= day:
                    break
                kept = await batches.read_now(conn) - day
            await retain(core.rater, Kept(kept, None, announced_for=timedelta(0)))
        else:
            raise MismatchError(f"samples before {day} are not dropped after {DROPS_MAX} steps")
        until_ms = (day - EPOCH) // timedelta(milliseconds=1)
        scene.copies.kept_from_ms = max(until_ms, scene.copies.kept_from_ms)


def _rules_of(changes: tuple[tuple[str, Any], ...]) -> Iterator[tuple[str, Any]]:
    for name, value in changes:
        if name == "max_gap_seconds":
            yield "max_gap", value * 1000
        elif name == "max_rate":
            yield name, None if value is None else Fraction(value)
        else:
            yield name, value
