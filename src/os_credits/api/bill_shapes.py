"""What the JSON of bills looks like."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from os_credits.api.organisation_shapes import OrganisationShape
from os_credits.api.shapes import CreditsText, NumberText, PeriodShape, ProjectShape, Shape
from os_credits.domain.bill import By
from os_credits.domain.entry import EntryKind


class SubjectShape(Shape):
    """Whose bill it is: an organisation's or a project's, or that of one of its resources."""

    organisation: OrganisationShape | None
    project: ProjectShape | None
    resource: str | None


class BillLineShape(Shape):
    """What one meter and flavor cost.

    `unit_price` is null unless one price held throughout; `price_count` says how many did.
    `unpriced_quantity` has no price yet, and costs nothing yet. `open` of the credits is charged,
    but not booked yet.
    """

    meter: str
    flavor: str | None
    unit: str
    quantity: NumberText | None = Field(
        description="In `unit`, at most nine digits after the point; null where it is not told"
    )
    unpriced_quantity: NumberText
    unit_price: NumberText | None
    price_count: int
    credits: CreditsText
    open: CreditsText | None = Field(description="null where it is not told: by resource")


class BillGroupShape(Shape):
    """Lines that belong together, which add up to `credits`.

    One of the first five says of what; with none of them it is what hangs on the organisation
    itself or, by resource, what is no longer known of which resource it was.
    """

    organisation: OrganisationShape | None
    project: ProjectShape | None
    meter: str | None
    resource: str | None
    start: datetime | None = Field(description="The start (UTC) of the day or month")
    lines: list[BillLineShape]
    credits: CreditsText
    open: CreditsText | None


class AccountChangeShape(Shape):
    """What changed the balance besides usage; kind null: it has expired, and is not booked yet."""

    hour: datetime
    kind: EntryKind | None
    amount: CreditsText
    reason: str


class AccountBlockShape(Shape):
    """How the balance came from the start of the period to its end.

    opening + given - taken - used = closing. `changes` are the latest; there may be `more`.
    """

    opening: CreditsText
    given: CreditsText
    taken: CreditsText
    used: CreditsText
    closing: CreditsText
    changes: list[AccountChangeShape]
    more: bool


class BillShape(Shape):
    """What was charged for the hours of a period; every figure is a sum of charges.

    `lines`, `credits` and `open` are of the whole; its groups add up to `credits`. Where `next`
    is set, further groups come with `after` set to it.
    """

    subject: SubjectShape
    period: PeriodShape
    by: By
    as_of: datetime
    credits: CreditsText
    open: CreditsText | None = Field(description="Of the credits, what is not booked yet")
    lines: list[BillLineShape]
    groups: list[BillGroupShape]
    has_quantities: bool = Field(
        description="false: there were too many hours of resources to tell quantities at once"
    )
    account: AccountBlockShape | None = Field(description="Of a project's first page")
    next: str | None
