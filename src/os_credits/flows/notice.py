"""Tells people when an account has come to a line: writes notices and whom they are for.

`check` looks at all accounts; what gives credits calls `tell_before_lift` before and `rearm`
after, in its own transaction, so that no low is missed and lines count again. What is decided
from what is told stands in `notify/thresholds.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from os_credits.domain.mail import Addressing
from os_credits.domain.notice import NoticeKind
from os_credits.domain.period import HOUR
from os_credits.domain.threshold import LineKind, Lines
from os_credits.errors import Unavailable
from os_credits.flows.threshold_rules import read_lines
from os_credits.notify.thresholds import facts_of, settled, step, young_forecast
from os_credits.store import closings, mails, notices, top_resources
from os_credits.store.balances import read_balances
from os_credits.store.forecasts import read_forecasts
from os_credits.store.notices import NewNotice
from os_credits.store.pool import connection, snapshot, transaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.balance import Balance
    from os_credits.domain.forecast import StoredForecast
    from os_credits.domain.threshold import Line, Told
    from os_credits.notify.thresholds import Facts, NoticeDraft
    from os_credits.store.pool import Connection, Pool
    from os_credits.store.top_resources import TopResource

# How many accounts are looked at in one snapshot, and how many are told of in one transaction.
PAGE_PROJECTS_MAX = 1000
TELL_PROJECTS_MAX = 100
# What a notice names of what was used most.
BURNED_LENGTH = timedelta(days=7)
BURNED_COUNT = 5


@dataclass(frozen=True, slots=True)
class Watch:
    """Which lines hold where nobody wants others, and how notices are addressed."""

    lines: Lines
    addressing: Addressing = field(default_factory=Addressing)


@dataclass(frozen=True, slots=True)
class _Seen:
    """An account and its lines in one look; `facts` is None where there is nothing to see."""

    balance: Balance
    lines: Lines
    told: Mapping[Line, Told]
    facts: Facts | None
    now: datetime

    def step(self, *, lifted: bool) -> tuple[dict[Line, Told], NoticeDraft | None]:
        """Give what of the lines changes now, and the notice to write."""
        if self.facts is None:
            return {}, None
        after, draft = step(self.lines, self.facts, self.told, self.now, lifted=lifted)
        return _changes(self.told, after), draft

    def settle(self) -> dict[Line, Told]:
        """Give what of the lines changes if all that is crossed counts as told."""
        if self.facts is None:
            return {}
        return _changes(self.told, settled(self.lines, self.facts, self.told, self.now))


async def check(pool: Pool, watch: Watch, now: datetime | None = None) -> int:
    """Write a notice for each account that has come to a line; gives how many.

    Only accounts that seem to change are locked, and looked at again under the lock: any
    number of copies writes one notice per crossing. `now` None means the database's clock. What
    fails for one account is raised once all others are told.
    """
    notice_count = 0
    after_id = 0
    failed: list[Exception] = []
    while True:
        async with snapshot(pool) as conn:
            found = await notices.list_watched(conn, after_id=after_id, limit=PAGE_PROJECTS_MAX)
            seen = await _look(conn, found, watch, now)
        moved = [one.balance.project_id for one in seen if any(one.step(lifted=False))]
        for first in range(0, len(moved), TELL_PROJECTS_MAX):
            part = moved[first : first + TELL_PROJECTS_MAX]
            notice_count += await _tell_part(pool, part, watch, now, failed)
        if len(found) < PAGE_PROJECTS_MAX:
            break
        after_id = found[-1]
    if failed:
        raise failed[0]
    return notice_count


async def _tell_part(
    pool: Pool,
    project_ids: Sequence[int],
    watch: Watch,
    now: datetime | None,
    failed: list[Exception],
) -> int:
    """Tell some accounts in one transaction; one that cannot be told keeps nobody else waiting.

    What went wrong is kept in `failed`, for when all others have been told.
    """
    try:
        async with connection(pool) as conn:
            await notices.ensure_states(conn, project_ids)
        async with transaction(pool) as conn:
            # What another copy, or a grant, holds is left to it: the next check looks again.
            held = await notices.try_lock_states(conn, project_ids)
            return await _tell(conn, held, watch, now)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one account's
        if len(project_ids) == 1:
            failed.append(error)
            return 0
        counts = [await _tell_part(pool, [one], watch, now, failed) for one in project_ids]
        return sum(counts)


async def tell_before_lift(
    conn: Connection, project_ids: Sequence[int], watch: Watch
) -> dict[int, Credits]:
    """Tell of lines that accounts have come to, before an entry lifts them; gives the balances.

    Call it in the transaction that will append the entry, under the locks of that; the lines
    stay locked to its end. `rearm` wants the answer.
    """
    await notices.lock_states(conn, project_ids)
    await _tell(conn, project_ids, watch, None)
    balances = await read_balances(conn, project_ids)
    return {project_id: balances[project_id].current for project_id in project_ids}


async def rearm(conn: Connection, before: Mapping[int, Credits], watch: Watch) -> None:
    """Arm the lines above which accounts were lifted by grants, adjustments or transfers.

    Call it in the transaction that appended the entries, after them, and in no other case: a
    correction that lifts the balance does not make its owners hear of the same line twice.
    An account that is not above what it was `before` is left alone.
    """
    seen = await _look(conn, list(before), watch, None)
    await notices.put_told(
        conn,
        {
            one.balance.project_id: one.step(lifted=True)[0]
            for one in seen
            if one.balance.current > before[one.balance.project_id]
        },
    )


async def settle(conn: Connection, project_ids: Sequence[int], watch: Watch) -> None:
    """Take the lines that are crossed now as told: an older service has said so, or should have.

    Call it in the transaction that appended a project's opening, after it; lines that the
    opening has lifted the balance above are armed.
    """
    await notices.lock_states(conn, project_ids)
    seen = await _look(conn, project_ids, watch, None)
    await notices.put_told(conn, {one.balance.project_id: one.settle() for one in seen})


async def _look(
    conn: Connection, project_ids: Sequence[int], watch: Watch, now: datetime | None
) -> list[_Seen]:
    """Read accounts and their lines; balance and what it is held against in one statement."""
    told = await notices.read_told(conn, project_ids)
    lines = await read_lines(conn, project_ids, watch.lines)
    estimated = [one for one in project_ids if _needs_forecast(lines[one], told[one])]
    forecasts = await read_forecasts(conn, estimated) if estimated else {}
    balances = await read_balances(conn, project_ids)
    seen = []
    for project_id in project_ids:
        balance = balances[project_id]
        moment = now or balance.as_of
        facts = facts_of(balance, young_forecast(forecasts.get(project_id), moment), moment)
        seen.append(_Seen(balance, lines[project_id], told[project_id], facts, moment))
    return seen


def _needs_forecast(lines: Lines, told: Mapping[Line, Told]) -> bool:
    if lines.days or lines.burn_per_day:
        return True
    return any(line.kind in (LineKind.DAYS, LineKind.BURN) for line in told)


async def _tell(
    conn: Connection, project_ids: Sequence[int], watch: Watch, now: datetime | None
) -> int:
    """Write the notices of accounts whose lines are locked, and what is told now; gives how many.

    Closed projects are not told of lines.
    """
    closed = await closings.list_closed(conn, project_ids)
    still_open = [project_id for project_id in project_ids if project_id not in closed]
    changes, drafts = {}, []
    for one in await _look(conn, still_open, watch, now):
        changes[one.balance.project_id], draft = one.step(lifted=False)
        if draft is not None:
            drafts.append((one, draft))
    await notices.put_told(conn, changes)
    if drafts:
        await _write(conn, drafts, watch.addressing)
    return len(drafts)


async def _write(
    conn: Connection, drafts: Sequence[tuple[_Seen, NoticeDraft]], addressing: Addressing
) -> None:
    project_ids = [one.balance.project_id for one, _ in drafts]
    now = drafts[0][0].now
    # Samples may be a little ahead of the clock.
    burned = await top_resources.list_top_resources(
        conn, project_ids, start=now - BURNED_LENGTH, end=now + HOUR, count=BURNED_COUNT
    )
    forecasts = await read_forecasts(conn, project_ids)
    written = []
    for one, draft in drafts:
        number = one.balance.project_id
        forecast = young_forecast(forecasts.get(number), now)
        written.append(_new_notice(one, draft, burned.get(number, []), forecast))
    notice_ids = await notices.insert_notices(conn, written)
    await mails.insert_mails(conn, notice_ids=notice_ids, due_at=now, addressing=addressing)


def _new_notice(
    seen: _Seen,
    draft: NoticeDraft,
    burned: Sequence[TopResource],
    forecast: StoredForecast | None,
) -> NewNotice:
    return NewNotice(
        project_id=seen.balance.project_id,
        kind=NoticeKind(draft.line.kind.value),
        line=draft.line.value,
        from_line=draft.from_line,
        value=draft.value,
        balance=seen.balance.current,
        granted=seen.balance.granted_now,
        created_at=seen.now,
        facts={
            "burned": [
                {
                    "resource": one.resource,
                    "meter": one.meter,
                    "flavor": one.flavor,
                    "credits": f"{one.credits:.6f}",
                }
                for one in burned
            ],
            "forecast": None if forecast is None else _forecast_facts(forecast),
            "also": [{"kind": line.kind.value, "line": f"{line.value:f}"} for line in draft.also],
        },
    )


def _forecast_facts(forecast: StoredForecast) -> dict[str, Any]:
    return {
        "state": forecast.state,
        **{
            name: None if moment is None else moment.isoformat()
            for name, moment in (
                ("p10", forecast.p10),
                ("p50", forecast.p50),
                ("p90", forecast.p90),
            )
        },
        "needs_days": forecast.needs_days,
        "burn_per_day": f"{forecast.burn_per_day:.6f}",
    }


def _changes(before: Mapping[Line, Told], after: Mapping[Line, Told]) -> dict[Line, Told]:
    return {line: state for line, state in after.items() if before.get(line) != state}
