"""What the JSON of exclusions, settlements and revised meters looks like."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.shapes import CreditsText, NumberText, Shape
from os_credits.domain.settlement import Verdict

ShownKind = Literal["suspect", "unmetered"]


class ChangeShape(Shape):
    """What a decision changes, or with `preview` would change."""

    hour_count: int = Field(description="Hours of projects whose charges change")
    project_count: int
    credits: CreditsText = Field(description="What is charged more (or, if negative, less)")


class ExclusionShape(Shape):
    """Samples that are out of the set; null means no bound, or all."""

    id: int
    meter: str | None
    series_id: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    reason: str
    author: str


class ExclusionList(Shape):
    """The exclusions that hold, oldest first."""

    exclusions: list[ExclusionShape]


class ExcludedShape(Shape):
    """An exclusion that was made, or with `preview` would be (its id is null then)."""

    exclusion_id: int | None
    sample_count: int = Field(description="Samples that were there already")
    change: ChangeShape
    effect: str = Field(description="For `effect` of a call that is to have just this one")
    is_new: bool = Field(description="False where the same call, with its `effect`, had done it")


class LiftedShape(Shape):
    """An exclusion that was lifted."""

    sample_count: int = Field(description="Samples that are rated again within seconds")


class Effectful(BaseModel):
    """What a decision may ask for besides its content."""

    model_config = ConfigDict(extra="forbid")

    effect: str | None = Field(
        None,
        max_length=100,
        description="As a preview gave it: decide only if it still has just this effect on closed "
        "hours, and nobody has decided anything else since; else 409. The same call again "
        "decides once",
    )


class UnsettledShape(Shape):
    """Suspect or unmetered usage of one series and flavor that nobody has decided about."""

    kind: ShownKind
    series_id: int
    meter: str
    flavor: str | None
    resource: str
    identity: dict[str, str]
    first_hour: datetime
    end_hour: datetime = Field(description="The hour after the last one")
    hour_count: int
    quantity: NumberText
    unit: str
    credits_if_billed: CreditsText | None = Field(description="null: some hour has no price")


class UnsettledList(Shape):
    """What waits for a verdict, by kind, meter and resource."""

    unsettled: list[UnsettledShape]


class SettlementShape(Shape):
    """A verdict on the hours from the first up to before the end; the latest one counts."""

    id: int
    kind: ShownKind
    meter: str | None
    series_id: int | None
    first_hour: datetime
    end_hour: datetime
    verdict: Verdict
    reason: str
    author: str


class SettlementList(Shape):
    """All verdicts on a project's usage, oldest first."""

    settlements: list[SettlementShape]


class SettledShape(Shape):
    """A verdict that was stored, or with `preview` would be (its id is null then)."""

    settlement_id: int | None
    change: ChangeShape
    effect: str = Field(description="For `effect` of a call that is to have just this one")
    is_new: bool = Field(description="False where the same call, with its `effect`, had done it")


class RevisionShape(Shape):
    """A meter's version for past hours; null: it holds until further notice."""

    meter: str
    valid_from: datetime
    valid_until: datetime | None
    change: ChangeShape
