"""Meters that are rated otherwise from a past hour on."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.decision_shapes import RevisionShape
from os_credits.api.exclusions import change_shape
from os_credits.api.reading import Moment, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ErrorShape, Shape
from os_credits.domain.meter import MeterDefinition, OnReset
from os_credits.errors import NotFound
from os_credits.flows.revise import Revision, revise
from os_credits.store import meters
from os_credits.store.pool import snapshot

routes = Routes("Meters and prices")


class NewRevision(BaseModel):
    """What is to be rated otherwise; what is not named stays as it was."""

    model_config = ConfigDict(extra="forbid")

    valid_from: Moment = Field(description="A full hour that has begun")
    max_gap_seconds: int | None = None
    max_rate: Decimal | None = Field(None, description="Units per hour; null lifts the bound")
    on_reset: OnReset | None = None
    reason: Reason
    preview: bool = Field(False, description="Only tell what would change")

    def changes(self) -> dict[str, object]:
        """Give what was named, by the meter's own field names."""
        named = {"max_gap_seconds", "max_rate", "on_reset"} & self.model_fields_set
        return {name: getattr(self, name) for name in named}


class VersionShape(Shape):
    """A meter as it is read and rated from `valid_from` on, and who said so."""

    definition: MeterDefinition
    valid_from: datetime
    valid_until: datetime | None = Field(description="null: until further notice")
    author: str
    reason: str
    created_at: datetime


class VersionList(Shape):
    """The versions of a meter, by their start."""

    versions: list[VersionShape]


@routes.add(
    "GET",
    "/api/v1/meters/{meter}/revisions",
    gate=Gate.READ,
    summary="How a meter is read and rated, and was",
    answers={
        200: Answer("Its versions", VersionList),
        404: Answer("There is no such meter", ErrorShape),
    },
)
async def list_versions(request: web.Request) -> VersionList:
    """Give every version with its start, those to come too."""
    name = request.match_info["meter"]
    async with snapshot(context_of(request).pool) as conn:
        versions = [one for one in await meters.list_versions(conn) if one.definition.name == name]
        said = await meters.read_said(conn)
    if not versions:
        raise NotFound(f"there is no meter {name[:200]!r}")
    return VersionList(
        versions=[
            VersionShape(
                definition=one.definition,
                valid_from=one.valid_from,
                valid_until=one.valid_until,
                author=said[one.id].author,
                reason=said[one.id].reason,
                created_at=said[one.id].created_at,
            )
            for one in versions
        ]
    )


def revision_shape(meter: str, done: Revision) -> RevisionShape:
    """Show a revision and what it changed."""
    return RevisionShape(
        meter=meter,
        valid_from=done.valid_from,
        valid_until=done.valid_until,
        change=change_shape(done.change),
    )


@routes.add(
    "POST",
    "/api/v1/meters/{meter}/revisions",
    gate=Gate.ADMIN,
    summary="Rate a meter otherwise from a past hour on",
    answers={
        200: Answer("What it would change (`preview`)", RevisionShape),
        201: Answer("It holds; this is what it changed", RevisionShape),
        404: Answer("There is no such meter", ErrorShape),
        409: Answer("A version begins in that very hour", ErrorShape),
    },
)
async def add_revision(request: web.Request, body: NewRevision) -> web.Response:
    """Change the meter file too, or the service's next start brings its values back."""
    context = context_of(request)
    meter = request.match_info["meter"]
    done = await revise(
        context.pool,
        meter=meter,
        changes=body.changes(),
        valid_from=body.valid_from,
        reason=body.reason,
        author=access_of(request).name,
        window_ms=context.acceptance_window_ms,
        preview=body.preview,
    )
    return json_response(revision_shape(meter, done), status=200 if body.preview else 201)
