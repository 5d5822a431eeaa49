"""Settles suspect and unmetered usage: a person says that it is to be billed, or waived."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import groupby
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro, to_micro
from os_credits.domain.period import HOUR, full_hour, to_ms
from os_credits.domain.usage import UsageKind
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.effect import Effect, checked
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import Change, reprice
from os_credits.rating.charge import credits_of_usage
from os_credits.store import projects, rating_state, retention, series, settlements
from os_credits.store.pool import Pool, previewed
from os_credits.store.usage import Chosen
from os_credits.store.usage_reads import (
    ResourceUsage,
    Unpriced,
    list_open_usage,
    list_open_usage_of,
    list_unsettled_series,
    sum_unpriced,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.pricing import Pricing
    from os_credits.domain.settlement import Settlement, Verdict
    from os_credits.store.pool import Connection


# How many rows of usage without a price are looked at.
UNPRICED_ROWS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class SettlementRequest:
    """A verdict on one kind of a project's usage, from the first hour up to before the end.

    `meter_id` and `series_id` narrow it where given.
    """

    project_id: int
    kind: UsageKind
    first_hour: datetime
    end_hour: datetime
    verdict: Verdict
    reason: str
    author: str
    meter_id: int | None = None
    series_id: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A settlement's id (None for a preview), and what it changed.

    `effect` stands for that, for a call that is to have just this one; `is_new` is false where
    such a call had settled it before.
    """

    settlement_id: int | None
    change: Change
    effect: str
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Suspect or unmetered usage of one series and flavor that nobody has decided about.

    `project_id` names whose it is.
    `quantity` is in the meter's smallest steps; `credits_if_billed` is None where an hour of it
    has no price.
    """

    project_id: int
    kind: UsageKind
    series_id: int
    meter_id: int
    flavor_id: int
    resource: str
    identity: Mapping[str, str]
    first_hour: datetime
    end_hour: datetime
    hour_count: int
    quantity: int
    credits_if_billed: Credits | None


async def list_unsettled(conn: Connection, project_id: int) -> list[Unsettled]:
    """Give what waits for a verdict, and what it would cost if it were billed."""
    pricing = await read_pricing(conn)
    names = (await projects.names_of(conn, [project_id]))[project_id]
    rows = await list_open_usage(conn, project_id)
    return [
        _unsettled(list(of_series), project_id, pricing, names)
        for _, of_series in groupby(rows, lambda one: (one.place[1], one.flavor_id, one.kind))
    ]


async def list_all_unsettled(
    conn: Connection, *, after_series_id: int, limit: int
) -> tuple[list[Unsettled], int | None]:
    """Give what waits for a verdict in all projects, by series; `limit` series at once.

    Gives also the series after which the next page begins, None where there is none.
    """
    ids = await list_unsettled_series(conn, after_id=after_series_id, limit=limit + 1)
    shown, is_more = ids[:limit], len(ids) > limit
    if not shown:
        return [], None
    rows = await list_open_usage_of(conn, shown)
    pricing = await read_pricing(conn)
    names = await projects.names_of(conn, sorted({project_id for project_id, _ in rows}))
    found = [
        _unsettled([one for _, one in of_series], project_id, pricing, names[project_id])
        for (project_id, *_), of_series in (
            (key, list(group))
            for key, group in groupby(
                rows, lambda row: (row[0], row[1].place[1], row[1].flavor_id, row[1].kind)
            )
        )
    ]
    return found, shown[-1] if is_more else None


@dataclass(frozen=True, slots=True)
class UnpricedUsage:
    """Usage without a price, by meter and flavor; `is_all` False: there may be more of it."""

    sums: tuple[Unpriced, ...]
    is_all: bool


async def read_unpriced(conn: Connection) -> UnpricedUsage:
    """Sum usage that was metered and has no price; a bounded look, which says if it was cut."""
    sums = await sum_unpriced(conn, rows_max=UNPRICED_ROWS_MAX)
    return UnpricedUsage(tuple(sums), sum(one.row_count for one in sums) < UNPRICED_ROWS_MAX)


def _unsettled(
    rows: list[ResourceUsage], project_id: int, pricing: Pricing, names: tuple[str, ...]
) -> Unsettled:
    first = rows[0]
    costs = [
        credits_of_usage(
            pricing,
            project_id=project_id,
            meter_id=one.meter_id,
            series_id=one.place[1],
            flavor_id=one.flavor_id,
            hour_ms=to_ms(one.hour),
            kind=UsageKind.BILLED,
            quantity=one.quantity,
            project_names=names,
        )
        for one in rows
    ]
    known = [to_micro(cost) for cost in costs if cost is not None]
    return Unsettled(
        project_id=project_id,
        kind=first.kind,
        series_id=first.place[1],
        meter_id=first.meter_id,
        flavor_id=first.flavor_id,
        resource=first.resource,
        identity=first.identity,
        first_hour=first.hour,
        end_hour=rows[-1].hour + HOUR,
        hour_count=len(rows),
        quantity=sum(one.quantity for one in rows),
        credits_if_billed=from_micro(sum(known)) if len(known) == len(costs) else None,
    )


async def settle(
    pool: Pool, request: SettlementRequest, *, preview: bool = False, effect: str | None = None
) -> Settled:
    """Store a verdict and charge, or stop charging, what it concerns.

    It holds for usage that is found in its hours later, too. With `preview`, nothing is kept;
    with `effect`, as a preview gave it, it is settled once, and only if it still has that effect.
    Raises Conflict else, InvalidInput for hours that are none, or whose usage is no longer kept,
    NotFound for a series that is not the project's.
    """
    asked = Effect.read(effect)
    first = full_hour(request.first_hour, where="first_hour")
    end = full_hour(request.end_hour, where="end_hour")
    if first >= end:
        raise InvalidInput("must be after the first hour", where="end_hour")
    async with previewed(pool, preview=preview) as conn:
        await rating_state.lock(conn)
        kept_from = (await retention.read_retention(conn)).usage_dropped_until
        if first < kept_from:
            raise InvalidInput(
                f"usage before {kept_from:%Y-%m-%dT%H:%MZ} is no longer kept", where="first_hour"
            )
        if request.series_id is not None and not await series.list_series_of_project(
            conn, request.project_id, meter_id=request.meter_id, series_id=request.series_id
        ):
            raise NotFound(f"there is no series {request.series_id} of this project and meter")
        before = await settlements.list_settlements(conn, request.project_id)
        last_id = max((one.id for one in before), default=0)
        if asked is not None and asked.last_id != last_id:
            return _settled_before(before, asked, request)
        settlement_id = await settlements.insert_settlement(
            conn,
            project_id=request.project_id,
            meter_id=request.meter_id,
            series_id=request.series_id,
            kind=request.kind,
            first_hour=first,
            end_hour=end,
            verdict=request.verdict,
            reason=request.reason,
            author=request.author,
        )
        await rating_state.raise_epoch(conn)
        chosen = Chosen(
            first,
            meter_id=request.meter_id,
            project_id=request.project_id,
            series_id=request.series_id,
            end=end,
        )
        change = await reprice(conn, chosen, await read_pricing(conn))
        seen = await checked(conn, change, last_id, asked)
    return Settled(None if preview else settlement_id, change, str(seen))


def _settled_before(
    known: Sequence[Settlement], asked: Effect, request: SettlementRequest
) -> Settled:
    """Give what a repetition of the same call finds; raises Conflict if others have settled."""
    names = tuple(one.name for one in fields(SettlementRequest))
    later = [one for one in known if one.id > asked.last_id]
    if [[getattr(one, name) for name in names] for one in later] != [
        [getattr(request, name) for name in names]
    ]:
        raise Conflict("something else of this project was settled since the preview")
    return Settled(later[0].id, Change(), str(asked), is_new=False)
