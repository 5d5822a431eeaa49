"""People who hear of projects: one project's, lists of many, and all that is stored of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.audit import read_audit
from os_credits.api.context import context_of
from os_credits.api.login_shapes import login_shape, session_shape
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, managed_project
from os_credits.api.people_shapes import (
    ChangedPeople,
    ErasedShape,
    ImportAnswer,
    ImportProblems,
    InvitationShape,
    LoginExport,
    ManagedShape,
    PartShape,
    PersonExport,
    ProblemShape,
    StoredMailShape,
)
from os_credits.api.reading import Address, Line
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import (
    ConflictShape,
    ErrorShape,
    OwnerList,
    OwnerShape,
    ProjectShape,
)
from os_credits.domain.audit import AuditFilter
from os_credits.domain.login import SESSION_LASTS, Login
from os_credits.domain.mail import mail_address
from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import PEOPLE_MAX, Person, PersonChange, Role
from os_credits.errors import NotFound
from os_credits.flows import people as flow
from os_credits.flows.people_file import ROWS_MAX, Problem, Row
from os_credits.flows.people_import import Imported, ImportOptions, import_people
from os_credits.store import invitations, logins, managers, people, projects, sessions
from os_credits.store.pool import Connection, connection, snapshot

MAILS_MAX = 1000
# As much as an export tells of what a person did.
AUDIT_LINES_MAX = 10_000
PROBLEMS_NAMED_MAX = 5

MANAGED_ONLY = {
    403: Answer("Only its owners, their managers and administrators may", ErrorShape)
} | FOUND_NO_PROJECT
FOUND_NO_PERSON = {
    404: Answer("There is no such project, or this person is none of it", ErrorShape)
}

routes = Routes("People")


class PersonBody(BaseModel):
    """What is said of a person; what is not named stays, or is as by default."""

    model_config = ConfigDict(extra="forbid")

    name: Line = ""
    role: Role = Role.OWNER
    language: Literal["", "en", "de"] = Field("", description="'' stands for the service's own")
    wants: list[NoticeKind] | None = Field(
        None, description="null: an owner hears of everything, a member of nothing"
    )
    digest: bool = Field(False, description="All of a day in one mail")

    def fields(self, *, only_named: bool) -> dict[str, Any]:
        """Give what is said, or only what was named, by the names of `Person`."""
        said: dict[str, Any] = {
            "name": self.name,
            "role": self.role,
            "language": self.language,
            "wants": None if self.wants is None else tuple(
                kind for kind in NoticeKind if kind in self.wants
            ),
            "digest": self.digest,
        }  # fmt: skip
        return {
            name: value
            for name, value in said.items()
            if not only_named or name in self.model_fields_set
        }


class Owner(PersonBody):
    """Someone who may hear of the project."""

    email: Address

    def change(self) -> PersonChange:
        """Give what is said of the person; the name is always said."""
        named = self.fields(only_named=True)
        return PersonChange(self.email, {"name": self.name, **named})


class Owners(BaseModel):
    """Everyone who may hear of the project."""

    model_config = ConfigDict(extra="forbid")

    owners: Annotated[list[Owner], Field(max_length=PEOPLE_MAX)]


class ImportRow(BaseModel):
    """A row of a list; its texts are judged row by row, as those of a file are."""

    model_config = ConfigDict(extra="forbid")

    project: str = ""
    site: str = ""
    domain: str = ""
    email: str = ""
    name: str = ""
    role: str = ""
    language: str = ""
    wants: list[str] | str | None = None
    digest: bool | str = False

    def row(self, number: int) -> Row:
        """Give the row as a file would have it; what is not named is a missing column."""
        named = self.model_fields_set | {"project", "email"}
        # In the order of the fields, since mistakes are told in that of the cells.
        fields = (name for name in type(self).model_fields if name in named)
        return Row(number, {name: self._cell(name) for name in fields})

    def _cell(self, name: str) -> str:
        match getattr(self, name):
            case bool(value):
                return "yes" if value else "no"
            case None:
                return "default"
            case list(kinds):
                return " ".join(kinds) or "none"
            case value:
                return str(value)


class PeopleList(BaseModel):
    """A list of people, and how to take it over."""

    model_config = ConfigDict(extra="forbid")

    people: Annotated[list[ImportRow], Field(max_length=ROWS_MAX)]
    replace: bool = Field(
        False, description="Who is not listed hears no more of the projects that are"
    )
    skip_bad: bool = Field(False, description="Write the good rows without the bad ones")
    dry_run: bool = Field(False, description="Only tell what would change")


class MailsQuery(BaseModel):
    """A part of the mails."""

    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(gt=0, le=MAILS_MAX)] = MAILS_MAX


@routes.add(
    "GET",
    "/api/v1/projects/{project}/owners",
    gate=Gate.MANAGE,
    summary="Who hears of a project",
    answers={200: Answer("Owners and members, by address", OwnerList)} | MANAGED_ONLY,
)
async def list_owners(request: web.Request, query: ProjectQuery) -> OwnerList:
    """Show addresses to those who manage the project, and to administrators."""
    async with connection(context_of(request).pool) as conn:
        project = await managed_project(request, conn, query)
        return owner_list(await people.list_people(conn, project.id))


@routes.add(
    "PUT",
    "/api/v1/projects/{project}/owners",
    gate=Gate.MANAGE,
    summary="Replace everyone who hears of a project",
    answers={200: Answer("The people from now on", OwnerList)} | MANAGED_ONLY,
)
async def put_owners(request: web.Request, query: ProjectQuery, body: Owners) -> OwnerList:
    """Mails that are on their way still go to those who were owners then.

    What is not said of somebody who was there before (role, language, wants, digest) stays.
    """
    changes = [owner.change() for owner in body.owners]
    project_id = await _project_id(request, query)
    return owner_list(await flow.replace_people(context_of(request).pool, project_id, changes))


@routes.add(
    "POST",
    "/api/v1/projects/{project}/owners",
    gate=Gate.MANAGE,
    summary="Let one more person hear of a project",
    answers={
        200: Answer("This very person was there before", OwnerShape),
        201: Answer("The person", OwnerShape),
        409: Answer("The address is there with something else, or too many are", ConflictShape),
    }
    | MANAGED_ONLY,
)
async def add_owner(request: web.Request, query: ProjectQuery, body: Owner) -> web.Response:
    """Members hear of what `wants` names, owners of everything unless they name something."""
    change = PersonChange(body.email, body.fields(only_named=False))
    project_id = await _project_id(request, query)
    person, created = await flow.add_person(context_of(request).pool, project_id, change)
    return json_response(owner_shape(person), status=201 if created else 200)


@routes.add(
    "DELETE",
    "/api/v1/projects/{project}/owners",
    gate=Gate.MANAGE,
    summary="Let nobody hear of a project any more",
    answers={200: Answer("The empty list", OwnerList)} | MANAGED_ONLY,
)
async def delete_owners(request: web.Request, query: ProjectQuery) -> OwnerList:
    """To remove one of several people, delete that one."""
    project_id = await _project_id(request, query)
    return owner_list(await flow.replace_people(context_of(request).pool, project_id, []))


@routes.add(
    "GET",
    "/api/v1/projects/{project}/owners/{email}",
    gate=Gate.MANAGE,
    summary="What one person hears of a project",
    answers={200: Answer("The person", OwnerShape)} | MANAGED_ONLY | FOUND_NO_PERSON,
)
async def get_owner(request: web.Request, query: ProjectQuery) -> OwnerShape:
    """Find the address in whatever case it is spelled."""
    async with connection(context_of(request).pool) as conn:
        project = await managed_project(request, conn, query)
        known = await people.list_people(conn, project.id)
    return owner_shape(flow.found(known, _email_of(request)))


@routes.add(
    "PUT",
    "/api/v1/projects/{project}/owners/{email}",
    gate=Gate.MANAGE,
    summary="Let a person hear of a project just so",
    answers={
        200: Answer("The person, who was there before", OwnerShape),
        201: Answer("The person, who is new", OwnerShape),
        409: Answer("An ambiguous name, or too many people", ConflictShape),
    }
    | MANAGED_ONLY,
)
async def put_owner(request: web.Request, query: ProjectQuery, body: PersonBody) -> web.Response:
    """Take the default for what the body does not name."""
    change = PersonChange(_email_of(request), body.fields(only_named=False))
    project_id = await _project_id(request, query)
    person, created = await flow.put_person(context_of(request).pool, project_id, change)
    return json_response(owner_shape(person), status=201 if created else 200)


@routes.add(
    "PATCH",
    "/api/v1/projects/{project}/owners/{email}",
    gate=Gate.MANAGE,
    summary="Change something about a person who hears of a project",
    answers={200: Answer("The person from now on", OwnerShape)} | MANAGED_ONLY | FOUND_NO_PERSON,
)
async def change_owner(request: web.Request, query: ProjectQuery, body: PersonBody) -> OwnerShape:
    """Leave as it is what the body does not name."""
    change = PersonChange(_email_of(request), body.fields(only_named=True))
    project_id = await _project_id(request, query)
    return owner_shape(await flow.change_person(context_of(request).pool, project_id, change))


@routes.add(
    "DELETE",
    "/api/v1/projects/{project}/owners/{email}",
    gate=Gate.MANAGE,
    summary="Let a person hear of a project no more",
    answers={200: Answer("The people who are left", OwnerList)} | MANAGED_ONLY | FOUND_NO_PERSON,
)
async def delete_owner(request: web.Request, query: ProjectQuery) -> OwnerList:
    """Mails that are on their way still go out; to end those too, erase the address."""
    email = _email_of(request)
    project_id = await _project_id(request, query)
    return owner_list(await flow.remove_person(context_of(request).pool, project_id, email))


@routes.add(
    "POST",
    "/api/v1/people/import",
    gate=Gate.ADMIN,
    summary="Take over a list of people of many projects",
    answers={
        200: Answer("What changed, or would change (`dry_run`)", ImportAnswer),
        400: Answer("Nothing was written: the rows that are wrong", ImportProblems),
    },
)
async def add_people(request: web.Request, body: PeopleList) -> web.Response:
    """All rows or none, unless `skip_bad`; the same list again changes nothing."""
    rows = [one.row(number) for number, one in enumerate(body.people, start=1)]
    options = ImportOptions(replace=body.replace, preview=body.dry_run, skip_bad=body.skip_bad)
    done = await import_people(context_of(request).pool, rows, options)
    if done.problems and not body.skip_bad:
        return json_response(import_problems(done.problems), status=400)
    return json_response(import_answer(done))


@routes.add(
    "GET",
    "/api/v1/people/{email}",
    gate=Gate.ADMIN,
    summary="Everything that is stored of an address",
    answers={
        200: Answer("Its projects and its mails", PersonExport),
        404: Answer("Nothing is stored of it", ErrorShape),
    },
)
async def get_person(request: web.Request, query: MailsQuery) -> PersonExport:
    """Find the address in whatever case it is spelled."""
    async with snapshot(context_of(request).pool) as conn:
        return await read_export(conn, _email_of(request), after_id=query.after, limit=query.limit)


@routes.add(
    "DELETE",
    "/api/v1/people/{email}",
    gate=Gate.ADMIN,
    summary="Erase an address from all projects, mails and logins",
    answers={
        200: Answer("What it was taken from; again: nothing", ErasedShape),
        400: Answer("This is no address", ErrorShape),
    },
)
async def delete_person(request: web.Request) -> ErasedShape:
    """Notices stay, since they name nobody; mails keep their outcome without the address."""
    erased = await flow.erase(context_of(request).pool, _email_of(request))
    return ErasedShape.model_validate(erased)


async def read_export(conn: Connection, email: str, *, after_id: int, limit: int) -> PersonExport:
    """Read what is stored of an address, with a part of its mails. Raises NotFound."""
    parts = await people.list_stored(conn, email)
    found = await people.list_mails(conn, email, after_id=after_id, limit=limit + 1)
    login = await logins.find_login_of(conn, email)
    managed = await managers.list_managed(conn, email)
    if not (parts or found or login or managed or after_id):
        raise NotFound("nothing is stored of this address")
    ids = [one.project_id for one in parts]
    by_id = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
    return PersonExport(
        email=email,
        login=None if login is None else await _login_export(conn, login),
        organisations=[ManagedShape.model_validate(one) for one in managed],
        projects=[
            PartShape(
                **dict(owner_shape(one.person)),
                project=ProjectShape.model_validate(by_id[one.project_id]),
                created_at=one.created_at,
            )
            for one in parts
        ],
        mails=[StoredMailShape.model_validate(one) for one in found[:limit]],
        next=found[limit - 1].id if len(found) > limit else None,
    )


async def _login_export(conn: Connection, login: Login) -> LoginExport:
    seen = await sessions.list_sessions(conn, login.id, idle=SESSION_LASTS)
    links = await invitations.list_invitations(conn, login.id)
    done = await read_audit(conn, AuditFilter(login_id=login.id), limit=AUDIT_LINES_MAX)
    return LoginExport(
        login=login_shape(login),
        sessions=[session_shape(one) for one in seen],
        invitations=[InvitationShape.model_validate(one) for one in links],
        audit=done.lines,
    )


def owner_list(known: Sequence[Person]) -> OwnerList:
    """Shape the people of a project."""
    return OwnerList(owners=[owner_shape(one) for one in known])


def owner_shape(person: Person) -> OwnerShape:
    """Shape a person."""
    return OwnerShape.model_validate(person)


def import_answer(done: Imported) -> ImportAnswer:
    """Shape what a list changed."""
    return ImportAnswer(
        written=done.written,
        projects=[
            ChangedPeople(
                project=ProjectShape.model_validate(one.project),
                added=[person.email for person in one.change.added],
                changed=[person.email for person in one.change.changed],
                removed=[person.email for person in one.change.removed],
                unchanged_count=one.change.unchanged_count,
            )
            for one in done.projects
        ],
        problems=_problem_shapes(done.problems),
    )


def import_problems(problems: Sequence[Problem]) -> ImportProblems:
    """Shape why a list was not written; the message names the first ones."""
    told = "; ".join(map(str, problems[:PROBLEMS_NAMED_MAX]))
    more = len(problems) - PROBLEMS_NAMED_MAX
    return ImportProblems(
        error="invalid",
        message=f"{told}; and {more} more" if more > 0 else told,
        problems=_problem_shapes(problems),
    )


def _problem_shapes(problems: Sequence[Problem]) -> list[ProblemShape]:
    return [ProblemShape.model_validate(one) for one in problems]


async def _project_id(request: web.Request, query: ProjectQuery) -> int:
    async with connection(context_of(request).pool) as conn:
        return (await managed_project(request, conn, query)).id


def _email_of(request: web.Request) -> str:
    """Read the address of the path."""
    return mail_address(request.match_info["email"], where="email")
