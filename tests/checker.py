"""Recomputes everything that a test left in its database; any test may call it.

It is `os-credits verify` called on the database, and shows nothing that `verify` does not.
"""

from __future__ import annotations

from os_credits.flows.verify import Verified, verify
from os_credits.store.pool import Pool, open_pool

# The acceptance window under which tests rate: the default of the setting.
WINDOW_MS = 35 * 86_400_000


class Runs:
    """How often the databases of tests were checked, for the end of the run's report."""

    count = 0
    different = 0
    seconds = 0.0


async def checked(pool: Pool, *, window_ms: int = WINDOW_MS) -> Verified:
    """Recompute the database, and fail on the first difference."""
    verified = await verify(pool, window_ms=window_ms)
    Runs.count += 1
    Runs.different += not verified.holds
    Runs.seconds += verified.seconds
    assert verified.findings.first == {}
    return verified


async def checked_at(database_url: str, *, window_ms: int = WINDOW_MS) -> Verified:
    """Recompute the database at a URL, and fail on the first difference."""
    pool = await open_pool(database_url, connections_max=1, statement_timeout_seconds=30)
    try:
        return await checked(pool, window_ms=window_ms)
    finally:
        await pool.close()
