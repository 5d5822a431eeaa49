"""How long a delayed mail waits before it is tried again. Pure: the jitter is an argument."""

from __future__ import annotations

from datetime import timedelta

WAIT_SECONDS_MIN = 30
WAIT_SECONDS_MAX = 3600
# Doubling further would change nothing, and 2 ** attempt_count must stay small.
_DOUBLINGS_MAX = 7


def wait_before_retry(attempt_count: int, jitter: float) -> timedelta:
    """Give the wait after the attempt of this number (from 1 on).

    It doubles from one minute to one hour; a `jitter` in [0, 1) takes up to half of it away,
    so that mails that failed together do not come back together.
    """
    doublings = min(attempt_count - 1, _DOUBLINGS_MAX)
    seconds = min(2 * WAIT_SECONDS_MIN * 2**doublings, WAIT_SECONDS_MAX)
    return timedelta(seconds=seconds * (1 - jitter / 2))
