"""Explains an entry or an hour: from a credit down to the raw samples."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.auth import access_of, may_read
from os_credits.api.context import context_of
from os_credits.api.explain_shapes import ExplanationShape
from os_credits.api.explanation import shape_of
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, id_of, project_of, read_names
from os_credits.api.reading import Moment, Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import ErrorShape
from os_credits.domain.explanation import LinePlace
from os_credits.errors import InvalidInput
from os_credits.flows.explain import explain_entry, explain_hour
from os_credits.flows.explain_samples import View
from os_credits.store.pool import snapshot

LINES_DEFAULT = 20
LINES_MAX = 200
PAIRS_DEFAULT = 100
PAIRS_MAX = 10_000
_PLACE = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,18})\.(\d)")
_MILLISECOND = timedelta(milliseconds=1)

routes = Routes("Explanations")


class ViewQuery(BaseModel):
    """How much of an explanation to give."""

    limit: Annotated[int, Field(gt=0, le=LINES_MAX, description="Lines of usage at most")] = (
        LINES_DEFAULT
    )
    after: str | None = Field(None, description="`next` of the page before")
    pairs: Annotated[
        int, Field(ge=0, le=PAIRS_MAX, description="Calculations at most, of each line")
    ] = PAIRS_DEFAULT
    each: bool = Field(
        False, description="One calculation for each pair of samples, even if several could share"
    )


class HourQuery(ProjectQuery, ViewQuery):
    """Which hour of a project to explain."""

    hour: Moment = Field(description="The hour, or a moment in it")
    meter: Text | None = Field(None, description="Only what this meter costs")
    flavor: Text | None = Field(None, description="Only what this flavor costs; '' for none")


@routes.add(
    "GET",
    "/api/v1/entries/{entry_id}/explain",
    gate=Gate.READ,
    summary="Where an entry's credits come from, down to the raw samples",
    answers={
        200: Answer("The explanation", ExplanationShape),
        404: Answer("There is no such entry for this key", ErrorShape),
    },
)
async def explain_one(request: web.Request, query: ViewQuery) -> ExplanationShape:
    """Give what was charged, how it was booked, at which price, and from which samples.

    Every step is a calculation that a person can repeat; all is read in one snapshot.
    """
    entry_id = id_of(request, "entry_id", what="entry")
    context, access = context_of(request), access_of(request)
    async with snapshot(context.pool) as conn:
        told = await explain_entry(
            conn,
            entry_id,
            view_of(query),
            window_ms=context.acceptance_window // _MILLISECOND,
            may_see=lambda project: may_read(access, project),
        )
        names = await read_names(conn)
    # Beside the event loop, since it may be long.
    return await asyncio.to_thread(shape_of, told, names)


@routes.add(
    "GET",
    "/api/v1/projects/{project}/explain",
    gate=Gate.READ,
    summary="Where an hour's credits come from, down to the raw samples",
    answers={200: Answer("The explanation", ExplanationShape)} | FOUND_NO_PROJECT,
)
async def explain_one_hour(request: web.Request, query: HourQuery) -> ExplanationShape:
    """Give all charges of the hour, booked or not, with what each is made of."""
    context = context_of(request)
    async with snapshot(context.pool) as conn:
        project = await project_of(request, conn, query)
        told = await explain_hour(
            conn,
            project,
            query.hour,
            view_of(query),
            window_ms=context.acceptance_window // _MILLISECOND,
            meter=query.meter,
            flavor=query.flavor,
        )
        names = await read_names(conn)
    # Beside the event loop, since it may be long.
    return await asyncio.to_thread(shape_of, told, names)


def view_of(query: ViewQuery) -> View:
    """Read how much is wanted; InvalidInput for an `after` that no answer gave."""
    if query.after is None:
        return View(query.limit, query.pairs, query.each)
    return View(query.limit, query.pairs, query.each, place_of(query.after))


def place_of(text: str) -> LinePlace:
    """Read the `next` of an earlier answer."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("must be the `next` of an earlier answer", where="after")
    meter_id, flavor_id, series_id, kind = map(int, found.groups())
    return meter_id, flavor_id, series_id, kind
