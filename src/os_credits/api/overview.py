"""GET /api/v1/overview: the projects that the caller may see, searched and sorted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.organisation_shapes import OrganisationShape
from os_credits.api.read import account_of
from os_credits.api.reading import Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import CreditsText, ProjectAccount, Shape
from os_credits.flows import overview as flow
from os_credits.flows.organisations import resolve_organisation
from os_credits.flows.overview import TREND_DAYS, Overview, OverviewRow, Show, Sort
from os_credits.store.pool import snapshot

routes = Routes("Projects")


class OverviewQuery(BaseModel):
    """Which projects to list, and in which order."""

    search: Text = Field(
        "", description="A part of the name, cloud id, site, domain or of an organisation above"
    )
    organisation: Text | None = Field(
        None, description="Only what lies beneath this organisation now: its name, or `#number`"
    )
    show: Show = Field(
        Show.ALL,
        description="`low`: less than half of the valid grants is left; `critical`: less than a "
        "fifth; `debt`: nothing; these leave closed projects out",
    )
    sort: Sort = Field(Sort.NAME, description="Projects without such a value come last")
    descending: bool = False
    after: Annotated[
        int, Field(ge=0, lt=2**63, description="`next` or `before` of an earlier answer")
    ] = 0
    limit: Annotated[int, Field(gt=0, le=200)] = 50


class OverviewCounts(Shape):
    """How many projects the search finds, whatever is shown of them."""

    all: int
    low: int
    critical: int
    debt: int
    closed: int


class OverviewLine(ProjectAccount):
    """A project as it stands now; `p50` is when credits run out, between `p10` and `p90`.

    `trend` is what was used on each of the last 14 UTC days, today (so far) last.
    """

    organisation: OrganisationShape | None
    burn_per_day: CreditsText | None = Field(description="null: there is no forecast yet")
    p10: datetime | None
    p50: datetime | None
    p90: datetime | None
    trend: list[CreditsText] = Field(min_length=TREND_DAYS, max_length=TREND_DAYS)


class OverviewPage(Shape):
    """A part of the list; order and counts may be some seconds old, what is told is not.

    `next` and `before` are the values of `after` for the parts behind and before this one.
    """

    counts: OverviewCounts
    shown: int = Field(description="How many projects `show` leaves, on all parts")
    projects: list[OverviewLine]
    next: int | None
    before: int | None
    as_of: datetime


@routes.add(
    "GET",
    "/api/v1/overview",
    gate=Gate.READ,
    summary="The projects that the caller may see, searched and sorted",
    answers={200: Answer("A part of the list", OverviewPage)},
)
async def list_overview(request: web.Request, query: OverviewQuery) -> OverviewPage:
    """Give projects with balance, burn, run-out and a small trend."""
    async with snapshot(context_of(request).pool) as conn:
        organisation_id = None
        if query.organisation is not None:
            found = await resolve_organisation(conn, query.organisation, access=access_of(request))
            organisation_id = found.id
        told = await flow.read_overview(
            conn,
            flow.Asked(
                search=query.search.strip(),
                organisation_id=organisation_id,
                show=query.show,
                sort=query.sort,
                descending=query.descending,
                after=query.after,
                limit=query.limit,
            ),
            access_of(request).projects,
        )
    return _page(told)


def _page(told: Overview) -> OverviewPage:
    return OverviewPage(
        counts=OverviewCounts.model_validate(told.counts),
        shown=told.shown_count,
        projects=[_line(row) for row in told.rows],
        next=told.next,
        before=told.before,
        as_of=told.as_of,
    )


def _line(row: OverviewRow) -> OverviewLine:
    forecast = row.forecast
    is_left = row.balance.current > 0
    return OverviewLine(
        **dict(account_of(row.project, row.balance, row.closing)),
        organisation=None
        if row.organisation is None
        else OrganisationShape.model_validate(row.organisation),
        burn_per_day=None if forecast is None else forecast.burn_per_day,
        p10=forecast.p10 if forecast is not None and is_left else None,
        p50=forecast.p50 if forecast is not None and is_left else None,
        p90=forecast.p90 if forecast is not None and is_left else None,
        trend=list(row.trend),
    )
