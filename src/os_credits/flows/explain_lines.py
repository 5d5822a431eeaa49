"""Explains rows of usage: price, outcome, and the raw samples behind each, while they are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from os_credits.domain.explanation import Outcome, Reach, UsageLine
from os_credits.domain.meter import MeterKind
from os_credits.domain.period import to_ms
from os_credits.domain.usage import UsageKind
from os_credits.flows.explain_samples import read_traces
from os_credits.rating.formula import cost_of, number, quantity_text
from os_credits.rating.outcome import MeteredHour, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.explanation import LinePlace, Trace
    from os_credits.domain.meter import MeterDefinition
    from os_credits.flows.explain_samples import Ground, View
    from os_credits.store.explanations import HourScope, StoredLine
    from os_credits.store.pool import Connection

DIFFERS = "os-credits verify tells more"


async def explain_lines(
    conn: Connection, scope: HourScope, stored: Sequence[StoredLine], ground: Ground, view: View
) -> dict[LinePlace, UsageLine]:
    """Explain rows of usage of one hour, down to the samples if they are kept."""
    lines = {one.place: _line(one, scope, ground) for one in stored}
    if ground.reach is not Reach.SAMPLES or not lines:
        return lines
    traces = await read_traces(conn, scope, list(lines), ground, view)
    return {
        place: _with_trace(line, traces[place], ground.pricing.meters.latest(place[0]))
        for place, line in lines.items()
    }


def _line(stored: StoredLine, scope: HourScope, ground: Ground) -> UsageLine:
    meter_id, flavor_id, series_id, kind = stored.place
    definition = ground.pricing.meters.latest(meter_id)
    judged = judge(
        ground.pricing,
        MeteredHour(
            project_id=scope.project_id,
            project_names=ground.project_names,
            meter_id=meter_id,
            series_id=series_id,
            flavor_id=flavor_id,
            hour_ms=to_ms(scope.hour),
            kind=UsageKind(kind),
            quantity=stored.quantity,
        ),
    )
    cost = None
    if judged.outcome is Outcome.PRICED and judged.price and judged.credits is not None:
        per_unit = judged.price.credits_per_unit
        assert per_unit is not None  # noqa: S101 - PriceList.at gives no other
        cost = cost_of(stored.quantity, per_unit, definition, judged.credits)
    problems: tuple[str, ...] = ()
    if judged.credits != stored.credits:
        problem = (
            f"series {series_id}: it must cost {_shown(judged.credits)}, "
            f"but {_shown(stored.credits)} is stored; {DIFFERS}"
        )
        problems = (problem,)
    return UsageLine(
        series_id=series_id,
        resource=stored.resource,
        identity=stored.identity,
        kind=UsageKind(kind),
        quantity=stored.quantity,
        units=quantity_text(stored.quantity, definition),
        credits=stored.credits,
        outcome=judged.outcome,
        price=judged.price,
        cost=cost,
        settlement=judged.settlement,
        problems=problems,
    )


def _shown(amount: object) -> str:
    return "nothing" if amount is None else f"{amount} credits"


def _with_trace(line: UsageLine, found: Trace | None, definition: MeterDefinition) -> UsageLine:
    if found is None or found.quantity == line.quantity:
        return replace(line, trace=found)
    steps = "step·ms" if definition.kind is MeterKind.GAUGE else "steps"
    problem = (
        f"series {line.series_id}: its samples add up to {number(found.quantity)} {steps}, "
        f"but {number(line.quantity)} are stored; {DIFFERS}"
    )
    return replace(line, trace=found, problems=(*line.problems, problem))
