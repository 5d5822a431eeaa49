"""What the JSON of an explanation looks like; `domain/explanation.py` says what it means.

Steps are texts, since they may be larger than the whole numbers that a JSON reader keeps.
Calculations are texts too: a person repeats them, no program needs to.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PlainSerializer, WithJsonSchema

from os_credits.api.shapes import CreditsText, EntryShape, NumberText, ProjectShape, Shape
from os_credits.domain.explanation import Outcome, Reach
from os_credits.domain.lot import LotKind
from os_credits.domain.settlement import Verdict

StepsText: TypeAlias = Annotated[
    int,
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+$", "examples": ["1800000000000"]}),
]
UsageKindName: TypeAlias = Literal["billed", "suspect", "unmetered"]


class ExplainedEntryShape(EntryShape):
    """The entry asked for, and how far the chains of hashes vouch for it."""

    hash_is_right: bool = Field(description="Whether its hash follows from what is stored")
    sealed_by: int | None = Field(description="The first seal of the global chain that covers it")
    sealed_at: datetime | None
    idempotency_key: str | None = Field(description="That of its grant, where it has one")


class LotSpanShape(Shape):
    """A part of a lot's life: what the account used in it, and what of that the lot paid.

    At its start a lot pays the debt of the account. `end` null: still going on.
    """

    start: datetime
    end: datetime | None
    used: CreditsText
    paid: CreditsText
    left: CreditsText


class ExplainedLotShape(Shape):
    """The lot that an entry concerns, its terms, and what became of it.

    `burned`, `expired` and `left` are null while it waits for its hour, or once it is void.
    """

    grant_id: int
    kind: LotKind
    amount: CreditsText
    valid_from: datetime
    expires_at: datetime | None
    priority: int
    is_void: bool
    burned: CreditsText | None
    expired: CreditsText | None
    left: CreditsText | None
    spans: list[LotSpanShape]


class CalculationShape(Shape):
    """An expression to repeat by hand, its result, and the unit of that."""

    expression: str = Field(examples=["1 × 1 200 s"])
    result: str = Field(examples=["1 200"])
    unit: str = Field(examples=["server·s"])


class PointShape(Shape):
    """A raw sample: when it was measured, and its value as it was sent."""

    time: datetime
    value: str = Field(examples=["0.5", "stale"])


class ContributionShape(Shape):
    """What two neighbouring samples bring to the hour, between `start` and `end`.

    `kind` and `calculation` are null where nothing counts; `remark` says why. A delta has no
    `earlier`. `pair_count` pairs in a row may share one calculation; a gauge's labels are
    those of its earlier sample, others' those of the later one.
    """

    start: datetime
    end: datetime
    earlier: PointShape | None
    later: PointShape
    pair_count: int
    kind: UsageKindName | None
    calculation: CalculationShape | None
    steps: StepsText
    remark: str
    label_set_id: int


class LabelSetShape(Shape):
    """Labels as they were sent, the metric's own name under `__name__`."""

    id: int
    flavor: str | None
    labels: dict[str, str]


class TraceShape(Shape):
    """The raw samples behind a line of usage.

    `sample_count` are those of the series in the hour; `hidden_count` pairs of neighbours are
    left out (ask for more `pairs`); `excluded_count` samples were taken out by exclusions.
    """

    sample_count: int
    excluded_count: int
    contributions: list[ContributionShape]
    hidden_count: int
    steps: StepsText
    total: CalculationShape
    label_sets: list[LabelSetShape]


class PriceUsedShape(Shape):
    """The price that held when the hour began."""

    id: int
    credits_per_unit: NumberText
    of_flavor: bool = Field(description="false: the meter's own, for flavors without one")
    valid_from: datetime
    author: str


class CostCalculation(Shape):
    """Quantity times price: as people say it, exactly in steps, and how it was rounded."""

    in_units: str = Field(examples=["0.5 server-hour × 0.25"])
    exactly: str = Field(examples=["1 800 000 000 000 step·ms / 3 600 000 000 000 × 0.25"])
    rounding: str = Field(examples=["", "0.0833325 rounds half-even to 0.083332"])


class VerdictUsedShape(Shape):
    """Who decided about suspect or unmetered usage, and how."""

    id: int
    verdict: Verdict
    reason: str
    author: str


class LineShape(Shape):
    """What one series used of the flavor in the hour, and what that costs.

    `trace` is null where the samples were dropped, or are too many for one answer.
    """

    series_id: int
    resource: str
    identity: dict[str, str]
    kind: UsageKindName
    steps: StepsText
    quantity: str = Field(description="In `unit`; after `≈` where it had to be cut")
    unit: str
    credits: CreditsText | None
    outcome: Outcome
    price: PriceUsedShape | None
    cost: CostCalculation | None
    settlement: VerdictUsedShape | None
    trace: TraceShape | None


class EventShape(Shape):
    """What a person changed for the hour after it had begun: a price, an exclusion ..."""

    at: datetime
    what: str = Field(examples=["price 1.5 per vCPU-hour", "exclusion 3 lifted"])
    since: datetime | None
    until: datetime | None
    author: str
    reason: str


class DayLineShape(Shape):
    """What one resource used and cost in the whole day."""

    series_id: int
    resource: str
    identity: dict[str, str]
    quantity: str
    unit: str
    credits: CreditsText


class DayShape(Shape):
    """The day of an hour whose usage was dropped: its resources, and two sums that agree."""

    day: datetime
    lines: list[DayLineShape]
    line_count: int
    credits: CreditsText
    charged: CreditsText


class ChargeShape(Shape):
    """One meter and flavor in the hour: what it costs, how it was booked, what it is made of."""

    meter: str
    flavor: str | None
    charged: CreditsText
    booked: CreditsText
    open: CreditsText = Field(description="Charged and not yet booked: its part of the tally")
    entries: list[EntryShape]
    events: list[EventShape]
    line_count: int
    lines: list[LineShape]
    day: DayShape | None


class ExclusionTouchedShape(Shape):
    """An exclusion that touches the hour, and how many samples of it it covers now."""

    id: int
    meter: str | None
    series_id: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    reason: str
    author: str
    created_at: datetime
    sample_count: int
    lifted_at: datetime | None
    lift_author: str | None
    lift_reason: str | None


class ExplanationShape(Shape):
    """Everything behind an entry, or behind an hour of a project, from one snapshot.

    `problems` is empty unless stored figures do not follow from each other. Where `next` is
    set, further lines come with `after` set to it.
    """

    project: ProjectShape
    as_of: datetime
    hour: datetime
    reach: Reach
    samples_dropped_until: datetime | None
    usage_dropped_until: datetime | None
    entry: ExplainedEntryShape | None
    charges: list[ChargeShape]
    other_entries: list[EntryShape]
    lot: ExplainedLotShape | None = Field(description="The lot that the entry concerns")
    exclusions: list[ExclusionTouchedShape]
    problems: list[str]
    next: str | None
