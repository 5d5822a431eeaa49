"""Repeats what the service does by itself: rate, book, notice, deliver.

Each job runs alone in its own task; a failure is logged and counted, and the job comes again
after a growing pause. Any number of copies may run their clocks: the database's locks decide
who does the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from os_credits.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

PAUSE_SECONDS_MAX = 30.0

log = structlog.get_logger("os_credits.clock")


@dataclass(slots=True)
class Job:
    """Something to be repeated: `run` gives a count of what it did.

    `interval_seconds` pass between two runs; with `again_if_busy` a run that did something is
    followed by the next at once.
    """

    name: str
    interval_seconds: float
    run: Callable[[], Awaitable[int]]
    again_if_busy: bool = False
    runs: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_error: str = ""
    last_seconds: float = 0.0
    last_ended_at: datetime | None = None
    done: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def describe(self) -> dict[str, Any]:
        """Say how the job fares, for `/stats`."""
        return {
            "name": self.name,
            "running": self.task is not None and not self.task.done(),
            "runs": self.runs,
            "done": self.done,
            "failures": self.failures,
            "failures_in_a_row": self.failures_in_a_row,
            "last_error": self.last_error,
            "last_seconds": round(self.last_seconds, 6),
            "last_ended_at": self.last_ended_at and self.last_ended_at.isoformat(),
            "interval_seconds": self.interval_seconds,
        }


class Clock:
    """Runs jobs until it is stopped."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Take the jobs; nothing runs before `start`."""
        self.jobs = list(jobs)

    def start(self) -> None:
        """Start a task for each job."""
        for job in self.jobs:
            job.task = asyncio.create_task(_repeat(job), name=f"clock-{job.name}")

    async def stop(self) -> None:
        """Cancel all jobs and wait for their end; a transaction under way is rolled back."""
        for job in self.jobs:
            if job.task is not None:
                job.task.cancel()
        for job in self.jobs:
            if job.task is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await job.task

    def tasks(self) -> list[dict[str, Any]]:
        """Say how each job fares."""
        return [job.describe() for job in self.jobs]


async def _repeat(job: Job) -> None:
    while True:
        done = await _run_once(job)
        if done and job.again_if_busy:
            await asyncio.sleep(0)
            continue
        # 1, 2, 4 ... times the interval after failures, so that a dead database is not hammered.
        pause = job.interval_seconds * 2 ** min(job.failures_in_a_row, 6)
        await asyncio.sleep(min(pause, max(PAUSE_SECONDS_MAX, job.interval_seconds)))


async def _run_once(job: Job) -> int:
    started = time.monotonic()
    try:
        done = await job.run()
    except Exception as error:
        job.failures += 1
        job.failures_in_a_row += 1
        job.last_error = f"{type(error).__name__}: {error}"[:500]
        passing = isinstance(error, Unavailable)
        log.warning(
            "job failed", action="job_failed", job=job.name, error=job.last_error,
            exc_info=not passing,
        )  # fmt: skip
        return 0
    else:
        job.failures_in_a_row = 0
        job.done += done
        return done
    finally:
        job.runs += 1
        job.last_seconds = time.monotonic() - started
        job.last_ended_at = datetime.now(UTC)
