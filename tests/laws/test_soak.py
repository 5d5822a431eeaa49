"""Any order, duplication, batching, door, restart, number of workers: the oracle's credits."""

import asyncio

from tests.laws.soak import soak
from tests.laws.tally import Tally, say

# Sets that are played on every run; among them are those that noticed mutations of the service.
SEEDS = range(11, 41)


def test_credits_are_a_function_of_the_set(database_url: str) -> None:
    """The same as `make soak`, which tries thousands."""
    tally = Tally()

    asyncio.run(soak(database_url, SEEDS, tally))

    say(f"{tally}, {tally.rate:.1f} sets/s")
    assert (len(SEEDS), 0) == (tally.sets, tally.mismatches)
