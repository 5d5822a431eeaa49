"""Which mails a person gets of their own projects; nobody else's."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.names import ProjectQuery, project_of
from os_credits.api.people import owner_shape
from os_credits.api.people_shapes import PartShape
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import ErrorShape, OwnerShape, ProjectShape
from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import PersonChange
from os_credits.flows.people import change_person
from os_credits.store import people, projects
from os_credits.store.pool import connection, snapshot

routes = Routes("Logins")
PARTS_MAX = 1000


class OwnMails(BaseModel):
    """Which mails somebody wants of a project; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    wants: Annotated[list[NoticeKind], Field(max_length=100)] | None = Field(
        None, description="null: an owner hears of everything, a member of nothing"
    )
    digest: bool = Field(False, description="All of a day in one mail")

    def change(self, email: str) -> PersonChange:
        """Give what this says of whoever has the address."""
        fields: dict[str, object] = {}
        if "wants" in self.model_fields_set:
            named = self.wants
            fields["wants"] = (
                None if named is None else tuple(kind for kind in NoticeKind if kind in named)
            )
        if "digest" in self.model_fields_set:
            fields["digest"] = self.digest
        return PersonChange(email, fields)


class OwnParts(BaseModel):
    """A person's parts in projects, with the mails that come of them."""

    projects: list[PartShape]


@routes.add(
    "GET",
    "/api/v1/session/mails",
    gate=Gate.PERSON,
    summary="One's own parts in projects, and which mails come of them",
    answers={200: Answer("The parts, by the number of the project", OwnParts)},
)
async def read_own_mails(request: web.Request) -> OwnParts:
    """Give what is stored of one's own address; a thousand projects at most."""
    async with snapshot(context_of(request).pool) as conn:
        stored = (await people.list_stored(conn, access_of(request).email))[:PARTS_MAX]
        found = await projects.list_projects_by_id(conn, [one.project_id for one in stored])
    by_id = {one.id: one for one in found}
    return OwnParts(
        projects=[
            PartShape(
                **dict(owner_shape(one.person)),
                project=ProjectShape.model_validate(by_id[one.project_id]),
                created_at=one.created_at,
            )
            for one in stored
        ]
    )


@routes.add(
    "PUT",
    "/api/v1/session/mails/{project}",
    gate=Gate.PERSON,
    summary="Choose which mails one gets of a project",
    answers={
        200: Answer("The person from now on", OwnerShape),
        404: Answer("There is no such project, or it does not name who asks", ErrorShape),
    },
)
async def put_own_mails(request: web.Request, query: ProjectQuery, body: OwnMails) -> OwnerShape:
    """Members choose for themselves; what others get, owners and managers say."""
    pool = context_of(request).pool
    async with connection(pool) as conn:
        project = await project_of(request, conn, query)
    change = body.change(access_of(request).email)
    return owner_shape(await change_person(pool, project.id, change))
