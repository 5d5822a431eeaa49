"""What people decide about a set: grants, exclusions, verdicts on suspect and unmetered usage."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Self

from os_credits.domain.period import EPOCH, from_ms
from os_credits.store.pool import connection
from tests.laws import oracle
from tests.laws.events import Shape
from tests.laws.oracle import HOUR
from tests.laws.scene import Exclusion, Scene, Scope, Settlement

VERDICTS = ("bill", "bill", "bill", "waive", "reopen")
KINDS = {"suspect": oracle.SUSPECT, "unmetered": oracle.UNMETERED}
LATER_THAN_ALL = 10**18


@dataclass(frozen=True)
class Grant:
    """A project is given credits; asked twice, it is given once."""

    amount: int

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls(chance.randint(1, 10**9))

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen."""
        for scope in _some_scope(scene, chance):
            path = f"/api/v1/projects/{scene.names.project(scope.project)}/grants"
            text = f"{self.amount // 10**6}.{self.amount % 10**6:06d}"
            key = f"{scene.names.tag} {scene.asked}"
            request = {"amount": text, "reason": "tried", "idempotency_key": key}
            await scene.ask(path, request)
            await scene.ask(path, request, 200)
            scene.granted[scope.project] = scene.granted.get(scope.project, 0) + self.amount


@dataclass(frozen=True)
class Exclude:
    """Samples of a project, meter or series are taken out, those that come later too."""

    start: int
    length: int
    is_open: bool

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one, often from and to exact samples' times."""
        step = chance.choice([HOUR, HOUR // 2, 1])
        start = chance.randrange(-HOUR, shape.hours * HOUR) // step * step
        length = chance.choice([1, HOUR // 2, HOUR, 3 * HOUR, shape.hours * HOUR])
        return cls(start, length, chance.random() < 0.1)

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen; what was dropped stays as it is, so that it begins after that."""
        for scope in _some_scope(scene, chance):
            offset = self.start
            if chance.random() < 0.8:
                offset = chance.choice(scene.points).offset - chance.choice([0, 0, 1, HOUR])
            start = max(scene.names.base + offset, scene.copies.kept_from_ms) * 1000
            end = start + self.length * 1000
            start += chance.choice([0, 0, 1, 999])
            request = {
                **await _wanted(scene, scope),
                "starts_at": _moment(start),
                "ends_at": None if self.is_open else _moment(end),
            }
            path = f"/api/v1/projects/{scene.names.project(scope.project)}/exclusions"
            if chance.random() < 0.3:
                await scene.ask(path, {**request, "preview": True}, 200)
            done = await scene.ask(path, request)
            exclusion = Exclusion(scope, start, LATER_THAN_ALL if self.is_open else end)
            scene.exclusions[done["exclusion_id"]] = exclusion


@dataclass(frozen=True)
class Lift:
    """An exclusion ends: its samples count again, but for those that another one covers."""

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls()

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen, unless it reaches back into what was dropped."""
        kept_from = scene.copies.kept_from_ms * 1000
        liftable = [id_ for id_, one in scene.exclusions.items() if one.start >= kept_from]
        if liftable:
            chosen = chance.choice(liftable)
            await scene.ask(f"/api/v1/exclusions/{chosen}/lift", {"reason": "tried"}, 200)
            del scene.exclusions[chosen]
            await scene.ask(f"/api/v1/exclusions/{chosen}/lift", {"reason": "tried"}, 409)


@dataclass(frozen=True)
class Settle:
    """Suspect or unmetered usage gets verdicts, also for what is found later in its hours.

    Of several about the same usage the latest counts.
    """

    kind: str
    first_hour: int
    verdicts: tuple[tuple[str, int], ...]

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one: each verdict with the count of its hours."""
        lengths = (1, 2, shape.hours + 1)
        return cls(
            chance.choice(sorted(KINDS)),
            chance.randint(-1, shape.hours),
            tuple(
                (chance.choice(VERDICTS), chance.choice(lengths))
                for _ in range(chance.choice([1, 2, 3]))
            ),
        )

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen, by and large where there is such usage."""
        for scope in _some_scope(scene, chance):
            kind, first = self.kind, scene.first_hour + self.first_hour
            if (unbilled := scene.unbilled(scope)) and chance.random() < 0.9:
                number, hour = chance.choice(unbilled)
                kind = next(name for name, one in KINDS.items() if one == number)
                first = hour - chance.choice([0, 0, 1])
            for verdict, hours in self.verdicts:
                await self._settle(scene, scope, kind, (first, first + hours), verdict, chance)

    async def _settle(
        self,
        scene: Scene,
        scope: Scope,
        kind: str,
        hours: tuple[int, int],
        verdict: str,
        chance: Random,
    ) -> None:
        request = {
            **await _wanted(scene, scope),
            "kind": kind,
            "first_hour": from_ms(hours[0] * HOUR).isoformat(),
            "end_hour": from_ms(hours[1] * HOUR).isoformat(),
            "verdict": verdict,
        }
        path = f"/api/v1/projects/{scene.names.project(scope.project)}/settlements"
        if chance.random() < 0.2:
            await scene.ask(path, {**request, "preview": True}, 200)
        await scene.ask(path, request)
        scene.settlements.append(Settlement(scope, KINDS[kind], *hours, verdict == "bill"))


def _some_scope(scene: Scene, chance: Random) -> Iterator[Scope]:
    """Give a project, or a meter or a series of it, if there is any."""
    if scene.points:
        point = chance.choice(scene.points)
        series = point.sample(scene.meters[point.meter], 0).series
        whole = Scope(point.project)
        of_meter = Scope(point.project, point.meter)
        yield chance.choice([whole, of_meter, Scope(point.project, point.meter, series)])


async def _wanted(scene: Scene, scope: Scope) -> dict[str, object]:
    """Write a scope as requests do."""
    wanted: dict[str, object] = {"reason": "tried"}
    if scope.meter is not None:
        wanted["meter"] = scene.names.meter(scope.meter)
    if scope.meter is not None and scope.series is not None:
        server, _, disk = scope.series.partition("/")
        async with connection(scene.copies.core.pool) as conn:
            wanted["series_id"] = await conn.fetchval(
                """
                SELECT s.id FROM series s
                JOIN project p ON p.id = s.project_id JOIN meter m ON m.id = s.meter_id
                WHERE (p.external_id, m.name, s.resource, coalesce(s.identity->>'disk', ''))
                    = ($1, $2, $3, $4)
                """,
                scene.names.project(scope.project),
                scene.names.meter(scope.meter),
                server,
                disk,
            )
    return wanted


def _moment(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()
