"""Settles suspect and unmetered usage: a person says that it is to be billed, or waived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.period import full_hour
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import Change, reprice
from os_credits.store import rating_state, retention, series, settlements
from os_credits.store.pool import Pool, previewed
from os_credits.store.usage import Chosen

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.settlement import Verdict
    from os_credits.domain.usage import UsageKind


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
    """A settlement's id (None for a preview), and what it changed."""

    settlement_id: int | None
    change: Change


async def settle(pool: Pool, request: SettlementRequest, *, preview: bool = False) -> Settled:
    """Store a verdict and charge, or stop charging, what it concerns.

    It holds for usage that is found in its hours later, too. With `preview`, nothing is kept.
    Raises InvalidInput for hours that are none, or whose usage is no longer kept, NotFound for
    a series that is not the project's.
    """
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
    return Settled(None if preview else settlement_id, change)
