"""A look inside the running service: health, figures, task stacks, log levels."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web

from os_credits import __version__
from os_credits.api.auth import access_of
from os_credits.api.context import Context, context_of
from os_credits.api.logs import change_levels, current_levels
from os_credits.api.metrics import Gauges
from os_credits.api.names import Names, read_names
from os_credits.api.readiness import WAIT_SECONDS, problem_of
from os_credits.api.routes import Answer, Gate, Routes, plain_json
from os_credits.api.transient import RETRY_AFTER_SECONDS
from os_credits.decode.scan import SCANNER
from os_credits.domain.seal import Seal
from os_credits.errors import Unavailable
from os_credits.rating.charge import units_of
from os_credits.store import batches, seals, usage
from os_credits.store.pool import connection

STACK_FRAMES_MAX = 20
TASKS_SHOWN_MAX = 500

routes = Routes("Debugging")
log = structlog.stdlib.get_logger(__name__)


@routes.add(
    "GET",
    "/healthz",
    gate=Gate.OPEN,
    summary="Is the process alive?",
    answers={200: Answer("Yes", dict[str, bool])},
)
async def healthz(_request: web.Request) -> web.Response:
    """Answer as long as the event loop turns; asks no database."""
    return web.json_response({"alive": True})


@routes.add(
    "GET",
    "/readyz",
    gate=Gate.OPEN,
    summary="Can pushes be taken?",
    answers={200: Answer("Yes", dict[str, Any]), 503: Answer("Not now", dict[str, Any])},
)
async def readyz(request: web.Request) -> web.Response:
    """Say whether the database answers, its schema fits and the clock runs."""
    problem = await problem_of(context_of(request))
    if problem is None:
        return web.json_response({"ready": True})
    return web.json_response(
        {"ready": False, "problem": problem},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


@routes.add(
    "GET",
    "/metrics",
    gate=Gate.COMPAT,
    summary="Figures for Prometheus",
    answers={200: Answer("All figures", media_type="text/plain")},
)
async def metrics(request: web.Request) -> web.Response:
    """Give the figures of this process; no project appears in them."""
    context = context_of(request)
    waiting = await _waiting(context)
    pool = context.pool
    gauges = Gauges(
        started_at_seconds=context.started_at.timestamp(),
        ready=context.start.problem is None,
        label_sets_known=len(context.registry),
        body_bytes_held=context.bodies.held_bytes,
        peers_connected=context.connections.open_count,
        peers_cut=context.connections.cut_count,
        connections_open=pool.get_size(),
        connections_idle=pool.get_idle_size(),
        batches_waiting=waiting and waiting[0],
        samples_waiting=waiting and waiting[1],
    )
    text, content_type = context.metrics.render(request.headers.get("Accept", ""), gauges)
    return web.Response(body=text, headers={"Content-Type": content_type})


async def _waiting(context: Context) -> tuple[int, int, datetime | None] | None:
    try:
        async with connection(context.pool, wait_seconds=WAIT_SECONDS) as conn:
            return await batches.count_batches(conn)
    except Unavailable:
        return None


@routes.add(
    "GET",
    "/stats",
    gate=Gate.ADMIN,
    summary="What the running service has seen and is doing",
    answers={200: Answer("Counters since the start, and what waits", dict[str, Any])},
)
async def stats(request: web.Request) -> web.Response:
    """Count by meter and reason; `verbose` adds the stacks of all tasks and the pool's state.

    `number_of_workers`, `queue_size` and `uptime` are those of the de.NBI service.
    """
    context = context_of(request)
    async with connection(context.pool) as conn:
        batch_count, sample_count, oldest = await batches.count_batches(conn)
        unpriced = await usage.list_unpriced(conn)
        last_seal = await seals.read_last_seal(conn)
        names = await read_names(conn)
    jobs = context.clock.tasks()
    uptime = datetime.now(UTC) - context.started_at
    report: dict[str, Any] = {
        "version": __version__,
        "started_at": context.started_at.isoformat(),
        "uptime": str(uptime),
        "number_of_workers": sum(job["running"] for job in jobs),
        "queue_size": batch_count,
        "queue_sample_count": sample_count,
        "queue_oldest_at": oldest and oldest.isoformat(),
        "label_sets_known": len(context.registry),
        "remote_write_scanner": SCANNER,
        "jobs": jobs,
        **context.stats.snapshot(),
        "unpriced_usage": [_unpriced(row, names) for row in unpriced],
        "last_seal": last_seal and _seal(last_seal),
    }
    if request.query.get("verbose", "false").lower() not in ("false", "0", "no"):
        report |= _verbose(context)
    return web.json_response(report, dumps=plain_json)


def _seal(seal: Seal) -> dict[str, Any]:
    """Show a seal as `os-credits verify --expect-seal` takes it, and when it was made."""
    return {
        "seal": f"{seal.id}:{seal.hash.hex()}",
        "sealed_at": seal.sealed_at.isoformat(),
        "head_count": seal.head_count,
    }


def _verbose(context: Context) -> dict[str, Any]:
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    pool = context.pool
    return {
        "number_of_tasks": len(tasks),
        "task_stacks": {task.get_name(): _stack(task) for task in tasks[:TASKS_SHOWN_MAX]},
        "pool": {
            "connections": pool.get_size(),
            "idle": pool.get_idle_size(),
            "connections_max": pool.get_max_size(),
        },
        "body_bytes_held": context.bodies.held_bytes,
        "peers": {
            "connected": context.connections.open_count,
            "cut": context.connections.cut_count,
        },
    }


def _stack(task: asyncio.Task[Any]) -> str:
    text = io.StringIO()
    task.print_stack(limit=STACK_FRAMES_MAX, file=text)
    return text.getvalue()


def _unpriced(row: dict[str, Any], names: Names) -> dict[str, Any]:
    """Show a quantity in the meter's own unit, as text, and hours as ISO 8601."""
    meter = next(one for one in names.meters.values() if one.name == row["meter"])
    return {
        **row,
        "quantity": units_of(int(row["quantity"]), meter),
        "unit": meter.priced_unit,
        "first_hour": row["first_hour"].isoformat(),
        "last_hour": row["last_hour"].isoformat(),
    }


@routes.add(
    "GET",
    "/logconfig",
    gate=Gate.ADMIN,
    summary="The log levels in effect",
    answers={200: Answer("Levels of the root, handlers and loggers", dict[str, Any])},
)
async def read_log_levels(_request: web.Request) -> web.Response:
    """Give the level of every logger and handler that exists."""
    return web.json_response(current_levels())


@routes.add(
    "POST",
    "/logconfig",
    gate=Gate.ADMIN,
    summary="Change log levels of the running service",
    answers={
        200: Answer("The levels now in effect", dict[str, Any]),
        400: Answer("Something other than a level of a known logger or handler"),
    },
)
async def change_log_levels(request: web.Request, body: dict[str, Any]) -> web.Response:
    """Set levels: `{"level": "DEBUG"}`, or the part of a logging dictConfig that sets levels.

    Anything that could run code or open a file is refused.
    """
    change_levels(body)
    log.warning("log levels changed", action="logconfig", by=access_of(request).name)
    return web.json_response(current_levels())
