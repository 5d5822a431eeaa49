"""Works out when credits run out, from each account's own past; keeps the answers for readers.

Table `forecast` is a cache. Any number of copies may run the job: one at a time works, and what
it stores is worked out from one snapshot. An account whose credits or terms have changed since
is worked out anew by whoever asks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from os_credits.domain.allowance import next_month
from os_credits.domain.amount import credits_of, from_micro, to_micro
from os_credits.domain.forecast import StoredForecast
from os_credits.domain.lot import Lot
from os_credits.domain.period import floor_hour
from os_credits.flows.burn import read_burned
from os_credits.forecast.credit import Credit
from os_credits.forecast.history import CREDITS_PER_HOUR_MAX, DAY_HOURS, HISTORY_DAYS_MAX, History
from os_credits.forecast.paths import HORIZON_DAYS
from os_credits.forecast.run_out import forecast
from os_credits.forecast.without import without
from os_credits.store import allowances, closings, forecast_inputs, forecasts
from os_credits.store.balances import read_balances
from os_credits.store.pool import Pool, snapshot, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from os_credits.domain.allowance import Allowance
    from os_credits.domain.balance import Balance
    from os_credits.domain.lot import Burned
    from os_credits.store.forecast_inputs import CostlyResource, HourlyCredits
    from os_credits.store.pool import Connection

# How many accounts one run works out, and how many of them are read at once.
PROJECTS_MAX = 200
PAGE_PROJECTS_MAX = 25
DAY = timedelta(days=1)
# An account with new bookings is worked out once in this time, any other one at the second.
CHANGED_AFTER = timedelta(hours=1)
RENEWED_AFTER = timedelta(hours=6)
# An hour counts as past once its samples have had the time to come.
SETTLING = timedelta(minutes=15)
# Of the resources that ran in the last hours, those that cost most in a day: two are left out.
RESOURCES_MAX = 4
COSTLY_LENGTH = timedelta(days=1)
RUNNING_LENGTH = timedelta(hours=3)
# How many grants to come a forecast tells of, the next ones.
COMING_MAX = 30
# State of a forecast that could not be worked out; the log says why.
FAILED = "failed"

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Question:
    """All that one account's forecast is made of; `parts` are what its top resources used."""

    balance: Balance
    credit: Credit
    history: History
    parts: tuple[tuple[CostlyResource, NDArray[np.float64]], ...]


async def run(pool: Pool) -> int:
    """Work out forecasts that are missing or old, at most `PROJECTS_MAX`; gives how many.

    Where another copy is at it, nothing is done.
    """
    made = 0
    while made < PROJECTS_MAX:
        count = await _run_page(pool)
        made += count
        if count < PAGE_PROJECTS_MAX:
            break
    return made


async def _run_page(pool: Pool) -> int:
    async with snapshot(pool) as conn:
        if not await forecasts.try_claim(conn):
            return 0
        due = await forecasts.list_due(
            conn,
            changed_after=CHANGED_AFTER,
            renewed_after=RENEWED_AFTER,
            limit=PAGE_PROJECTS_MAX,
        )
        if not due:
            return 0
        questions = await _read(conn, due)
        # Beside the event loop; the snapshot stays open, since with it the claim ends.
        answers = await asyncio.to_thread(lambda: list(map(_answer, questions)))
        async with transaction(pool) as writing:
            await forecasts.put_forecasts(writing, answers)
    return len(due)


async def read_forecast(conn: Connection, project_id: int) -> StoredForecast:
    """Give a project's forecast, worked out now if none is kept that still holds.

    The connection must be a `store.pool.snapshot`.
    """
    kept = (await forecasts.read_forecasts(conn, [project_id])).get(project_id)
    if kept is not None and not await forecasts.list_due(
        conn,
        among=[project_id],
        changed_after=RENEWED_AFTER,
        renewed_after=RENEWED_AFTER,
        limit=1,
    ):
        return kept
    [question] = await _read(conn, [project_id])
    return await asyncio.to_thread(_answer, question)


async def read_credit(conn: Connection, balance: Balance) -> Credit:
    """Give what a project has left and is yet to get; the connection is a snapshot."""
    project_id = balance.project_id
    lots_of = await _read_lots(conn, [project_id], balance.as_of)
    return Credit(balance.current, tuple(lots_of[project_id]))


async def _read(conn: Connection, project_ids: Sequence[int]) -> list[_Question]:
    """Read what the forecasts of these projects are made of; the connection is a snapshot."""
    balances = await read_balances(conn, project_ids)
    now = next(iter(balances.values())).as_of
    end = floor_hour(now - SETTLING)
    start = end - timedelta(days=HISTORY_DAYS_MAX)
    lots_of = await _read_lots(conn, project_ids, now)
    charged = await forecast_inputs.sum_hourly_charges(conn, project_ids, start=start, end=end)
    tops = await forecast_inputs.list_costly_resources(
        conn,
        project_ids,
        start=end - COSTLY_LENGTH,
        end=end,
        used_since=end - RUNNING_LENGTH,
        count=RESOURCES_MAX,
    )
    of_tops = await forecast_inputs.sum_hourly_of_resources(conn, tops, start=start, end=end)
    return [
        _Question(
            balance=balances[project_id],
            credit=Credit(balances[project_id].current, tuple(lots_of[project_id])),
            history=History(end, _row_of(charged.get(project_id))),
            parts=tuple(
                (one, _row_of(of_tops.get((project_id, one.resource))))
                for one in tops
                if one.project_id == project_id
            ),
        )
        for project_id in project_ids
    ]


def _row_of(used: HourlyCredits | None) -> NDArray[np.float64]:
    """Give each hour of the history its credits, within what a forecast can take."""
    row = np.zeros(HISTORY_DAYS_MAX * DAY_HOURS)
    if used is not None:
        row[np.array(used.hours, np.int64)] = used.credits
    return np.asarray(np.clip(row, 0, CREDITS_PER_HOUR_MAX))


async def _read_lots(
    conn: Connection, project_ids: Sequence[int], now: datetime
) -> dict[int, list[Lot]]:
    """Give what is left of lots, those that wait for their hour, and months of allowances."""
    found: dict[int, list[Lot]] = {project_id: [] for project_id in project_ids}
    burned = await read_burned(conn, project_ids, now)
    for project_id, of_project in burned.items():
        found[project_id] += _left(of_project)
    for project_id, waiting in (await forecast_inputs.read_waiting_lots(conn, project_ids)).items():
        found[project_id] += waiting
    closed = await closings.list_closed(conn, project_ids)
    for allowance in await allowances.list_allowances(conn, project_ids):
        if allowance.project_id not in closed:
            found[allowance.project_id] += _months(allowance, now + timedelta(days=HORIZON_DAYS))
    return found


def _left(burned: Burned) -> Iterator[Lot]:
    return (replace(one.lot, micro=one.left_micro) for one in burned.states if one.left_micro)


def _months(allowance: Allowance, until: datetime) -> Iterator[Lot]:
    """Give the lots that an allowance is yet to give; their ids are of none that is stored."""
    month, last = allowance.granted_until, min(allowance.end_month or until, until)
    number = -1
    while month < last:
        following = next_month(month)
        expires_at = None if allowance.carries_over else following
        yield Lot(number, to_micro(allowance.amount), month, expires_at, allowance.priority)
        month, number = following, number - 1


def _answer(question: _Question) -> StoredForecast:
    """Work out one forecast; what goes wrong is told, and stops no other."""
    try:
        found = forecast(question.history, question.credit, question.balance.as_of)
        told = [] if found.p50 is None else _without(question)
        burn = credits_of(f"{found.burn_per_day:.6f}")
    except Exception:
        log.exception("failed", action="forecast", project_id=question.balance.project_id)
        found, told, burn = None, [], from_micro(0)
    return StoredForecast(
        project_id=question.balance.project_id,
        computed_at=question.balance.as_of,
        state=FAILED if found is None else found.state.value,
        needs_days=0 if found is None else found.needs_days,
        p10=None if found is None else found.p10,
        p50=None if found is None else found.p50,
        p90=None if found is None else found.p90,
        burn_per_day=burn,
        facts={
            "balance": str(question.balance.current),
            "without": told,
            "coming": _coming(question),
        },
    )


def _without(question: _Question) -> list[dict[str, Any]]:
    """Say what leaving out resources brings: `days` is None where credits then last for good."""
    known = {one.resource: one for one, _ in question.parts}
    rows = {one.resource: row for one, row in question.parts}
    told = []
    for saving in without(question.history, question.credit, question.balance.as_of, rows):
        days = None if saving.days is None else round(saving.days)
        if days != 0:
            resources = [
                {"resource": name, "meter": known[name].meter, "flavor": known[name].flavor}
                for name in saving.names
            ]
            told.append({"resources": resources, "days": None if days is None else f"{days:+d}"})
    return told


def _coming(question: _Question) -> list[dict[str, str]]:
    """Say which credits are to come, the next ones first."""
    now = question.balance.as_of
    coming = sorted(
        (lot for lot in question.credit.lots if lot.valid_from > now),
        key=lambda lot: (lot.valid_from, lot.place),
    )
    return [
        {"at": lot.valid_from.isoformat(), "credits": str(from_micro(lot.micro))}
        for lot in coming[:COMING_MAX]
    ]
