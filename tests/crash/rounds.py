"""Rounds of load in which copies of the service and PostgreSQL are killed at random moments.

A round has its own projects, one to three copies, and as many kills as KILLS_PER_ROUND; at its
end everything is rated and booked, and all rounds so far are compared with the oracle.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from os_credits.store.migrate import migrate
from scripts.progress import step
from scripts.with_server import temporary_cluster
from tests.acceptance import stored
from tests.crash.copies import COPIES_MAX, Copies, copies_of
from tests.crash.postgres import Postgres
from tests.crash.senders import Body, Sender, sending
from tests.crash.verdict import Account, Figures, differences, granted, lost_points, taken_over

# From how many days before the present each sender sends, and whether it is a calm one.
SENDERS = ((20, True), (20, False), (2, False), (0.2, False))
KILLS_PER_ROUND = 3
LIFE_SECONDS = (0.2, 1.2)
CUT_SHARE = 0.5
# The service's own, which is also the oracle's.
WINDOW = timedelta(days=35)
KINDS = ("one copy", "all copies", "PostgreSQL", "a session of PostgreSQL", "everything")


class Crash:
    """One run: the ground it is played on, and its figures."""

    def __init__(self, postgres: Postgres, copies: Copies, chance: random.Random) -> None:
        self._postgres = postgres
        self._copies = copies
        self._chance = chance
        self._account = Account(postgres.url)
        self._past: list[Body] = []
        self._kinds = _shuffled(chance)
        self.figures = Figures()

    async def round(self, number: int) -> None:
        """Load, kill, compare."""
        copies = number % COPIES_MAX + 1
        await self._copies.bring_up(copies)
        senders = [
            Sender(
                f"project-{number}-{sender}",
                random.Random(self._chance.random()),
                self._copies.doors,
                self._past,
                days,
                is_calm,
            )
            for sender, (days, is_calm) in enumerate(SENDERS)
        ]
        async with sending(senders):
            for _ in range(KILLS_PER_ROUND):
                await asyncio.sleep(self._chance.uniform(*LIFE_SECONDS))
                if self._chance.random() < CUT_SHARE:
                    self.figures.cuts += self._postgres.cut_sessions()
                    await asyncio.sleep(self._chance.uniform(0, 0.3))
                kind = next(self._kinds)
                await self._strike(kind)
                self.figures.kills[kind] += 1
                await self._look(senders)
                await self._copies.bring_up(copies)
        await self._compare(senders)

    async def _strike(self, kind: str) -> None:
        """Kill, and start PostgreSQL again; copies stay dead for the moment."""
        match kind:
            case "one copy":
                self._copies.kill(1, self._chance)
                if self._copies.wanted > 1:
                    self.figures.take_overs.append(await taken_over(self._postgres.url))
            case "all copies":
                self._copies.kill(COPIES_MAX, self._chance)
            case "a session of PostgreSQL":
                await asyncio.to_thread(self._postgres.kill_session)
            case "PostgreSQL" | "everything":
                if kind == "everything":
                    self._copies.kill(COPIES_MAX, self._chance)
                self._postgres.kill()
                await asyncio.sleep(self._chance.uniform(0, 0.3))
                await asyncio.to_thread(self._postgres.start)
            case _:
                raise ValueError(kind)

    async def _look(self, senders: list[Sender]) -> None:
        """Look whether all that was acknowledged by now is there, while the load goes on."""
        url = self._postgres.url
        acknowledged = [point for sender in senders for point in sender.acknowledged]
        self.figures.lost += await lost_points(
            url, acknowledged, *(sender.project for sender in senders)
        )
        self.figures.unbalanced += len(await stored.unbalanced(url))

    async def _compare(self, senders: list[Sender]) -> None:
        """Compare with the oracle what has come to rest."""
        points = {point for sender in senders for point in sender.acknowledged}
        lack, excess = await self._account.settle(points)
        figures = self.figures
        figures.acknowledged += len(points)
        figures.lost += lack
        figures.billed_twice += excess
        asked = sum(sender.grants for sender in senders)
        given = await granted(self._postgres.url, *(sender.project for sender in senders))
        figures.grants += asked
        figures.lost += max(0, asked - given)
        figures.billed_twice += max(0, given - asked)
        figures.failures += sum(sender.failures for sender in senders)
        figures.replays += sum(sender.replays for sender in senders)
        figures.unbalanced += len(await stored.unbalanced(self._postgres.url))

    async def finish(self) -> None:
        """Count what is counted once, at the end."""
        url, figures = self._postgres.url, self.figures
        figures.cuts += sum(proxy.cuts for proxy in self._copies.proxies)
        figures.replays += sum(proxy.repetitions for proxy in self._copies.proxies)
        figures.broken_links = len(await stored.broken_links(url))
        figures.unverified = await differences(url, WINDOW)
        figures.deadlocks = self._postgres.times_logged("deadlock detected")
        figures.deadlocks += self._copies.times_logged("DeadlockDetected")
        kinds = dict(await stored.query(url, "SELECT kind, count(*) FROM entry GROUP BY kind"))
        figures.corrections = kinds.get("correction", 0)
        figures.entries = sum(kinds.values())


def _shuffled(chance: random.Random) -> Iterator[str]:
    """Give each kind of kill once before any comes again."""
    while True:
        yield from chance.sample(KINDS, len(KINDS))


async def crash(rounds: int, seed: str, tell: Callable[[str], None]) -> Figures:
    """Play so many rounds on a PostgreSQL of their own; `tell` hears of each."""
    chance = random.Random(seed)
    with temporary_cluster() as cluster:
        postgres = Postgres(cluster)
        logs = cluster.folder / "services"
        logs.mkdir()
        with closing(postgres):
            with step("Making a PostgreSQL that may be killed"):
                postgres.make()
                migrate(postgres.owner_url, postgres.url)
            return await _play(rounds, postgres, logs, chance, tell)


async def _play(
    rounds: int, postgres: Postgres, logs: Path, chance: random.Random, tell: Callable[[str], None]
) -> Figures:
    async with copies_of(postgres.url, logs, chance) as copies:
        run = Crash(postgres, copies, chance)
        for number in range(1, rounds + 1):
            started = time.monotonic()
            before = run.figures.acknowledged
            await run.round(number)
            tell(
                f"round {number}: {copies.wanted} copies, "
                f"{run.figures.acknowledged - before} samples, "
                f"{time.monotonic() - started:.1f} s; so far {run.figures.lines()[-1]}"
            )
        await run.finish()
    return run.figures
