"""How long a delayed mail waits."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.notify.backoff import wait_before_retry


@pytest.mark.parametrize(
    "attempt_count,seconds", [(1, 60), (2, 120), (6, 1920), (7, 3600), (8, 3600), (1000, 3600)]
)
def test_the_wait_doubles_up_to_an_hour(attempt_count: int, seconds: int) -> None:
    assert timedelta(seconds=seconds) == wait_before_retry(attempt_count, 0)


@settings(deadline=None)
@given(
    attempt_count=st.integers(min_value=1, max_value=10**9),
    jitter=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_no_wait_is_under_half_a_minute_or_over_an_hour(attempt_count: int, jitter: float) -> None:
    wait = wait_before_retry(attempt_count, jitter)

    assert timedelta(seconds=30) <= wait <= timedelta(hours=1)
