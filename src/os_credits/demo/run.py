"""Runs the simulated cloud: accounts, history as fast as the service takes it, then live."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from os_credits.demo.afterwards import LATE, decide, wait_until_booked
from os_credits.demo.cast import Door
from os_credits.demo.cloud import Series, held_back, samples_between
from os_credits.demo.logins import make_logins
from os_credits.demo.opening import open_accounts
from os_credits.demo.projects import PROJECTS
from os_credits.demo.rhythm import DAY_MS
from os_credits.demo.service import Service, open_session, path_of
from os_credits.domain.period import HOUR_MS, from_ms, to_ms
from os_credits.errors import Unavailable

HISTORY_STEP_MS = 5 * 60_000
CHUNK_MS = 6 * HOUR_MS
# What was pushed last may not be in the account yet: it is pushed again, which is harmless.
OVERLAP_MS = CHUNK_MS + HOUR_MS
PROGRESS_SECONDS = 5.0
LIVE_PROGRESS_SECONDS = 300.0
_COMPAT_TIME = "%Y-%m-%d %H:%M:%S"

_print = partial(print, flush=True)


@dataclass(frozen=True, slots=True)
class _HeldBack:
    """Samples of one server and some time (ms), which are handed in last."""

    times: range
    parts: list[dict[Door, list[Series]]] = field(default_factory=list)


async def run(
    url: str,
    key: str,
    *,
    history_days: int = 14,
    live_interval_seconds: float = 10,
    password: str = "",
    say: Callable[[str], None] = _print,
) -> None:
    """Feed the service at `url` until SIGTERM or SIGINT; the key needs the scope `admin`.

    With a password some people can log in by it. On a service that knows nothing of the
    simulated cloud the history begins `history_days` ago, else where the last run stopped.
    Raises InvalidInput when the service refuses, Unavailable when it stays away before live
    pushing has begun.
    """
    async with _until_signal() as stop, open_session(key) as session:
        service = Service(session, url, say)
        feeding = asyncio.create_task(
            _feed(service, history_days, live_interval_seconds, password, say), name="feed"
        )
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait((feeding, stopping), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            say("the simulated cloud stops; what was pushed stays")
        finally:
            for task in (feeding, stopping):
                task.cancel()
            await asyncio.gather(feeding, stopping, return_exceptions=True)


@contextlib.asynccontextmanager
async def _until_signal() -> AsyncIterator[asyncio.Event]:
    """Give an event that the first SIGTERM or SIGINT sets, for as long as it is looked at."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _feed(
    service: Service,
    history_days: int,
    live_interval_seconds: float,
    password: str,
    say: Callable[[str], None],
) -> None:
    now_ms = _now_ms()
    start_ms = now_ms - history_days * DAY_MS
    await open_accounts(service, start_ms=start_ms, now_ms=now_ms, step_ms=HISTORY_STEP_MS, say=say)
    if password:
        await make_logins(service, password, say)
    resumed_ms = await _resume_at(service, start_ms)
    late = _HeldBack(LATE.times(now_ms)) if resumed_ms == start_ms else None
    pushed_until_ms = await _push_history(service, resumed_ms, say, late)
    async with asyncio.TaskGroup() as group:
        group.create_task(_afterwards(service, late, now_ms), name="afterwards")
        await _push_live(service, pushed_until_ms, live_interval_seconds, say)


async def _afterwards(service: Service, late: _HeldBack | None, now_ms: int) -> None:
    """Let samples come late and people decide, once hours are booked that this corrects."""
    await wait_until_booked(service)
    for part in late.parts if late else []:
        await _hand_in(service, part)
    await decide(service, now_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _resume_at(service: Service, start_ms: int) -> int:
    """Find from where to push: a little before the earliest of the projects' last hours.

    All projects are pushed side by side, so one without any hour is no one that this service
    has a meter for, or is new beside others that have not come far either.
    """
    last_hours = []
    for project in PROJECTS:
        history = await service.get(
            path_of("api", "credits_history", project.id),
            site=project.site,
            start_date=from_ms(start_ms).strftime(_COMPAT_TIME),
        )
        if not history:
            continue
        last = datetime.strptime(history["timestamps"][-1], _COMPAT_TIME).replace(tzinfo=UTC)
        last_hours.append(to_ms(last))
    return max(start_ms, min(last_hours, default=0) - OVERLAP_MS)


async def _push_history(
    service: Service,
    start_ms: int,
    say: Callable[[str], None],
    late: _HeldBack | None = None,
) -> int:
    """Push 5-minute samples up to now, oldest first; gives the moment up to which it did.

    Both doors get the same hours at the same time, so that neither runs far ahead. What is to
    come late is kept by `late` instead, if that is given.
    """
    began = told = time.monotonic()
    sample_count = 0
    at_ms = start_ms
    while at_ms < (now_ms := _now_ms()):
        end_ms = min(at_ms + CHUNK_MS, now_ms)
        sample_count += await _push(service, at_ms, end_ms, HISTORY_STEP_MS, late)
        at_ms = end_ms
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            days = (at_ms - start_ms) / DAY_MS, (now_ms - start_ms) / DAY_MS
            say(f"history: {days[0]:.1f} of {days[1]:.1f} days, {sample_count:,} samples")
    since = from_ms(start_ms).strftime("%Y-%m-%d %H:%M UTC")
    seconds = time.monotonic() - began
    say(f"history: {sample_count:,} samples since {since} pushed in {seconds:.1f} s")
    return at_ms


async def _push(
    service: Service,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    late: _HeldBack | None = None,
) -> int:
    """Push one stretch of time by both doors at once; gives the count of samples."""
    measured = await asyncio.to_thread(samples_between, start_ms, end_ms, step_ms)
    if late is not None:
        measured, kept = held_back(measured, LATE.server, late.times)
        late.parts.append(kept)
    await _hand_in(service, measured)
    return sum(len(samples) for door in Door for _, samples in measured[door])


async def _hand_in(service: Service, measured: dict[Door, list[Series]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for door in Door:
                if measured[door]:
                    group.create_task(service.push(door, measured[door]))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed


async def _push_live(
    service: Service,
    pushed_until_ms: int,
    interval_seconds: float,
    say: Callable[[str], None],
) -> None:
    """Push what is measured from now on, every few seconds, for ever.

    While the service is away, everything waits for it and is pushed then; after a long time
    (or a sleep of this machine) in the steps of the history.
    """
    say(f"live: pushing every {interval_seconds:g} s, Ctrl-C stops it")
    step_ms = max(int(interval_seconds * 1000), 1)
    told = time.monotonic()
    sample_count = 0
    while True:
        await asyncio.sleep(interval_seconds)
        now_ms = _now_ms()
        if now_ms - pushed_until_ms > 2 * HISTORY_STEP_MS + step_ms:
            pushed_until_ms = await _catch_up(service, pushed_until_ms, say)
            continue
        try:
            sample_count += await _push(service, pushed_until_ms, now_ms, step_ms)
        except Unavailable:
            say("live: the service is away, its samples wait")
            continue
        pushed_until_ms = now_ms
        if time.monotonic() - told >= LIVE_PROGRESS_SECONDS:
            told = time.monotonic()
            say(f"live: {sample_count:,} samples so far")


async def _catch_up(service: Service, pushed_until_ms: int, say: Callable[[str], None]) -> int:
    try:
        return await _push_history(service, pushed_until_ms, say)
    except Unavailable:
        say("live: the service is away, its samples wait")
    return pushed_until_ms
