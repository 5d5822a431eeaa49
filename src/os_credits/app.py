"""Joins everything: builds the application from Settings (`server.py` runs it).

Nothing is opened at import; pool, start task and clock live in the application's cleanup
context and end with it, in the reverse order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from aiohttp import web

from os_credits.api import (
    admin,
    allowances,
    audit,
    bills,
    budgets,
    calculator,
    closing,
    compat,
    costs,
    debug,
    exclusions,
    explain,
    flavors,
    forecasts,
    grants,
    history,
    hosts,
    influx,
    keys,
    logins,
    managers,
    open_usage,
    openapi,
    organisations,
    overview,
    own_mails,
    people,
    places,
    prices,
    project_people,
    push,
    read,
    resources,
    revisions,
    session,
    settlements,
    sources,
    thresholds,
    transfers,
    usage,
)
from os_credits.api.access_log import AccessLog
from os_credits.api.auth import may_read, refuse_undeclared, require_access, visit_of
from os_credits.api.bodies import Bodies
from os_credits.api.connections import Connections
from os_credits.api.context import CONTEXT, Context, OpenNetworks
from os_credits.api.forgery import FORM_TYPE, form_of
from os_credits.api.forwarded import Arrivals
from os_credits.api.metrics import Metrics
from os_credits.api.middleware import ERROR_PAGES, REPLY_HEADERS_OF, ErrorPages, map_errors
from os_credits.api.remote_write_headers import nothing_written
from os_credits.api.routes import Answer, Gate, Routes, register
from os_credits.domain.mail import Language
from os_credits.errors import Unavailable
from os_credits.flows.bill_book import BillBook
from os_credits.flows.clock import Clock
from os_credits.flows.ingest import Ingest
from os_credits.flows.keys import KeyRing, adopt_admin_key
from os_credits.flows.label_reading import Limits
from os_credits.flows.meters import (
    MeterFile,
    apply_whitelist,
    load_meters,
    read_meter_file,
    with_denbi_prices,
)
from os_credits.flows.registry import Registry
from os_credits.flows.rounds import Rounds
from os_credits.flows.sessions import SessionBook
from os_credits.flows.start import Start
from os_credits.flows.stats import Stats
from os_credits.jobs import jobs_of, promises_of, reporting, watch_of
from os_credits.rating.judgement import AcceptanceWindow
from os_credits.settings import Settings
from os_credits.store.pool import Pool, open_pool
from os_credits.web import pages
from os_credits.web.admin.office import OFFICE, Office
from os_credits.web.admin.tools import TOOLS, Tools
from os_credits.web.bill import BILLS
from os_credits.web.shell import speak

# Bodies of JSON requests; pushes have their own bounds.
JSON_BYTES_MAX = 1024 * 1024
KEEP_ALIVE_SECONDS = 75.0
# How long answered requests may go on sending a body that nobody wants.
LINGER_SECONDS = 5.0
POOL_CLOSE_SECONDS = 5.0
DAY_MS = 86_400_000

log = structlog.stdlib.get_logger(__name__)


def create_app(settings: Settings) -> web.Application:
    """Build the application; raises Misconfigured for a meter file that cannot be read."""
    meter_file = with_denbi_prices(read_meter_file(settings.meter_file), settings.metrics_to_bill)
    app = web.Application(
        middlewares=[map_errors, require_access, speak],
        client_max_size=JSON_BYTES_MAX,
        handler_args={
            "access_log_class": AccessLog,
            # The doors unpack by themselves, within bounds.
            "auto_decompress": False,
            # A push that was read goes on to its commit though its sender has gone: it will
            # not have to come again.
            "handler_cancellation": False,
            "keepalive_timeout": KEEP_ALIVE_SECONDS,
            "lingering_time": LINGER_SECONDS,
        },
    )
    register(app, [*_api_routes(), _page_routes()])
    app[REPLY_HEADERS_OF] = _reply_headers()
    app[ERROR_PAGES] = ErrorPages(pages.wants_page, pages.error_page)
    app[history.HISTORY_PAGE] = history.HistoryPage(pages.wants_page, pages.credits_history)
    refuse_undeclared(app)
    app.cleanup_ctx.append(partial(_opened, settings=settings, meter_file=meter_file))
    app.on_shutdown.append(_give_up_reading)
    return app


def _reply_headers() -> dict[str, Callable[[web.Request], dict[str, str]]]:
    influx_paths = ("/write", "/api/v2/write", "/query", "/ping", "/health")
    return {
        **dict.fromkeys(influx_paths, influx.influx_headers),
        "/api/v1/write": lambda request: nothing_written(request.headers),
    }


def _api_routes() -> list[Routes]:
    """List what machines use, in the order of the document."""
    return [
        push.routes,
        influx.routes,
        history.routes,
        read.routes,
        overview.routes,
        resources.routes,
        grants.routes,
        transfers.routes,
        allowances.routes,
        forecasts.routes,
        usage.routes,
        explain.routes,
        costs.routes,
        calculator.routes,
        bills.routes,
        prices.routes,
        flavors.routes,
        hosts.routes,
        revisions.routes,
        exclusions.routes,
        settlements.routes,
        open_usage.routes,
        organisations.routes,
        thresholds.routes,
        places.routes,
        budgets.routes,
        admin.routes,
        people.routes,
        project_people.routes,
        closing.routes,
        session.routes,
        own_mails.routes,
        logins.routes,
        managers.routes,
        audit.routes,
        keys.routes,
        sources.routes,
        compat.routes,
        debug.routes,
        openapi.routes,
    ]


def _page_routes() -> Routes:
    """Declare the paths of room `web`, but for those that `api` shares with it."""
    routes = Routes("Pages")
    shared = {route.path for route in history.routes}
    for page in pages.routes():
        if page.path not in shared:
            routes.add(
                page.method,
                page.path,
                gate=Gate(page.gate),
                summary=page.summary,
                answers={200: Answer(page.summary, media_type="text/html")},
                raw_body=(FORM_TYPE,) if page.method == "POST" else (),
                is_page=page.gate != "open",
            )(page.handler)
    return routes


async def _opened(
    app: web.Application, *, settings: Settings, meter_file: MeterFile
) -> AsyncIterator[None]:
    """Open what the service works with; a database that is away is waited for meanwhile."""
    pool = await open_pool(
        settings.database_url,
        connections_max=settings.database_connections_max,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
    )
    context = _context(settings, pool, meter_file)
    app[CONTEXT] = context
    sweeping = asyncio.create_task(context.connections.sweep(), name="sweep")
    _warn_of_open_doors(settings)
    pages.set_up(
        app,
        pages.Desk(
            pool,
            visit_of,
            form_of,
            may_read,
            settings.precision,
            settings.notice_percents,
            context.sessions,
            context.sends_links,
            Language(settings.mail_language),
        ),
    )
    app[BILLS] = BillBook.empty()
    app[TOOLS] = Tools(context.watch, context.acceptance_window_ms, context.stats)
    app[OFFICE] = Office(
        context.keys, context.rounds, context.watch, context.public_url, context.sends_links
    )
    starting: asyncio.Task[None] | None = None
    try:
        try:
            await context.start.attempt()
        except Unavailable as error:
            log.warning("waiting", action="start", reason=str(error))
            starting = asyncio.create_task(context.start.keep_trying(), name="start")
        yield
    finally:
        for task in [sweeping, *([] if starting is None else [starting])]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await context.clock.stop()
        await _close(pool)


def _warn_of_open_doors(settings: Settings) -> None:
    for what, networks in (
        ("reading", settings.open_read_networks),
        ("ingest", settings.open_ingest_networks),
        ("the de.NBI portal's reads and /metrics", settings.open_compat_networks),
    ):
        if networks:
            names = ", ".join(map(str, networks))
            log.warning("open without a key", action="start", what=what, networks=names)


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(POOL_CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _give_up_reading(app: web.Application) -> None:
    app[CONTEXT].bodies.give_up_reading()


def _context(settings: Settings, pool: Pool, meter_file: MeterFile) -> Context:
    stats = Stats()
    registry = Registry(
        Limits(
            label_count_max=settings.label_count_max,
            label_bytes_max=settings.label_bytes_max,
            label_sets_cached_max=settings.label_sets_cached_max,
            new_series_per_hour_max=settings.new_series_per_hour_max,
        )
    )
    window = AcceptanceWindow(
        past_ms=settings.acceptance_window_days * DAY_MS,
        ahead_ms=settings.acceptance_ahead_seconds * 1000,
    )
    clock = Clock(jobs_of(settings, pool, stats, registry, window))
    ring, rounds = KeyRing(), Rounds(pool, promises_of(settings))
    clock.jobs += reporting(pool, stats, ring, clock, rounds)
    connections = Connections(settings.connections_max, settings.head_timeout_seconds)

    async def begin() -> None:
        await load_meters(pool, meter_file)
        await apply_whitelist(pool, settings.project_whitelist)
        await adopt_admin_key(pool, settings.admin_key.get_secret_value())
        await registry.refresh(pool)
        clock.start()

    return Context(
        pool=pool,
        registry=registry,
        ingest=Ingest(pool, registry, stats, window),
        stats=stats,
        clock=clock,
        start=Start(pool, allow_unsafe=settings.allow_unsafe_database, begin=begin),
        keys=ring,
        rounds=rounds,
        sessions=SessionBook(timedelta(hours=settings.session_hours)),
        bodies=Bodies(
            body_bytes_max=settings.body_bytes_max,
            decoded_bytes_max=settings.decoded_bytes_max,
            all_bytes_max=settings.bodies_bytes_max,
            timeout_seconds=settings.body_timeout_seconds,
            lines_max=settings.body_lines_max,
            connections=connections,
        ),
        connections=connections,
        metrics=Metrics(stats, clock),
        networks=OpenNetworks(
            read=tuple(settings.open_read_networks),
            ingest=tuple(settings.open_ingest_networks),
            compat=tuple(settings.open_compat_networks),
        ),
        arrivals=Arrivals(tuple(settings.trusted_proxies), settings.public_url),
        started_at=datetime.now(UTC),
        precision=settings.precision,
        public_url=settings.public_url,
        sends_links=settings.sends_links,
        watch=watch_of(settings),
        grace_period=timedelta(seconds=settings.grace_period_seconds),
        acceptance_window=timedelta(days=settings.acceptance_window_days),
    )
