"""What was acknowledged is never lost and never billed twice, whatever dies meanwhile.

`make crash-test ROUNDS=n` plays more rounds of the same, with other luck each time.
"""

import pytest

from scripts import timescaledb
from tests.crash.rounds import KILLS_PER_ROUND, KINDS, crash

SEED = "1906"
ROUNDS = 2


@pytest.mark.timeout(300)
async def test_whatever_is_killed_nothing_is_lost_and_nothing_billed_twice() -> None:
    if timescaledb.find() is None:
        pytest.skip("there is no PostgreSQL here that may be killed; make crash-test makes one")
    figures = await crash(ROUNDS, SEED, print)

    assert figures.is_well, figures.lines()
    assert set(KINDS) == set(figures.kills)
    assert ROUNDS * KILLS_PER_ROUND == figures.kills.total()
    assert all((figures.take_overs, figures.cuts, figures.replays, figures.corrections))
