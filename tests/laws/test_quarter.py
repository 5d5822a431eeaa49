"""Some days of the simulated quarter; `make quarter` plays all of it with fifty projects."""

from tests.laws.quarter import simulate


async def test_every_crossing_has_exactly_one_notice(database_url: str) -> None:
    outcome = await simulate(database_url, projects=10, days=4, seed=3)

    assert [] == outcome.mismatches
    assert outcome.notices > 5
    assert outcome.mails > outcome.notices
