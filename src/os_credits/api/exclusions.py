"""Samples that are taken out of the set, and let in again."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.decision_shapes import (
    ChangeShape,
    Effectful,
    ExcludedShape,
    ExclusionList,
    ExclusionShape,
    LiftedShape,
)
from os_credits.api.names import (
    FOUND_NO_PROJECT,
    Names,
    ProjectQuery,
    id_of,
    project_of,
    read_names,
)
from os_credits.api.reading import Moment, Name, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ErrorShape
from os_credits.domain.amount import from_micro
from os_credits.domain.exclusion import Exclusion
from os_credits.flows.exclusions import Excluded, ExclusionRequest, exclude, lift
from os_credits.flows.reprice import Change
from os_credits.store.exclusions import list_active_exclusions
from os_credits.store.pool import connection, snapshot

routes = Routes("Exclusions")


class NewExclusion(Effectful):
    """Which samples are to be taken out, and why; without bounds, all of the project."""

    meter: Name | None = None
    series_id: int | None = Field(None, gt=0, lt=2**63, description="As listings of usage say it")
    starts_at: Moment | None = Field(None, description="null: since ever")
    ends_at: Moment | None = Field(None, description="Samples before this; null: for ever")
    reason: Reason
    preview: bool = Field(False, description="Only tell what would change")


class NewLift(BaseModel):
    """Why the samples are let in again."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


def change_shape(change: Change) -> ChangeShape:
    """Show what a decision changes."""
    return ChangeShape(
        hour_count=change.hour_count,
        project_count=change.project_count,
        credits=from_micro(change.micro),
    )


def excluded_shape(done: Excluded) -> ExcludedShape:
    """Show an exclusion that was made."""
    return ExcludedShape(
        exclusion_id=done.exclusion_id,
        sample_count=done.sample_count,
        change=change_shape(done.change),
        effect=done.effect,
        is_new=done.is_new,
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/exclusions",
    gate=Gate.READ,
    summary="Which samples of a project are out of the set",
    answers={200: Answer("The exclusions that hold", ExclusionList)} | FOUND_NO_PROJECT,
)
async def list_exclusions(request: web.Request, query: ProjectQuery) -> ExclusionList:
    """Tell which samples count as if they had never come."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        names = await read_names(conn)
        found = [one for one in await list_active_exclusions(conn) if one.project_id == project.id]
    return ExclusionList(
        exclusions=[exclusion_shape(one, names) for one in found],
    )


def exclusion_shape(one: Exclusion, names: Names) -> ExclusionShape:
    """Show an exclusion."""
    return ExclusionShape(
        id=one.id,
        meter=names.meter(one.meter_id),
        series_id=one.series_id,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        reason=one.reason,
        author=one.author,
    )


@routes.add(
    "POST",
    "/api/v1/projects/{project}/exclusions",
    gate=Gate.ADMIN,
    summary="Take samples out of the set",
    answers={
        200: Answer("What it would change (`preview`), or it held before", ExcludedShape),
        201: Answer("It holds; this is what it changed", ExcludedShape),
        409: Answer("An ambiguous name, or another effect than `effect` says", ConflictShape),
    }
    | FOUND_NO_PROJECT,
)
async def add_exclusion(
    request: web.Request, query: ProjectQuery, body: NewExclusion
) -> web.Response:
    """Cover samples that come later, too; booked hours get corrections."""
    context = context_of(request)
    async with connection(context.pool) as conn:
        project = await project_of(request, conn, query)
        meter_id = None if body.meter is None else (await read_names(conn)).meter_id(body.meter)
    done = await exclude(
        context.pool,
        ExclusionRequest(
            project.id,
            body.reason,
            access_of(request).name,
            meter_id=meter_id,
            series_id=body.series_id,
            starts_at=body.starts_at,
            ends_at=body.ends_at,
        ),
        window_ms=context.acceptance_window_ms,
        preview=body.preview,
        effect=body.effect,
    )
    is_done = done.is_new and not body.preview
    return json_response(excluded_shape(done), status=201 if is_done else 200)


@routes.add(
    "POST",
    "/api/v1/exclusions/{exclusion}/lift",
    gate=Gate.ADMIN,
    summary="Let excluded samples into the set again",
    answers={
        200: Answer("It no longer holds", LiftedShape),
        404: Answer("There is no such exclusion", ErrorShape),
        409: Answer("It was lifted before", ErrorShape),
    },
)
async def lift_exclusion(request: web.Request, body: NewLift) -> LiftedShape:
    """Rate again what no other exclusion covers, like samples that come late."""
    done = await lift(
        context_of(request).pool,
        id_of(request, "exclusion", what="exclusion"),
        reason=body.reason,
        author=access_of(request).name,
    )
    return LiftedShape(sample_count=done.sample_count)
