"""What grants, transfers and allowances look like in `/api/v1`, and what an instruction did."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import Field, PlainSerializer, WithJsonSchema

from os_credits.api.shapes import BalanceShape, CreditsText, ProjectShape, Shape
from os_credits.domain.allowance import month_text
from os_credits.domain.grant import GrantState
from os_credits.domain.lot import LotKind

MONTH_PATTERN = r"^\d{4}-(0[1-9]|1[0-2])$"
MonthText: TypeAlias = Annotated[
    datetime,
    PlainSerializer(month_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": MONTH_PATTERN, "examples": ["2026-01"]}),
]


class InstructionAnswer(Shape):
    """What an instruction did; `created` is false if the same key had done it before.

    `entry_id` is its entry in the project's ledger, `balance` the project's account as it is now.
    What the instruction did not make is null.
    """

    created: bool
    idempotency_key: str
    grant_id: int | None
    transfer_id: int | None
    allowance_id: int | None
    entry_id: int | None = Field(description="null: there is none, or its hour has not come yet")
    balance: BalanceShape


class GrantShape(Shape):
    """Credits that were given on terms: burned + expired + left is the amount.

    They count from `valid_from` up to `expires_at` (null: for ever), both full hours; the
    smaller a `priority`, the earlier they burn. Of a grant that is void nothing is left.
    """

    id: int
    kind: LotKind
    amount: CreditsText
    burned: CreditsText
    expired: CreditsText
    left: CreditsText
    state: GrantState
    valid_from: datetime
    expires_at: datetime | None
    priority: int
    allowance_id: int | None = Field(description="The allowance that gave it")
    tops_up: int | None = Field(description="The grant on whose terms it was added")
    entry_id: int | None = Field(description="null: it was never valid yet")
    reason: str
    author: str
    created_at: datetime


class GrantPage(Shape):
    """Grants, oldest first; `next` is the value of `after` for the following page."""

    grants: list[GrantShape]
    next: int | None


class LatestGrantShape(Shape):
    """Credits that were given to a project on terms; what of them is left, its own list says."""

    id: int
    project: ProjectShape
    kind: LotKind
    amount: CreditsText
    state: GrantState
    valid_from: datetime
    expires_at: datetime | None
    priority: int
    reason: str
    author: str
    created_at: datetime


class LatestGrantPage(Shape):
    """Grants of all projects, newest first; `next` is the value of `before` for the next page."""

    grants: list[LatestGrantShape]
    next: int | None


class TransferShape(Shape):
    """Credits moved between two projects, with the entry in the ledger of either.

    A project that the key may not read is null.
    """

    id: int
    sender: ProjectShape | None
    receiver: ProjectShape | None
    amount: CreditsText
    expires_at: datetime | None = Field(description="null: never")
    grant_id: int = Field(description="The receiver's grant")
    sender_entry_id: int
    receiver_entry_id: int
    reason: str
    author: str
    created_at: datetime


class TransferPage(Shape):
    """Transfers, oldest first; `next` is the value of `after` for the following page."""

    transfers: list[TransferShape]
    next: int | None


class TransferAnswer(InstructionAnswer):
    """What a transfer did; `balance` is the sender's."""

    transfer: TransferShape


class AllowanceShape(Shape):
    """A grant that comes again with every month before `end_month` (null: for ever).

    `granted_until` is the first month for which nothing was given yet.
    """

    id: int
    amount: CreditsText
    first_month: MonthText
    end_month: MonthText | None
    carries_over: bool = Field(description="Whether the rest of a month stays for the next ones")
    priority: int
    granted_until: MonthText
    is_over: bool = Field(description="Whether it has given all that it ever will")
    reason: str
    author: str
    created_at: datetime


class AllowanceList(Shape):
    """A project's allowances, by their numbers."""

    allowances: list[AllowanceShape]
