"""What the JSON of `/api/v1` and of the history looks like; the document is made of these.

Credits and quantities are texts, since a JSON number is read as a float by most programs;
times are UTC. `id` is our own number of a thing, `external_id` the cloud's.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from os_credits.domain.access import Scope
from os_credits.domain.closing import ProjectState
from os_credits.domain.entry import EntryKind
from os_credits.domain.meter import MeterKind, MeterValue, OnReset
from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import Role


def credits_text(value: Decimal) -> str:
    """Write an amount of credits with all its six digits."""
    return format(value, ".6f")


def short_text(value: Decimal) -> str:
    """Write a number without an exponent and without needless zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_AMOUNT = {"type": "string", "pattern": r"^-?\d+\.\d{6}$", "examples": ["12.500000"]}
_NUMBER = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["1.6"]}

CreditsText: TypeAlias = Annotated[
    Decimal, PlainSerializer(credits_text, return_type=str), WithJsonSchema(_AMOUNT)
]
NumberText: TypeAlias = Annotated[
    Decimal, PlainSerializer(short_text, return_type=str), WithJsonSchema(_NUMBER)
]
HexText: TypeAlias = Annotated[
    bytes,
    PlainSerializer(lambda value: value.hex(), return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]*$"}),
]


class Shape(BaseModel):
    """The base of all answers: made by us, never changed."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class ErrorShape(Shape):
    """What is wrong with a request: a short code, and a sentence that names the place."""

    error: str = Field(examples=["invalid"])
    message: str = Field(examples=["start_date: must be a date or time like 2026-01-31T12:00:00Z"])


class Candidate(Shape):
    """A project that an ambiguous name could mean; its number can stand for the name."""

    number: str = Field(examples=["#17"])
    site: str
    external_id: str
    domain: str
    name: str


class ConflictShape(ErrorShape):
    """A contradiction to what is stored; `candidates` is filled for an ambiguous name."""

    candidates: list[Candidate] = Field(default_factory=list)


class ProjectShape(Shape):
    """A project; `name` is the one its latest sample gave."""

    id: int
    site: str
    external_id: str = Field(description="The cloud's own id of the project, '' if it has none")
    domain: str
    name: str


class BalanceShape(Shape):
    """A project's account at one moment, in credits.

    `granted` is what was ever granted, `granted_now` the grants that are valid: per cent are of
    these. `current` is what is left; `tally` the part of `used` that is charged but not booked
    yet, `expiring` what has expired and is not booked yet.
    """

    granted: CreditsText
    granted_now: CreditsText
    used: CreditsText
    current: CreditsText
    tally: CreditsText
    expiring: CreditsText
    as_of: datetime


class ProjectAccount(ProjectShape):
    """A project with its balance, and whether it has come to its end."""

    balance: BalanceShape
    state: ProjectState = ProjectState.OPEN
    closed_from: datetime | None = Field(None, description="null unless its end is decided")


class ProjectPage(Shape):
    """Projects by id; `next` is the value of `after` for the following page, if there is one."""

    projects: list[ProjectAccount]
    next: int | None


class PeriodShape(Shape):
    """From `start`, included, to `end`, excluded."""

    start: datetime
    end: datetime


class TotalsShape(Shape):
    """What was used in all, and what was left, before the first row."""

    used: CreditsText
    balance: CreditsText


HistoryKind: TypeAlias = Literal[
    "opening", "grant", "usage", "correction", "adjustment", "transfer", "expiry", "open"
]


class HistoryRow(Shape):
    """One line of the account; kind `open` is charged, or has expired, but is not yet booked.

    `credits` is signed: what the line adds to the balance. `used` and `balance` are the totals
    after the line. `quantity` (in `unit`) is what was metered in the hour as known now, told
    once per hour, meter and flavor, on its first line, while it is kept.
    """

    time: datetime = Field(description="The hour that the line concerns, its start")
    kind: HistoryKind
    meter: str | None
    flavor: str | None = Field(description="null where the meter knows no flavors")
    credits: CreditsText
    used: CreditsText
    balance: CreditsText
    quantity: NumberText | None
    unit: str | None
    reason: str
    booked_at: datetime | None
    entry_id: int | None
    grant_id: int | None = Field(description="The grant that was given, taken back, or expired")
    other_project: str | None = Field(
        description="Of a transfer: the name of the other project, if the key may read it"
    )


class CostLine(Shape):
    """What `count` units of a meter (and flavor) cost for one hour."""

    meter: str
    flavor: str | None
    count: NumberText
    unit: str = Field(description="What one of the count is, priced for an hour")
    credits_per_unit: NumberText
    valid_from: datetime = Field(description="Since when this price holds")
    credits: CreditsText


class CostShape(Shape):
    """Credits per hour in all, by the prices of the hour that begins at `hour`."""

    credits_per_hour: CreditsText
    hour: datetime
    breakdown: list[CostLine]


class OwnerShape(Shape):
    """Someone who may hear of the project, as owner or member."""

    email: str
    name: str
    role: Role
    language: str = Field(description="'' stands for the service's own")
    wants: list[NoticeKind] | None = Field(
        description="null: an owner hears of everything, a member of nothing"
    )
    digest: bool = Field(description="Whether all of a day comes in one mail")


class OwnerList(Shape):
    """Everyone who may hear of the project, owners and members, by address."""

    owners: list[OwnerShape]


class EntryShape(Shape):
    """One immutable line of the ledger, in the order of booking; `amount` is signed."""

    id: int
    sequence: int
    kind: EntryKind
    amount: CreditsText
    balance: CreditsText = Field(description="The sum of all entries up to this one")
    hour: datetime
    meter: str | None
    flavor: str | None
    reason: str
    author: str
    corrects: int | None = Field(description="The id of the entry that this one corrects")
    entry_key: str
    booked_at: datetime
    previous_hash: HexText
    hash: HexText


class EntryPage(Shape):
    """Entries; `next` is the value of `after` for the following page."""

    entries: list[EntryShape]
    next: int | None


class UsageShape(Shape):
    """What one resource used of a meter (and flavor) in one hour.

    `credits` is null while there is no price, and for kinds that are only shown unless they
    are settled: `suspect` (faster than the meter's `max_rate`) and `unmetered` (a gap longer
    than its `max_gap`).
    """

    hour: datetime
    meter: str
    flavor: str | None
    series_id: int
    resource: str
    identity: dict[str, str]
    kind: Literal["billed", "suspect", "unmetered"]
    quantity: NumberText
    unit: str
    credits: CreditsText | None


class UsagePage(Shape):
    """Hourly usage, oldest first; `next` is the value of `after` for the following page."""

    period: PeriodShape
    usage: list[UsageShape]
    next: str | None


class MailCounts(Shape):
    """How many owners were told, are yet to be told, or could not be told by mail."""

    sent: int
    pending: int
    refused: int


class NoticeShape(Shape):
    """An account came to a line, or something else happened that people must hear.

    `line`, `from_line` (the gravest line of the kind told before) and `value` (what was held
    against the line) are per cent, credits, days or credits per day, by `kind`. `granted` is
    what was valid then. `facts` hold what burned most, the forecast, and other lines told.
    """

    id: int
    kind: NoticeKind
    percent: NumberText | None = Field(description="The line, if it is one in per cent")
    line: NumberText | None
    from_line: NumberText | None
    value: NumberText | None
    balance: CreditsText
    granted: CreditsText
    created_at: datetime
    facts: dict[str, Any]
    mails: MailCounts


class NoticeList(Shape):
    """A project's notices, the latest first."""

    notices: list[NoticeShape]


class MeterShape(Shape):
    """What is tracked, as it is defined now (or, where it is new, from `valid_from` on)."""

    name: str
    metric: str
    kind: MeterKind
    unit: str
    priced_unit: str
    description: str
    value: MeterValue
    project_id: str | None
    project_name: str | None
    domain: str | None
    site: str | None
    resource: str | None
    flavor: str | None
    host: str | None
    region: str | None
    provider: str | None
    state: str | None
    identity: tuple[str, ...]
    match: dict[str, tuple[str, ...]]
    max_gap_seconds: int
    on_reset: OnReset
    max_rate: NumberText | None
    valid_from: datetime
    credits_per_unit: NumberText | None = Field(description="The price without a flavor, now")


class MeterList(Shape):
    """All meters, by name."""

    meters: list[MeterShape]


class PriceShape(Shape):
    """A price as it was set; `credits_per_unit` null ends the price before it."""

    id: int
    meter: str
    flavor: str | None = Field(description="null: the meter's price for all other flavors")
    vcpus: NumberText | None = Field(None, description="What the flavor is made of, if known")
    ram_gib: NumberText | None = None
    disk_gib: NumberText | None = None
    credits_per_unit: NumberText | None
    unit: str
    valid_from: datetime
    author: str
    set_at: datetime
    in_effect: bool = Field(description="Whether it is the one that counts now")
    superseded: bool = Field(description="Whether a later one took its place, for the same start")


class PriceList(Shape):
    """Prices by meter, flavor and start; of two with one start, the later one counts."""

    prices: list[PriceShape]


class PricedShape(Shape):
    """Usage that gets a price, or loses it: hours of resources, and their projects."""

    row_count: int
    project_count: int


class ProjectCredits(Shape):
    """What of a change concerns one project."""

    project: ProjectShape
    credits: CreditsText


class PriceChangeShape(Shape):
    """What a price changed, or with `preview` would change: past hours, projects, credits.

    Of these, `booked_hour_count` hours are booked and get corrections of `booked_credits`;
    `projects` are the ones that it concerns most. `is_new` is false where the same call, with
    the same `effect`, had set the price before.
    """

    price_id: int | None
    hour_count: int
    project_count: int
    credits: CreditsText
    first_hour: datetime | None
    last_hour: datetime | None
    booked_hour_count: int
    booked_credits: CreditsText
    priced: PricedShape
    unpriced: PricedShape
    projects: list[ProjectCredits]
    effect: str = Field(description="For `effect` of a call that sets the price just so")
    is_new: bool


class KeyShape(Shape):
    """What a key may do; null means all projects, sites or meters."""

    id: int
    name: str
    scopes: list[Scope]
    projects: list[str] | None
    sites: list[str] | None
    meters: list[str] | None
    created_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None = Field(None, description="To the accuracy of some seconds")


class KeyList(Shape):
    """Every key that was ever made, without the keys themselves."""

    keys: list[KeyShape]


class NewKey(KeyShape):
    """A key that was just made; `key` is shown this once."""

    key: str
