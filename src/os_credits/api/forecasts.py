"""GET /api/v1/projects/{project}/forecast: when a project's credits run out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from aiohttp import web
from pydantic import Field

from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, project_of
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import CreditsText, ProjectShape, Shape
from os_credits.domain.forecast import StoredForecast
from os_credits.domain.project import Project
from os_credits.flows.forecast import read_forecast
from os_credits.store.pool import snapshot

routes = Routes("Projects")

STATES = (
    "`ok`: between `p10` and `p90`, most likely near `p50`; `short`: needs `needs_days` more "
    "days of usage; `idle`: nothing was used for a week; `beyond`: lasts for longer than two "
    "years; `out`: nothing is left; `failed`: the log says why"
)


class ResourceShape(Shape):
    """A server, volume ... with the meter and flavor of most of its credits."""

    resource: str
    meter: str
    flavor: str | None


class WithoutShape(Shape):
    """What it would bring not to have these resources from now on.

    By so many days `p50` is later; null: credits then last for more than two years.
    """

    resources: list[ResourceShape]
    days: str | None = Field(examples=["+11"], pattern=r"^\+\d+$")


class ForecastShape(Shape):
    """When credits run out: in one of ten cases before `p10`, in one of ten after `p90`.

    A date is null where it is more than two years ahead. `balance` is the one that the forecast
    was computed with.
    """

    state: Literal["ok", "short", "idle", "beyond", "out", "failed"] = Field(description=STATES)
    needs_days: int
    p10: datetime | None
    p50: datetime | None
    p90: datetime | None
    burn_per_day: CreditsText = Field(description="Credits of a mean day of the coming week")
    balance: CreditsText
    computed_at: datetime
    without: list[WithoutShape]


class ProjectForecast(ForecastShape):
    """A project's forecast."""

    project: ProjectShape


def forecast_shape(forecast: StoredForecast) -> ForecastShape:
    """Shape a forecast."""
    return ForecastShape.model_validate(_content(forecast))


def project_forecast(project: Project, forecast: StoredForecast) -> ProjectForecast:
    """Shape a forecast with the project that it is about."""
    return ProjectForecast.model_validate(
        {"project": ProjectShape.model_validate(project), **_content(forecast)}
    )


def _content(forecast: StoredForecast) -> dict[str, object]:
    without = [
        {
            **one,
            "resources": [{**each, "flavor": each["flavor"] or None} for each in one["resources"]],
        }
        for one in forecast.facts["without"]
    ]
    return {
        "state": forecast.state,
        "needs_days": forecast.needs_days,
        "p10": forecast.p10,
        "p50": forecast.p50,
        "p90": forecast.p90,
        "burn_per_day": forecast.burn_per_day,
        "balance": forecast.facts["balance"],
        "computed_at": forecast.computed_at,
        "without": without,
    }


@routes.add(
    "GET",
    "/api/v1/projects/{project}/forecast",
    gate=Gate.READ,
    summary="When a project's credits run out",
    answers={200: Answer("The forecast", ProjectForecast)} | FOUND_NO_PROJECT,
)
async def read_project_forecast(request: web.Request, query: ProjectQuery) -> ProjectForecast:
    """Give the dates by which credits are used up, from the project's own past.

    Kept for some hours; worked out anew when credits were given or their terms changed.
    """
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        forecast = await read_forecast(conn, project.id)
    return project_forecast(project, forecast)
