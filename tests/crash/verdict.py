"""What a run of crashes came to: counted, and compared with an undisturbed copy's charges."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from os_credits.flows.verify import verify
from os_credits.store.pool import open_pool
from tests.acceptance import stored
from tests.acceptance.stored import Place, SamplePlace
from tests.acceptance.traffic import Point, charges_of

SETTLING_SECONDS_MAX = 60
TAKE_OVER_SECONDS_MAX = 5
VERIFYING_SECONDS_MAX = 600


@dataclass
class Figures:
    """Counts of a run; `lost` and `billed_twice` are samples and hours of charges or entries."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    billed_twice: int = 0
    unbalanced: int = 0
    broken_links: int = 0
    unverified: int = 0
    deadlocks: int = 0
    cuts: int = 0
    replays: int = 0
    failures: int = 0
    grants: int = 0
    entries: int = 0
    corrections: int = 0
    take_overs: list[float] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Tell whether nothing went wrong, and whether enough was tried to say so."""
        faults = (
            self.lost + self.billed_twice + self.unbalanced + self.broken_links + self.unverified
        )
        in_time = max(self.take_overs, default=0) <= TAKE_OVER_SECONDS_MAX
        was_tried = self.kills.total() > 0 and self.acknowledged > 0
        return faults + self.deadlocks == 0 and in_time and was_tried

    def lines(self) -> list[str]:
        """Write the figures for people; the last line is the promise that is kept or broken."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items()))
        slowest = max(self.take_overs, default=0)
        recomputed = f"differences by verify {self.unverified}, deadlocks {self.deadlocks}"
        promise = f"lost {self.lost}, billed twice {self.billed_twice}"
        return [
            f"killed: {kinds}",
            f"cut off {self.cuts}, replayed {self.replays}, failed and repeated {self.failures}",
            f"grants {self.grants}, entries {self.entries}, corrections {self.corrections}",
            f"unbalanced {self.unbalanced}, broken links {self.broken_links}, {recomputed}",
            f"taken over {len(self.take_overs)} times, within {slowest:.1f} s at most",
            f"kills {self.kills.total()}, acknowledged {self.acknowledged}, {promise}",
        ]


async def lost_points(url: str, acknowledged: Iterable[Point], *projects: str) -> int:
    """Count acknowledged points whose time is not kept, or only with a lesser value."""
    points = list(acknowledged)  # before anything is read: senders go on meanwhile
    kept = await stored.waiting(url)  # first: rating moves points from here to there
    for place, value in (await stored.samples(url, *projects)).items():
        kept[place] = max(value, kept.get(place, value))
    return sum(point.place not in kept or kept[point.place] < point.value for point in points)


async def taken_over(url: str) -> float:
    """Wait until all that waits now is rated; gives the seconds that took."""
    started = time.monotonic()
    ((newest,),) = await stored.query(url, "SELECT coalesce(max(id), 0) FROM batch")
    with suppress(TimeoutError):
        async with asyncio.timeout(4 * TAKE_OVER_SECONDS_MAX):
            while await stored.query(url, "SELECT id FROM batch WHERE id <= %s LIMIT 1", newest):
                await asyncio.sleep(0.02)
    return time.monotonic() - started


async def differences(url: str, window: timedelta) -> int:
    """Let the service recompute everything itself, and count what it finds different."""
    pool = await open_pool(url, connections_max=1, statement_timeout_seconds=VERIFYING_SECONDS_MAX)
    try:
        verified = await verify(pool, window_ms=window // timedelta(milliseconds=1))
    finally:
        await pool.close()
    return verified.findings.difference_counts.total()


async def granted(url: str, *projects: str) -> int:
    """Sum up in whole credits what these projects were granted, by their entries."""
    ((credits_,),) = await stored.query(
        url,
        "SELECT coalesce(sum(e.amount), 0)::bigint FROM entry e JOIN project p"
        " ON p.id = e.project_id WHERE e.kind = 'grant' AND p.external_id = ANY(%s)",
        list(projects),
    )
    return int(credits_)


class Account:
    """What everything that was acknowledged must cost, round by round."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._expected: dict[Place, int] = {}
        self._places: set[SamplePlace] = set()

    async def settle(self, points: set[Point]) -> tuple[int, int]:
        """Wait until all is rated and booked; count places with too little, and with too much.

        Too little is also a sample that is not there, too much one that nobody sent.
        """
        self._expected |= charges_of(points)
        self._places |= {point.place for point in points}
        # The present hour is charged and not booked yet.
        hour = int(time.time()) // 3600
        closed = _before(hour, self._expected)
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLING_SECONDS_MAX):
                while closed != _before(hour, await stored.ledger(self._url)):
                    await asyncio.sleep(0.1)
        lack = excess = 0
        for expected, amounts in (
            (closed, _before(hour, await stored.ledger(self._url))),
            (self._expected, await stored.charges(self._url)),
        ):
            for place in amounts.keys() | expected.keys():
                difference = amounts.get(place, 0) - expected.get(place, 0)
                lack += difference < 0
                excess += difference > 0
        kept = (await stored.samples(self._url)).keys()
        return lack + len(self._places - kept), excess + len(kept - self._places)


def _before(hour: int, amounts: dict[Place, int]) -> dict[Place, int]:
    return {place: amount for place, amount in amounts.items() if place[-1] < hour}
