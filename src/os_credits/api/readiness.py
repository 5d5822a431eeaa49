"""Whether pushes can be taken now: what load balancers and InfluxDB's clients ask."""

from __future__ import annotations

import asyncio

from os_credits.api.context import Context
from os_credits.errors import Unavailable
from os_credits.flows.start import check_revision
from os_credits.store import server
from os_credits.store.pool import connection

WAIT_SECONDS = 2.0


async def problem_of(context: Context) -> str | None:
    """Say what stands in the way of taking pushes; None if the database answers and all runs."""
    if context.start.problem is not None:
        return context.start.problem
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            async with connection(context.pool, wait_seconds=WAIT_SECONDS) as conn:
                check_revision(await server.read_revision(conn))
    except (Unavailable, TimeoutError) as error:
        return str(error) or "the database does not answer in time"
    stopped = [job["name"] for job in context.clock.tasks() if not job["running"]]
    return f"the clock does not run: {', '.join(stopped)}" if stopped else None
