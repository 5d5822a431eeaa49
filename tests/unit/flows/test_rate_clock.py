"""Rating rests in proportion to its work, and never while a full run waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from os_credits.flows.rate_clock import REST_SECONDS_MAX, RESTS, RatingClock

if TYPE_CHECKING:
    from os_credits.flows.rate import Rater

SAMPLES_MAX = 100


class Work:
    """A rater whose runs take time by its own clock; each gives what was said it finds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.seconds_each = 1.0
        self.waiting: list[int | Exception] = []
        self.run_count = 0

    async def has_full_run(self) -> bool:
        found = self.waiting[0] if self.waiting else 0
        return isinstance(found, int) and found >= SAMPLES_MAX

    async def run(self) -> int:
        self.run_count += 1
        self.now += self.seconds_each
        found = self.waiting.pop(0) if self.waiting else 0
        if isinstance(found, Exception):
            raise found
        return found

    def seconds(self) -> float:
        return self.now


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def clock(work: Work) -> RatingClock:
    return RatingClock(cast("Rater", work), samples_max=SAMPLES_MAX, seconds=work.seconds)


LONG_WORK = REST_SECONDS_MAX / RESTS


@pytest.mark.parametrize(
    "worked, rests",
    [
        (0.25, 0.25 * RESTS),
        (1.0, RESTS),
        (LONG_WORK - 0.5, REST_SECONDS_MAX - 0.5 * RESTS),
        (LONG_WORK + 0.5, REST_SECONDS_MAX),
        (1000.0, REST_SECONDS_MAX),
    ],
)
async def test_it_rests_some_times_as_long_as_it_worked_but_not_for_ever(
    work: Work, clock: RatingClock, worked: float, rests: float
) -> None:
    work.seconds_each, work.waiting = worked, [5, 7]
    assert 5 == await clock.run()
    ended = work.now

    for rested in (0, rests / 2, rests - 1e-3):
        work.now = ended + rested
        assert 0 == await clock.run()
    assert 1 == work.run_count

    work.now = ended + rests
    assert 7 == await clock.run()
    assert 2 == work.run_count


async def test_it_goes_on_while_runs_are_full_and_rests_for_the_last(
    work: Work, clock: RatingClock
) -> None:
    work.waiting = [SAMPLES_MAX, SAMPLES_MAX + 50, SAMPLES_MAX - 1, 3]

    assert 3 * SAMPLES_MAX + 49 == await clock.run()

    assert (3, 1003.0) == (work.run_count, work.now)
    work.now += RESTS - 1e-3
    assert 0 == await clock.run()
    work.now += 1e-3
    assert 3 == await clock.run()


async def test_a_full_run_ends_a_rest(work: Work, clock: RatingClock) -> None:
    work.waiting = [5, SAMPLES_MAX, 7]
    assert 5 == await clock.run()

    assert SAMPLES_MAX + 7 == await clock.run()

    work.waiting = [SAMPLES_MAX - 1]
    assert 0 == await clock.run()


async def test_a_full_run_and_nothing_more_is_no_endless_work(
    work: Work, clock: RatingClock
) -> None:
    work.waiting = [SAMPLES_MAX]

    assert SAMPLES_MAX == await clock.run()
    assert 2 == work.run_count


async def test_after_an_error_it_tries_again_at_once(work: Work, clock: RatingClock) -> None:
    work.waiting = [SAMPLES_MAX, OSError("away"), 4]

    with pytest.raises(OSError, match="away"):
        await clock.run()

    assert 4 == await clock.run()


async def test_nothing_to_do_costs_a_short_rest_only(work: Work, clock: RatingClock) -> None:
    work.seconds_each = 0.001
    assert 0 == await clock.run()
    work.now += 0.004
    work.waiting = [1]

    assert 1 == await clock.run()
