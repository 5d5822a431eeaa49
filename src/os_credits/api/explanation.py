"""Shapes an explanation as JSON."""

from __future__ import annotations

from os_credits.api.explain_shapes import (
    CalculationShape,
    ChargeShape,
    ContributionShape,
    CostCalculation,
    DayLineShape,
    DayShape,
    EventShape,
    ExclusionTouchedShape,
    ExplainedEntryShape,
    ExplainedLotShape,
    ExplanationShape,
    LabelSetShape,
    LineShape,
    LotSpanShape,
    PointShape,
    PriceUsedShape,
    TraceShape,
    VerdictUsedShape,
)
from os_credits.api.names import Names
from os_credits.api.read import entry_shape
from os_credits.api.shapes import ProjectShape
from os_credits.domain.amount import from_micro
from os_credits.domain.explanation import (
    Contribution,
    DayAccount,
    ExplainedCharge,
    ExplainedEntry,
    ExplainedLot,
    Explanation,
    LinePlace,
    Point,
    Trace,
    UsageLine,
)
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import from_ms


def shape_of(told: Explanation, names: Names) -> ExplanationShape:
    """Shape an explanation; `names` are of the same snapshot."""
    return ExplanationShape(
        project=ProjectShape.model_validate(told.project),
        as_of=told.as_of,
        hour=told.hour,
        reach=told.reach,
        samples_dropped_until=told.samples_dropped_until,
        usage_dropped_until=told.usage_dropped_until,
        entry=None if told.entry is None else _entry(told.entry, names),
        charges=[_charge(one, names) for one in told.charges],
        other_entries=[entry_shape(id_, entry, names) for id_, entry in told.other_entries],
        lot=None if told.lot is None else _lot(told.lot),
        exclusions=[ExclusionTouchedShape.model_validate(one) for one in told.exclusions],
        problems=list(told.problems),
        next=None if told.next_place is None else text_of(told.next_place),
    )


def text_of(place: LinePlace) -> str:
    """Write the place of a line as the parameter `after` takes it."""
    return ".".join(map(str, place))


def _entry(told: ExplainedEntry, names: Names) -> ExplainedEntryShape:
    return ExplainedEntryShape(
        **dict(entry_shape(told.id, told.entry, names)),
        hash_is_right=told.is_hash_right,
        sealed_by=None if told.seal is None else told.seal.id,
        sealed_at=None if told.seal is None else told.seal.sealed_at,
        idempotency_key=told.idempotency_key,
    )


def _lot(told: ExplainedLot) -> ExplainedLotShape:
    grant, state = told.grant, told.state
    return ExplainedLotShape(
        grant_id=grant.id,
        kind=grant.kind,
        amount=grant.amount,
        valid_from=grant.valid_from,
        expires_at=grant.expires_at,
        priority=grant.priority,
        is_void=grant.is_void,
        burned=None if state is None else from_micro(state.burned_micro),
        expired=None if state is None else from_micro(state.expired_micro),
        left=None if state is None else from_micro(state.left_micro),
        spans=[
            LotSpanShape(
                start=span.start,
                end=span.end,
                used=from_micro(span.used_micro),
                paid=from_micro(span.paid_micro),
                left=from_micro(span.left_micro),
            )
            for span in told.spans
        ],
    )


def _charge(charge: ExplainedCharge, names: Names) -> ChargeShape:
    return ChargeShape(
        meter=charge.meter.name,
        flavor=charge.flavor or None,
        charged=charge.charged,
        booked=charge.booked,
        open=charge.open_difference,
        entries=[entry_shape(id_, entry, names) for id_, entry in charge.entries],
        events=[EventShape.model_validate(one) for one in charge.events],
        line_count=charge.line_count,
        lines=[_line(one, charge.meter) for one in charge.lines],
        day=None if charge.day is None else _day(charge.day, charge.meter),
    )


def _line(line: UsageLine, definition: MeterDefinition) -> LineShape:
    price = line.price
    used = None
    if price is not None and price.credits_per_unit is not None:
        used = PriceUsedShape(
            id=price.id,
            credits_per_unit=price.credits_per_unit,
            of_flavor=price.flavor_id is not None,
            valid_from=price.valid_from,
            author=price.author,
        )
    return LineShape(
        series_id=line.series_id,
        resource=line.resource,
        identity=dict(line.identity),
        kind=line.kind.name.lower(),
        steps=line.quantity,
        quantity=line.units,
        unit=definition.priced_unit,
        credits=line.credits,
        outcome=line.outcome,
        price=used,
        cost=None if line.cost is None else CostCalculation.model_validate(line.cost),
        settlement=None
        if line.settlement is None
        else VerdictUsedShape.model_validate(line.settlement),
        trace=None if line.trace is None else _trace(line.trace),
    )


def _trace(trace: Trace) -> TraceShape:
    return TraceShape(
        sample_count=trace.sample_count,
        excluded_count=trace.excluded_count,
        contributions=[_contribution(one) for one in trace.contributions],
        hidden_count=trace.hidden_count,
        steps=trace.quantity,
        total=CalculationShape.model_validate(trace.total),
        label_sets=[
            LabelSetShape(id=one.id, flavor=one.flavor or None, labels=dict(one.labels))
            for one in trace.label_sets
        ],
    )


def _contribution(told: Contribution) -> ContributionShape:
    pair = told.pair
    return ContributionShape(
        start=from_ms(pair.start_ms),
        end=from_ms(pair.end_ms),
        earlier=None if pair.earlier is None else _point(pair.earlier),
        later=_point(pair.later),
        pair_count=pair.pair_count,
        kind=None if pair.kind is None else pair.kind.name.lower(),
        calculation=None if told.formula is None else CalculationShape.model_validate(told.formula),
        steps=pair.quantity,
        remark=told.remark,
        label_set_id=pair.label_set_id,
    )


def _point(point: Point) -> PointShape:
    return PointShape(time=from_ms(point.time_ms), value=point.value)


def _day(day: DayAccount, definition: MeterDefinition) -> DayShape:
    return DayShape(
        day=day.day,
        lines=[
            DayLineShape(
                series_id=one.series_id,
                resource=one.resource,
                identity=dict(one.identity),
                quantity=one.units,
                unit=definition.priced_unit,
                credits=one.credits,
            )
            for one in day.lines
        ],
        line_count=day.line_count,
        credits=day.daily,
        charged=day.charged,
    )
