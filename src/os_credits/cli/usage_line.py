"""Draws a line of usage: its price and cost, and the samples behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.text import Text

from os_credits.cli.drawing import FAINT, credits_text, joined, new_grid, since_text
from os_credits.domain.explanation import (
    Contribution,
    Cost,
    ExplainedCharge,
    Outcome,
    Pair,
    Reach,
    Trace,
    UsageLine,
)
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import from_ms, to_ms
from os_credits.domain.price import Price
from os_credits.domain.text import legible
from os_credits.domain.usage import UsageKind
from os_credits.rating.formula import number

EXPRESSION_WIDTH_MAX = 44
_WHY = {
    Outcome.NOT_BILLED: "costs nothing: the whitelist of this hour leaves the project out",
    Outcome.WAIVED: "costs nothing: it was waived",
    Outcome.UNPRICED: "no price holds in this hour: kept, and charged once there is one",
    Outcome.ABSURD: "would cost more than 10^15 credits: not charged, since it cannot be true",
    Outcome.OPEN: "not charged: nobody has decided about it yet (os-credits settle)",
}


def line_head(usage: UsageLine, definition: MeterDefinition) -> Text:
    """Name the resource, what it used, and what that costs."""
    identity = " ".join(f"{name}={value}" for name, value in usage.identity.items())
    name = "  ".join(filter(None, (usage.resource, identity))) or "all of the project"
    text = joined((name, "bold"), f"  {usage.units} {definition.priced_unit}")
    if usage.kind is not UsageKind.BILLED:
        text.append(f"  {usage.kind.name.lower()}", "yellow")
    if usage.credits is not None:
        text.append(f"   {credits_text(usage.credits)} credits", "bold")
    return text


def line_parts(usage: UsageLine, charge: ExplainedCharge, reach: Reach) -> Iterator[RenderableType]:
    """Give what stands below it: the verdict, the cost, the samples."""
    if usage.settlement is not None:
        one = usage.settlement
        yield joined(
            ("verdict  ", FAINT),
            f"{one.verdict} by {one.author}: {one.reason} (settlement {one.id})",
        )
    if usage.cost is not None and usage.price is not None:
        yield _cost(usage, usage.cost, usage.price, charge)
    else:
        yield Text(_WHY[usage.outcome], "yellow")
    if usage.trace is not None:
        yield _trace(usage.trace, usage, charge)
    elif reach is Reach.SAMPLES:
        yield Text("too many samples to be told here; show fewer series at once (--limit)", FAINT)
    else:
        yield Text(
            "samples of this hour were dropped after their time; usage is what is kept", FAINT
        )


def _cost(usage: UsageLine, cost: Cost, price: Price, charge: ExplainedCharge) -> RenderableType:
    grid = new_grid("", "~")
    result = "nothing" if usage.credits is None else credits_text(usage.credits)
    grid.add_row(Text("cost", FAINT), joined(f"{cost.in_units} = ", (result, "bold")))
    grid.add_row("", joined(f"{cost.exactly} = {result}"))
    if cost.rounding:
        grid.add_row("", joined((cost.rounding, FAINT)))
    whose = f"of {charge.flavor}" if price.flavor_id is not None else "of the meter"
    grid.add_row(
        Text("price", FAINT),
        joined(
            f"{number(price.credits_per_unit or 0)} per {charge.meter.priced_unit}",
            (f"  {whose}, price {price.id}, from {since_text(price.valid_from)}", FAINT),
            (f", by {price.author}", FAINT),
        ),
    )
    return grid


def _trace(trace: Trace, usage: UsageLine, charge: ExplainedCharge) -> RenderableType:
    grid = new_grid("", "~", ">", "")
    grid.columns[1].max_width = EXPRESSION_WIDTH_MAX
    for one in trace.contributions:
        grid.add_row(*_contribution(one, to_ms(charge.hour)))
    if trace.hidden_count:
        grid.add_row(Text(f"and {trace.hidden_count} pairs more", FAINT), "", "", "")
    agrees = trace.quantity == usage.quantity
    mark = (", as stored", "green") if agrees else (", but it differs", "bold red")
    grid.add_row(
        Text.assemble(("sum", "bold"), mark),
        trace.total.expression,
        joined((_equals(trace.total.result), "bold")),
        charge.meter.priced_unit,
    )
    heading = joined(("samples", "bold"))
    heading.append(f"  {number(trace.sample_count)} in this hour", FAINT)
    if trace.excluded_count:
        heading.append(f", {number(trace.excluded_count)} more are excluded", "yellow")
    labels = new_grid("", "~")
    for sent in trace.label_sets:
        labels.add_row(Text("labels", FAINT), Text(_labels(sent.labels), FAINT))
    return Group(heading, grid, labels)


def _labels(labels: Mapping[str, str]) -> str:
    return legible(
        " ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__")
    )


def _contribution(told: Contribution, hour_ms: int) -> tuple[RenderableType, ...]:
    pair, remarks = told.pair, [told.remark] if told.remark else []
    span = _clock(pair.start_ms, hour_ms)
    if pair.earlier is not None:
        span += f" → {_clock(pair.end_ms, hour_ms)}"
        remarks += _edges(pair, hour_ms)
    if told.formula is None:
        return Text(span, FAINT), joined(("; ".join(remarks), FAINT)), "", ""
    expression = joined(told.formula.expression)
    if remarks:
        expression.append("\n").append(joined(("; ".join(remarks), FAINT)))
    return span, expression, _equals(told.formula.result), told.formula.unit


def _equals(result: str) -> str:
    return result if result.startswith("≈") else f"= {result}"


def _edges(pair: Pair, hour_ms: int) -> Iterator[str]:
    """Say where samples lie that reach into the hour from outside it."""
    if pair.earlier is not None and pair.earlier.time_ms < pair.start_ms:
        yield f"since the sample of {_clock(pair.earlier.time_ms, hour_ms)}"
    if pair.later.time_ms > pair.end_ms:
        yield f"until the sample of {_clock(pair.later.time_ms, hour_ms)}"


def _clock(ms: int, hour_ms: int) -> str:
    """Write a time of day, with its date where that is another one, to the millisecond."""
    moment, hour = from_ms(ms), from_ms(hour_ms)
    text = f"{moment:%H:%M:%S}" + (f".{ms % 1000:03d}" if ms % 1000 else "")
    near = hour.date() == moment.date() or moment == hour + timedelta(hours=1)
    return text if near else f"{moment:%Y-%m-%d} {text}"
