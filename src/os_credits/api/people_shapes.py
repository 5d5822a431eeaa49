"""What the JSON about people looks like: who hears of projects, imports, exports, erasure."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from os_credits.api.login_shapes import AuditLineShape, LoginShape, SessionShape
from os_credits.api.shapes import Candidate, ErrorShape, OwnerShape, ProjectShape, Shape
from os_credits.domain.invitation import InvitationState, Purpose
from os_credits.domain.mail import Channel, MailState
from os_credits.domain.notice import NoticeKind


class ProblemShape(Shape):
    """What is wrong with a field of a row; `candidates` is filled for an ambiguous project."""

    line: int = Field(description="In a file its line, in a list its number, from 1")
    field: str
    message: str
    candidates: list[Candidate] = Field(default_factory=list)


class ImportProblems(ErrorShape):
    """Why nothing was written: every row with something wrong."""

    problems: list[ProblemShape] = Field(default_factory=list)


class ChangedPeople(Shape):
    """What a list changes about the people of one project, by their addresses."""

    project: ProjectShape
    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged_count: int


class ImportAnswer(Shape):
    """What a list changed; with `dry_run` what it would change, and `written` is false."""

    written: bool
    projects: list[ChangedPeople]
    problems: list[ProblemShape] = Field(description="The rows that were skipped")


class PartShape(OwnerShape):
    """A person's part in one project."""

    project: ProjectShape
    created_at: datetime


class StoredMailShape(Shape):
    """A mail to an address, as it is stored."""

    id: int
    project_id: int
    recipient: str
    recipient_name: str
    language: str
    channel: Channel
    is_digest: bool
    kinds: list[NoticeKind] = Field(description="What the notices in it tell of")
    state: MailState
    attempt_count: int
    last_error: str
    message_id: str
    created_at: datetime
    sent_at: datetime | None


class InvitationShape(Shape):
    """A link by which a password was, or can be, chosen; never its token."""

    id: int
    purpose: Purpose
    state: InvitationState
    author: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    last_error: str


class ManagedShape(Shape):
    """An organisation that an address manages."""

    id: int
    organisation: str
    name: str
    created_at: datetime


class LoginExport(Shape):
    """The login of an address, where it is in use, and what was done by it."""

    login: LoginShape
    sessions: list[SessionShape]
    invitations: list[InvitationShape]
    audit: list[AuditLineShape] = Field(description="What was done by it, the newest first")


class PersonExport(Shape):
    """Everything that is stored of an address, however it was spelled."""

    email: str
    login: LoginExport | None
    organisations: list[ManagedShape] = Field(description="Those that it manages")
    projects: list[PartShape]
    mails: list[StoredMailShape]
    next: int | None = Field(description="The value of `after` for further mails, if there are any")


class ErasedShape(Shape):
    """From how many projects and mails an address was taken; it is stored nowhere any more."""

    project_count: int
    mail_count: int
    pending_count: int = Field(description="Those that had not been sent, and never will be")
    login_count: int = Field(description="1 if it could log in")
    organisation_count: int = Field(description="How many organisations it managed")
