"""Lines at which people are told: what holds for whom, and rules of projects and organisations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, managed_project, project_of
from os_credits.api.organisations import (
    FOUND_NO_ORGANISATION,
    managed_organisation,
    organisation_of,
)
from os_credits.api.preview import PreviewShape, preview_shape
from os_credits.api.reading import Amount, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ErrorShape, NumberText, Shape
from os_credits.domain.threshold import Line, LineKind, LineRule, Told
from os_credits.flows.preview import DAYS_MAX, preview_rule
from os_credits.flows.threshold_rules import (
    EffectiveLines,
    put_organisation_rule,
    put_project_rule,
    read_organisation_lines,
    read_project_lines,
)
from os_credits.store import notices
from os_credits.store.pool import connection, snapshot
from os_credits.store.threshold_rules import StoredRule

SERVICE = "service"
PROJECT = "project"

routes = Routes("Notices")


class LinesShape(Shape):
    """Lines by kind, gravest first; credits, days, and credits per day.

    `hysteresis_percent` is in per cent of the grants that are valid (of the line for days and
    burn); within `cool_down_hours` a line is told once.
    """

    percents: list[NumberText]
    credits: list[NumberText]
    days: list[NumberText]
    burn_per_day: list[NumberText]
    hysteresis_percent: NumberText
    cool_down_hours: int


class RuleShape(Shape):
    """What a project or an organisation wants otherwise; null: nothing is said of it."""

    percents: list[NumberText] | None
    credits: list[NumberText] | None
    days: list[NumberText] | None
    burn_per_day: list[NumberText] | None
    hysteresis_percent: NumberText | None
    cool_down_hours: int | None


class SaidRule(Shape):
    """A rule that holds, and who said so; `organisation` is null for the project's own."""

    organisation: str | None
    rule: RuleShape
    reason: str
    author: str
    created_at: datetime


class ThresholdsShape(Shape):
    """The lines that hold, where each comes from, and the rules that have a say, nearest first.

    `sources` names for each field of `lines`: `service`, `project`, or the organisation's name
    behind `organisation:`.
    """

    lines: LinesShape
    sources: dict[str, str]
    rules: list[SaidRule]


class ToldShape(Shape):
    """A line that was told; `rearmed_at` is null as long as it is not told again."""

    kind: LineKind
    line: NumberText
    told_at: datetime
    rearmed_at: datetime | None


class ProjectThresholds(ThresholdsShape):
    """A project's lines, and what was told of them."""

    told: list[ToldShape]


Figures = Annotated[list[Amount], Field(max_length=100)]


class RuleBody(BaseModel):
    """Lines by kind; what is not named is looked for further up, an empty list means none."""

    model_config = ConfigDict(extra="forbid")

    percents: Figures | None = None
    credits: Figures | None = None
    days: Figures | None = None
    burn_per_day: Figures | None = None
    hysteresis_percent: Amount | None = None
    cool_down_hours: int | None = None

    def rule(self) -> LineRule:
        """Check the figures; raises InvalidInput."""
        named: dict[str, Any] = {
            name: tuple(one) if isinstance(one, list) else one
            for name, one in self.model_dump(exclude_none=True).items()
        }
        return LineRule(**named)


class NewRule(BaseModel):
    """A rule in the place of what was said before."""

    model_config = ConfigDict(extra="forbid")

    rule: RuleBody | None = Field(description="null: take back what was said before")
    reason: Reason


def shape_of(found: EffectiveLines) -> ThresholdsShape:
    """Shape the lines that hold and where they come from."""
    return ThresholdsShape(
        lines=LinesShape.model_validate(found.lines),
        sources={name: source_text(one) for name, one in found.sources.items()},
        rules=[SaidRule.model_validate(one) for one in found.rules],
    )


def source_text(stored: StoredRule | None) -> str:
    """Name where a setting comes from."""
    if stored is None:
        return SERVICE
    return PROJECT if stored.organisation is None else f"organisation:{stored.organisation}"


def told_shapes(told: Mapping[Line, Told]) -> list[ToldShape]:
    """Shape what was told, by kind, gravest first."""
    order = list(LineKind)
    return [
        ToldShape(
            kind=line.kind, line=line.value, told_at=state.told_at, rearmed_at=state.rearmed_at
        )
        for line, state in sorted(
            told.items(), key=lambda item: (order.index(item[0].kind), item[0].weight)
        )
    ]


@routes.add(
    "GET",
    "/api/v1/projects/{project}/thresholds",
    gate=Gate.READ,
    summary="At which lines people are told of a project",
    answers={200: Answer("Its lines, and where they come from", ProjectThresholds)}
    | FOUND_NO_PROJECT,
)
async def read_project_thresholds(request: web.Request, query: ProjectQuery) -> ProjectThresholds:
    """Give the lines that hold now, and which of them were told."""
    context = context_of(request)
    async with snapshot(context.pool) as conn:
        project = await project_of(request, conn, query)
        found = await read_project_lines(conn, project.id, context.watch.lines)
        told = (await notices.read_told(conn, [project.id]))[project.id]
    return ProjectThresholds(**dict(shape_of(found)), told=told_shapes(told))


@routes.add(
    "PUT",
    "/api/v1/projects/{project}/thresholds",
    gate=Gate.MANAGE,
    summary="Let a project have lines of its own",
    answers={
        403: Answer("Only those who manage it and administrators may", ErrorShape),
        200: Answer("That was said before; nothing was added", ThresholdsShape),
        201: Answer("These lines hold from now on", ThresholdsShape),
    }
    | FOUND_NO_PROJECT,
)
async def put_project_thresholds(
    request: web.Request, query: ProjectQuery, body: NewRule
) -> web.Response:
    """Each kind that is named replaces that kind; the next check tells what is crossed by it."""
    context = context_of(request)
    rule = None if body.rule is None else body.rule.rule()
    async with connection(context.pool) as conn:
        project = await managed_project(request, conn, query)
    is_new = await put_project_rule(
        context.pool, project.id, rule, reason=body.reason, author=access_of(request).name
    )
    async with snapshot(context.pool) as conn:
        found = await read_project_lines(conn, project.id, context.watch.lines)
    return json_response(shape_of(found), status=201 if is_new else 200)


class RuleTrial(BaseModel):
    """A rule to be tried on the past, and on how many days of it."""

    model_config = ConfigDict(extra="forbid")

    rule: RuleBody | None = Field(description="null: as if the project had no rule of its own")
    days: Annotated[int, Field(gt=0, le=DAYS_MAX)] = 30


@routes.add(
    "POST",
    "/api/v1/projects/{project}/thresholds/preview",
    gate=Gate.MANAGE,
    summary="Try lines on a project's past",
    answers={
        403: Answer("Only those who manage it and administrators may", ErrorShape),
        200: Answer("What would have been told; nothing was written", PreviewShape),
    }
    | FOUND_NO_PROJECT,
)
async def preview_project_thresholds(
    request: web.Request, query: ProjectQuery, body: RuleTrial
) -> PreviewShape:
    """Play the past with these lines in the place of the project's own."""
    context = context_of(request)
    rule = None if body.rule is None else body.rule.rule()
    async with connection(context.pool) as conn:
        project = await managed_project(request, conn, query)
    found = await preview_rule(
        context.pool,
        context.watch.lines,
        rule,
        timedelta(days=body.days),
        digest_hour=context.watch.addressing.digest_hour,
        project_id=project.id,
    )
    return preview_shape(found)


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/thresholds",
    gate=Gate.READ,
    summary="At which lines people are told of an organisation's projects",
    answers={200: Answer("Its lines, and where they come from", ThresholdsShape)}
    | FOUND_NO_ORGANISATION,
)
async def read_organisation_thresholds(request: web.Request) -> ThresholdsShape:
    """Give the lines of its projects that say nothing themselves."""
    context = context_of(request)
    async with snapshot(context.pool) as conn:
        organisation = await organisation_of(request, conn)
        found = await read_organisation_lines(conn, organisation.id, context.watch.lines)
    return shape_of(found)


@routes.add(
    "PUT",
    "/api/v1/organisations/{organisation}/thresholds",
    gate=Gate.MANAGE,
    summary="Let an organisation's projects have other lines",
    answers={
        403: Answer("Only those who manage it and administrators may", ErrorShape),
        200: Answer("That was said before; nothing was added", ThresholdsShape),
        201: Answer("These lines hold from now on", ThresholdsShape),
    }
    | FOUND_NO_ORGANISATION,
)
async def put_organisation_thresholds(request: web.Request, body: NewRule) -> web.Response:
    """They hold for all projects beneath it that do not say otherwise, nor anybody between."""
    context = context_of(request)
    rule = None if body.rule is None else body.rule.rule()
    async with connection(context.pool) as conn:
        organisation = await managed_organisation(request, conn)
    is_new = await put_organisation_rule(
        context.pool, organisation.id, rule, reason=body.reason, author=access_of(request).name
    )
    async with snapshot(context.pool) as conn:
        found = await read_organisation_lines(conn, organisation.id, context.watch.lines)
    return json_response(shape_of(found), status=201 if is_new else 200)
