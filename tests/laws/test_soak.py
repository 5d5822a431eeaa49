"""Any order, duplication, batching, door, restart, number of workers: the oracle's credits."""

import asyncio

from tests.laws.soak import Tally, say, soak

# The first ones of `make soak`, whose longer runs try thousands.
SETS = 40


def test_credits_are_a_function_of_the_set(database_url: str) -> None:
    tally = Tally()

    asyncio.run(soak(database_url, range(1, 1 + SETS), tally))

    say(f"{tally}, {tally.rate:.1f} sets/s")
    assert (SETS, 0) == (tally.sets, tally.mismatches)
