"""What the JSON of organisations, places and budgets looks like."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from os_credits.api.shapes import BalanceShape, CreditsText, PeriodShape, ProjectShape, Shape
from os_credits.domain.grant import GrantState


class OrganisationShape(Shape):
    """A group of projects and organisations."""

    id: int
    name: str


class PlacedOrganisation(OrganisationShape):
    """An organisation, and on which one it hangs now."""

    parent: OrganisationShape | None = Field(
        description="null: on none, or on one that this key may not see"
    )


class OrganisationPage(Shape):
    """Organisations; `next` is the value of `after` for the following page."""

    organisations: list[PlacedOrganisation]
    next: int | None


class PlacedProjectShape(Shape):
    """A project that hangs on an organisation itself, and since when."""

    project: ProjectShape
    valid_from: datetime


class PlacedProjectPage(Shape):
    """Projects, by number; `next` is the value of `after` for the following page."""

    projects: list[PlacedProjectShape]
    next: int | None


class MembershipShape(Shape):
    """Where a project belongs from `valid_from` on, up to the next start; null: nowhere."""

    organisation: str | None
    valid_from: datetime
    reason: str
    author: str
    created_at: datetime


class MembershipList(Shape):
    """A project's places that count, by their start."""

    memberships: list[MembershipShape]


class PlaceShape(Shape):
    """On which organisation another one hangs from `valid_from` on, up to the next start."""

    parent: str | None = Field(description="null: on none, or on one that this key may not see")
    valid_from: datetime
    reason: str
    author: str
    created_at: datetime


class PlaceList(Shape):
    """An organisation's places that count, by their start."""

    places: list[PlaceShape]


class OrganisationLine(Shape):
    """What one project used of one meter while it lay beneath the organisation.

    `part` is the organisation right beneath it through which it did; null: the project belonged
    to the organisation itself. A project that moved has a line for each part.
    """

    part: OrganisationShape | None
    project: ProjectShape
    meter: str
    credits: CreditsText


class PartShape(Shape):
    """What was used beneath one organisation right beneath; null: by projects of its own."""

    organisation: OrganisationShape | None
    credits: CreditsText


class OrganisationUsage(Shape):
    """What was used beneath an organisation in the hours of a period, booked or not.

    `parts` add up to `credits`, and so do the lines of `usage`.
    """

    organisation: OrganisationShape
    period: PeriodShape
    credits: CreditsText
    parts: list[PartShape]
    usage: list[OrganisationLine]


class BudgetShape(Shape):
    """Credits that an organisation has for everything beneath it.

    As with grants, burned + expired + left is the amount; of one that is void nothing is left.
    """

    id: int
    amount: CreditsText
    burned: CreditsText
    expired: CreditsText
    left: CreditsText
    state: GrantState
    valid_from: datetime
    expires_at: datetime | None = Field(description="null: never")
    priority: int = Field(description="The smaller, the earlier it burns")
    reason: str
    author: str
    created_at: datetime


class BudgetPage(Shape):
    """Budgets, oldest first; `next` is the value of `after` for the following page."""

    budgets: list[BudgetShape]
    next: int | None


class BudgetAnswer(BudgetShape):
    """A budget that was given; `created` is false if the same key had given it before."""

    created: bool
    idempotency_key: str


class OrganisationBalance(Shape):
    """What an organisation's budgets have come to.

    `balance` is what is left of them less the `debt` that none of them has paid; `used` is what
    was used beneath it since the first one's start. All are null while no budget has started:
    then nothing limits here.
    """

    organisation: OrganisationShape
    balance: CreditsText | None
    used: CreditsText | None
    debt: CreditsText | None
    as_of: datetime


class LevelShape(Shape):
    """A level of a project's path: the project itself, or an organisation above it."""

    kind: Literal["project", "organisation"]
    id: int
    name: str


class LevelBalance(LevelShape):
    """A level that limits a project, and what it has left."""

    balance: CreditsText


class UsableBalance(BalanceShape):
    """A project's account, and what it can use under the budgets above it.

    `usable` is the least of `levels`, the nearest first: the project itself if it was ever
    given credits, and each organisation above it that has a budget. `limited_by` is the level
    it comes from; null: none limits, and `usable` is `current`. A key that is limited to some
    projects sees the name of the level that limits, and no balance of an organisation.
    """

    usable: CreditsText
    limited_by: LevelShape | None
    levels: list[LevelBalance]
