"""Suspect and unmetered usage: what waits for a verdict, and the verdicts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.decision_shapes import (
    Effectful,
    SettledShape,
    SettlementList,
    SettlementShape,
    ShownKind,
    UnsettledList,
    UnsettledShape,
)
from os_credits.api.exclusions import change_shape
from os_credits.api.names import FOUND_NO_PROJECT, Names, ProjectQuery, project_of, read_names
from os_credits.api.reading import Moment, Name, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape
from os_credits.domain.settlement import Settlement, Verdict
from os_credits.domain.usage import UsageKind
from os_credits.flows.settle import (
    Settled,
    SettlementRequest,
    Unsettled,
    list_unsettled,
    settle,
)
from os_credits.store.pool import connection, snapshot
from os_credits.store.settlements import list_settlements

if TYPE_CHECKING:
    from collections.abc import Sequence

routes = Routes("Settlements")


class NewSettlement(Effectful):
    """A verdict on one kind of usage, for some hours of a project."""

    kind: ShownKind
    meter: Name | None = None
    series_id: int | None = Field(None, gt=0, lt=2**63)
    first_hour: Moment
    end_hour: Moment = Field(description="The hour after the last one that it is about")
    verdict: Verdict
    reason: Reason
    preview: bool = Field(False, description="Only tell what would change")


@routes.add(
    "GET",
    "/api/v1/projects/{project}/unsettled",
    gate=Gate.READ,
    summary="Suspect and unmetered usage that waits for a verdict",
    answers={200: Answer("What waits", UnsettledList)} | FOUND_NO_PROJECT,
)
async def get_unsettled(request: web.Request, query: ProjectQuery) -> UnsettledList:
    """Neither is billed by itself: usage above `max_rate`, and gaps longer than `max_gap`."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        names = await read_names(conn)
        found = await list_unsettled(conn, project.id)
    return unsettled_list(found, names)


def unsettled_list(found: Sequence[Unsettled], names: Names) -> UnsettledList:
    """Show what waits, by kind, meter and resource."""
    rows = [unsettled_shape(one, names) for one in found]
    rows.sort(key=lambda one: (one.kind, one.meter, one.resource, one.series_id))
    return UnsettledList(unsettled=rows)


def unsettled_shape(one: Unsettled, names: Names) -> UnsettledShape:
    """Show usage of one series that waits."""
    return UnsettledShape(
        kind=one.kind.name.lower(),
        series_id=one.series_id,
        meter=names.meters[one.meter_id].name,
        flavor=names.flavor(one.flavor_id),
        resource=one.resource,
        identity=dict(one.identity),
        first_hour=one.first_hour,
        end_hour=one.end_hour,
        hour_count=one.hour_count,
        quantity=Decimal(names.units(one.meter_id, one.quantity)),
        unit=names.meters[one.meter_id].priced_unit,
        credits_if_billed=one.credits_if_billed,
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/settlements",
    gate=Gate.READ,
    summary="The verdicts on a project's suspect and unmetered usage",
    answers={200: Answer("All verdicts, oldest first", SettlementList)} | FOUND_NO_PROJECT,
)
async def get_settlements(request: web.Request, query: ProjectQuery) -> SettlementList:
    """Of several that concern the same usage, the latest counts."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        names = await read_names(conn)
        found = await list_settlements(conn, project.id)
    return SettlementList(settlements=[settlement_shape(one, names) for one in found])


def settlement_shape(one: Settlement, names: Names) -> SettlementShape:
    """Show a verdict."""
    return SettlementShape(
        id=one.id,
        kind=one.kind.name.lower(),
        meter=names.meter(one.meter_id),
        series_id=one.series_id,
        first_hour=one.first_hour,
        end_hour=one.end_hour,
        verdict=one.verdict,
        reason=one.reason,
        author=one.author,
    )


@routes.add(
    "POST",
    "/api/v1/projects/{project}/settlements",
    gate=Gate.ADMIN,
    summary="Bill or waive suspect or unmetered usage",
    answers={
        200: Answer("What it would change (`preview`), or it held before", SettledShape),
        201: Answer("It holds; this is what it changed", SettledShape),
        409: Answer("An ambiguous name, or another effect than `effect` says", ConflictShape),
    }
    | FOUND_NO_PROJECT,
)
async def add_settlement(
    request: web.Request, query: ProjectQuery, body: NewSettlement
) -> web.Response:
    """Let the verdict hold for such usage that is found in these hours later, too."""
    pool = context_of(request).pool
    async with connection(pool) as conn:
        project = await project_of(request, conn, query)
        meter_id = None if body.meter is None else (await read_names(conn)).meter_id(body.meter)
    done = await settle(
        pool,
        SettlementRequest(
            project.id,
            UsageKind[body.kind.upper()],
            body.first_hour,
            body.end_hour,
            body.verdict,
            body.reason,
            access_of(request).name,
            meter_id=meter_id,
            series_id=body.series_id,
        ),
        preview=body.preview,
        effect=body.effect,
    )
    is_done = done.is_new and not body.preview
    return json_response(settled_shape(done), status=201 if is_done else 200)


def settled_shape(done: Settled) -> SettledShape:
    """Show a verdict that was stored."""
    return SettledShape(
        settlement_id=done.settlement_id,
        change=change_shape(done.change),
        effect=done.effect,
        is_new=done.is_new,
    )
