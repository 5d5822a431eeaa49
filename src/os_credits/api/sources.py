"""Who sends samples, and how the service fares: for those who look after it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from aiohttp import web
from pydantic import Field

from os_credits.api.context import context_of
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import Shape
from os_credits.domain.finding import State
from os_credits.domain.source import SourceState
from os_credits.flows.sources import SourceReport, read_sources
from os_credits.store.pool import snapshot

routes = Routes("Health")


class RefusalShape(Shape):
    """An example of what was refused."""

    at: datetime
    code: str
    text: str


class SourceShape(Shape):
    """Who sends samples: a key (null: an open network), by a door, for a site.

    `site` null stands for pushes of no site or of several at once, and for sites beyond a bound.
    `usual_seconds` is the time between two pushes. Counts are of samples, since the first push.
    """

    key_id: int | None
    key_name: str
    is_revoked: bool
    door: str
    site: str | None
    state: SourceState
    first_push_at: datetime
    last_push_at: datetime
    last_sample_at: datetime | None
    usual_seconds: float | None
    pushes: int
    accepted: int
    accepted_last_hour: int = Field(description="In steps of five minutes")
    set_aside: int
    unknown: int
    refused: dict[str, int] = Field(description="By reason; an unreadable body counts as one")
    refused_examples: list[RefusalShape]


class SourceList(Shape):
    """Every source that was heard of within 90 days, silent ones first."""

    as_of: datetime
    sources: list[SourceShape]


class FindingShape(Shape):
    """What one check found; `advice` says what to do, '' where nothing is to be done."""

    check: str
    state: State
    message: str
    advice: str


class CopyJob(Shape):
    """A job of a copy's clock, since the copy was started."""

    name: str
    running: bool
    runs: int
    done: int
    failures: int
    failures_in_a_row: int
    last_error: str
    last_seconds: float
    last_ended_at: datetime | None
    interval_seconds: float


class CopyShape(Shape):
    """A running copy of the service, as it last said itself."""

    id: UUID
    host: str
    process_id: int
    version: str
    started_at: datetime
    seen_at: datetime
    jobs: list[CopyJob]


class HealthShape(Shape):
    """How the service fares: the same findings as of `os-credits doctor`, and its copies.

    Findings about meters, series, prices and sizes are of `closely_at`, null before the first.
    """

    state: State
    as_of: datetime
    closely_at: datetime | None
    findings: list[FindingShape]
    closed_until: datetime
    batch_count: int
    sample_count: int
    oldest_batch_at: datetime | None
    copies: list[CopyShape]


@routes.add(
    "GET",
    "/api/v1/sources",
    gate=Gate.ADMIN,
    summary="Who sends samples, how often, and what of them was refused",
    answers={200: Answer("All sources, silent ones first", SourceList)},
)
async def list_sources(request: web.Request) -> SourceList:
    """Each copy of the service adds every ten seconds what came in meanwhile."""
    async with snapshot(context_of(request).pool) as conn:
        now, found = await read_sources(conn)
    return SourceList(as_of=now, sources=[_source(one) for one in found])


@routes.add(
    "GET",
    "/api/v1/health-report",
    gate=Gate.ADMIN,
    summary="How the service fares, and what to do about it",
    answers={200: Answer("All findings, with the jobs of all copies", HealthShape)},
)
async def read_health(request: web.Request) -> HealthShape:
    """Look at database, jobs, queues and sources, as `os-credits doctor` does."""
    return HealthShape.model_validate(await context_of(request).rounds.report())


def _source(report: SourceReport) -> SourceShape:
    source = report.source
    return SourceShape(
        key_id=source.key.key_id or None,
        key_name=report.key_name,
        is_revoked=report.is_revoked,
        door=source.key.door,
        site=source.key.site,
        state=report.state,
        first_push_at=source.first_push_at,
        last_push_at=source.last_push_at,
        last_sample_at=source.last_sample_at,
        usual_seconds=None if source.usual is None else source.usual.total_seconds(),
        pushes=source.push_count,
        accepted=source.accepted_count,
        accepted_last_hour=report.accepted_last_hour,
        set_aside=source.set_aside_count,
        unknown=source.unknown_count,
        refused=dict(source.refused),
        refused_examples=[RefusalShape.model_validate(one) for one in source.refused_examples],
    )
