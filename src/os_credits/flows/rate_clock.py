"""When to rate: often enough for people, seldom enough to cost little.

What rating costs is rows of usage and blocks of samples, a few for each series and run: the more
samples of a series a run finds, the less each of them costs. So a run is followed by a rest that
grows with the work it was: a small cloud's samples are rated within a second or two, those of a
hundred thousand series within a minute, and rating takes no more than a third of a processor.
Only where as much waits as one run may hold it goes on at once: a rest would not make that more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from os_credits.flows.rate import Rater

# So many times as long as the last run took it rests.
RESTS = 2.0
# Together with a run this stays below what doctor takes for nobody who rates
# (`diagnose.py: WAITING_SECONDS_MAX`).
REST_SECONDS_MAX = 30.0


class RatingClock:
    """Rates all that waits, run by run, and then rests."""

    def __init__(
        self, rater: Rater, *, samples_max: int, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Take who rates, and how many samples one run of theirs may hold."""
        self._rater = rater
        self._samples_max = samples_max
        self._seconds = seconds
        self._rests_until = 0.0

    async def run(self) -> int:
        """Rate what waits unless it is time to rest; gives the count of samples taken."""
        started = self._seconds()
        if started < self._rests_until and not await self._rater.has_full_run():
            return 0
        total = 0
        while count := await self._rater.run():
            total += count
            if count < self._samples_max:
                break
            started = self._seconds()  # a full run asks for no rest
        ended = self._seconds()
        self._rests_until = ended + min(RESTS * (ended - started), REST_SECONDS_MAX)
        return total
