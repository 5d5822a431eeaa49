"""What the JSON about the end of projects looks like: decisions, and statements."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from os_credits.api.shapes import CreditsText, HexText, ProjectShape, Shape
from os_credits.domain.closing import ProjectState, StatementKind


class ClosingShape(Shape):
    """A decision about a project's end: closed from `hour` on, or open again since then."""

    id: int
    is_closed: bool
    hour: datetime
    reason: str
    author: str
    created_at: datetime


class ClosingAnswer(Shape):
    """What was decided; `created` is false if it had been decided just so before."""

    closing: ClosingShape
    state: ProjectState
    created: bool


class StatementRow(Shape):
    """A sum of the account, signed; usage by meter and flavor, corrections by meter."""

    kind: StatementKind
    meter: str | None
    flavor: str | None
    credits: CreditsText


class AfterClosing(Shape):
    """What came after the end: late usage, and whatever else changed the account since."""

    rows: list[StatementRow]
    used: CreditsText = Field(description="Charged after the end, or otherwise than stated")
    total: CreditsText


class StatementShape(Shape):
    """A project's account in sums: the rows make `balance`, with `after_closing` `current`.

    While `is_final` is false it is an interim statement, of everything up to now. A final one
    names the last entry that it knows of; the rows are a function of the entries up to there.
    """

    project: ProjectShape
    state: ProjectState
    closing: ClosingShape | None
    is_final: bool
    final_at: datetime | None
    as_of: datetime
    head_sequence: int
    head_hash: HexText
    rows: list[StatementRow]
    balance: CreditsText
    after_closing: AfterClosing | None = Field(description="null unless the project is to end")
    current: CreditsText
    decisions: list[ClosingShape] = Field(description="All of them, the latest first")
