"""What the JSON about logins, sessions, managers and the audit log looks like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from os_credits.api.organisation_shapes import OrganisationShape
from os_credits.api.shapes import ProjectShape, Shape
from os_credits.domain.invitation import InvitationState, Purpose
from os_credits.domain.login import Login, SeenSession
from os_credits.domain.person import Role
from os_credits.store.logins import ListedLogin


class LoginShape(Shape):
    """A person who may log in; without a password only once a link was followed."""

    id: int
    email: str
    name: str
    language: str = Field(description="'' stands for what the browser asks for")
    is_administrator: bool
    has_password: bool
    disabled_at: datetime | None
    created_at: datetime


class ListedLoginShape(LoginShape):
    """A login among others: when it was last in use, and what became of its newest open link."""

    last_seen_at: datetime | None
    invitation_state: InvitationState | None
    invitation_expires_at: datetime | None
    invitation_error: str


class LoginPage(Shape):
    """A page of logins."""

    logins: list[ListedLoginShape]
    next: int | None = Field(description="The value of `after` for the next page, if there is one")


class LinkShape(Shape):
    """A link by which a password is chosen, once."""

    purpose: Purpose
    state: InvitationState
    expires_at: datetime
    link: str | None = Field(description="Shown this once; null where it is mailed instead")


class InvitedShape(Shape):
    """A login and the link that was made for it."""

    login: LoginShape
    invitation: LinkShape


class InvitedPerson(Shape):
    """To whom a link is mailed, unless the person can log in already."""

    email: str


class RoleShape(Shape):
    """A person's own part in a project."""

    project: ProjectShape
    role: Role


class WhoShape(Shape):
    """Who is logged in, and what this person may do now.

    `projects` are the person's own parts, the first thousand of them; what lies beneath
    `organisations` is to be seen as well. `project_count` is null where all projects are.
    """

    login: LoginShape
    csrf: str = Field(description="What changes by the session's cookie bring as X-CSRF-Token")
    created_at: datetime
    expires_at: datetime
    organisations: list[OrganisationShape] = Field(description="Those that the person manages")
    projects: list[RoleShape]
    project_count: int | None


class SessionShape(Shape):
    """One browser in which a login is in use."""

    id: int
    is_this: bool
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


class SessionList(Shape):
    """The sessions of a login, the latest used first."""

    sessions: list[SessionShape]


class EndedShape(Shape):
    """How many sessions ended."""

    ended_count: int


class AcceptedShape(Shape):
    """That something was taken on; it says nothing about what comes of it."""

    message: str


class ManagerShape(Shape):
    """Who manages an organisation with all beneath it."""

    email: str
    name: str
    author: str
    created_at: datetime


class ManagerList(Shape):
    """The managers of an organisation itself, by address; those above it manage it as well."""

    managers: list[ManagerShape]


class AuditLineShape(Shape):
    """One change: by whom, by which way, and of what."""

    id: int
    made_at: datetime
    actor: str
    via: str = Field(description="page, api, command or service")
    login_id: int | None
    subject: str = Field(description="The kind of thing that was changed: price, project_owner ...")
    action: str = Field(description="insert, update or delete")
    project: ProjectShape | None
    organisation: OrganisationShape | None
    details: dict[str, Any] = Field(
        description="Its fields; of an update `changed`, with what each was and is"
    )


class AuditPage(Shape):
    """A page of the audit log, the newest lines first."""

    lines: list[AuditLineShape]
    next: int | None = Field(description="The value of `before` for older lines, if there are any")


def listed(found: Sequence[ListedLogin]) -> list[ListedLoginShape]:
    """Shape logins among others."""
    return [
        ListedLoginShape(
            **dict(login_shape(one.login)),
            last_seen_at=one.last_seen_at,
            invitation_state=one.invitation_state,
            invitation_expires_at=one.invitation_expires_at,
            invitation_error=one.invitation_error,
        )
        for one in found
    ]


def session_shape(one: SeenSession, *, this: int = 0) -> SessionShape:
    """Shape a session; `this` is the one by which is asked."""
    return SessionShape(
        id=one.id,
        is_this=one.id == this,
        created_at=one.created_at,
        last_seen_at=one.last_seen_at,
        expires_at=one.expires_at,
        address=one.address,
        agent=one.agent,
    )


def login_shape(login: Login) -> LoginShape:
    """Shape a login."""
    return LoginShape.model_validate(login)
