"""Tries lines on the past: which notices and mails would they have caused? Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.amount import credits_of, to_micro
from os_credits.domain.notice import NoticeKind
from os_credits.domain.period import HOUR, floor_hour
from os_credits.errors import InvalidInput
from os_credits.flows.threshold_rules import effective, read_lines, read_project_lines
from os_credits.forecast.credit import Credit
from os_credits.forecast.history import CREDITS_PER_HOUR_MAX, History
from os_credits.forecast.run_out import State, forecast
from os_credits.notify.replay import HourChange, PastAccount, replay
from os_credits.notify.thresholds import NEVER, days_between
from os_credits.store import batches, forecast_inputs, notices, past_changes, people, projects
from os_credits.store.balances import read_balances
from os_credits.store.pool import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from os_credits.domain.amount import Credits
    from os_credits.domain.balance import Balance
    from os_credits.domain.person import Person
    from os_credits.domain.project import Project
    from os_credits.domain.threshold import LineRule, Lines
    from os_credits.notify.replay import Estimate, PastNotice
    from os_credits.store.forecast_inputs import HourlyCredits
    from os_credits.store.past_changes import PastChange
    from os_credits.store.pool import Connection, Pool

# How many accounts are read at once; each page is one snapshot.
PAGE_PROJECTS_MAX = 100
DAYS_MAX = 366
# A forecast for each past day is worked out anew, which takes seconds for each account.
FORECAST_PROJECTS_MAX = 200
# How many days of usage the first of these forecasts looks back at.
LOOK_BACK = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class PreviewNotice:
    """A notice that would have been written, and how many people would have heard at once."""

    project: Project
    notice: PastNotice
    mail_count: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What lines would have caused: notices by time, mails, and digests of several notices.

    `left_out_count` accounts were tried without their lines of days and burn, since they are
    more than are forecast at once.
    """

    start: datetime
    end: datetime
    project_count: int
    notices: tuple[PreviewNotice, ...]
    mail_count: int
    digest_count: int
    left_out_count: int


@dataclass(frozen=True, slots=True)
class _Page:
    """What is read of some accounts in one snapshot."""

    projects: list[Project]
    accounts: dict[int, PastAccount]
    lines: dict[int, Lines]
    people: dict[int, list[Person]]
    usage: dict[int, HourlyCredits]


async def preview(
    pool: Pool,
    default: Lines,
    length: timedelta,
    *,
    digest_hour: int,
    project_id: int | None,
    ignore_rules: bool = False,
) -> Preview:
    """Play the past of all open accounts, or of one, with these lines in the settings' place.

    Rules of projects and organisations hold as they do, unless `ignore_rules`. Raises
    InvalidInput for a length that is none, or longer than `DAYS_MAX`.
    """
    if not timedelta(0) < length <= timedelta(days=DAYS_MAX):
        raise InvalidInput(f"must be from an hour to {DAYS_MAX} days", where="since")
    async with snapshot(pool) as conn:
        end = await batches.read_now(conn)
    start = floor_hour(end - length)
    counted = _Counted(digest_hour)
    project_count, after_id = 0, 0
    while True:
        async with snapshot(pool) as conn:
            ids = await _page_ids(conn, after_id, project_id)
            lines = (
                dict.fromkeys(ids, default)
                if ignore_rules
                else await read_lines(conn, ids, default)
            )
            page = await _read(conn, ids, lines, start, end)
        for project in page.projects:
            counted.play(project, page, start)
        project_count += len(page.projects)
        if project_id is not None or len(ids) < PAGE_PROJECTS_MAX:
            break
        after_id = ids[-1]
    found = sorted(counted.notices, key=lambda one: (one.notice.created_at, one.project.id))
    return Preview(
        start, end, project_count, tuple(found), counted.mail_count, len(counted.digests),
        counted.left_out_count,
    )  # fmt: skip


async def preview_rule(
    pool: Pool,
    default: Lines,
    rule: LineRule | None,
    length: timedelta,
    *,
    digest_hour: int,
    project_id: int,
) -> Preview:
    """Play the past of a project as if this were its own rule (None: it had none)."""
    async with snapshot(pool) as conn:
        said = (await read_project_lines(conn, project_id, default)).rules
    lines = effective(default, [one for one in said if one.organisation is not None]).lines
    return await preview(
        pool,
        lines if rule is None else rule.over(lines),
        length,
        digest_hour=digest_hour,
        project_id=project_id,
        ignore_rules=True,
    )


class _Counted:
    """Notices and mails of the accounts that were played."""

    def __init__(self, digest_hour: int) -> None:
        self.digest_hour = digest_hour
        self.notices: list[PreviewNotice] = []
        self.mail_count = 0
        self.digests: set[tuple[str, datetime]] = set()
        self.forecast_count = 0
        self.left_out_count = 0

    def play(self, project: Project, page: _Page, start: datetime) -> None:
        lines = page.lines[project.id]
        estimate: Estimate | None = None
        if lines.days or lines.burn_per_day:
            if self.forecast_count < FORECAST_PROJECTS_MAX:
                self.forecast_count += 1
                estimate = _estimate_of(
                    page.usage.get(project.id), start, page.accounts[project.id]
                )
            else:
                self.left_out_count += 1
        for notice in replay(page.accounts[project.id], lines, estimate):
            self._count(project, notice, page.people.get(project.id, []))

    def _count(self, project: Project, notice: PastNotice, owners: Iterable[Person]) -> None:
        hearing = [one for one in owners if one.hears(NoticeKind(notice.draft.line.kind.value))]
        at_once = [one for one in hearing if not one.digest]
        shifted = notice.created_at - self.digest_hour * HOUR
        self.digests |= {
            (one.key, shifted.replace(hour=0, minute=0, second=0, microsecond=0))
            for one in hearing
            if one.digest
        }
        self.mail_count += len(at_once)
        self.notices.append(PreviewNotice(project, notice, len(at_once)))


async def _page_ids(conn: Connection, after_id: int, project_id: int | None) -> list[int]:
    if project_id is not None:
        return [project_id]
    return await notices.list_watched(conn, after_id=after_id, limit=PAGE_PROJECTS_MAX)


async def _read(
    conn: Connection,
    project_ids: Sequence[int],
    lines: dict[int, Lines],
    start: datetime,
    end: datetime,
) -> _Page:
    balances = await read_balances(conn, project_ids)
    by_project: dict[int, list[PastChange]] = defaultdict(list)
    last_hour = floor_hour(end - timedelta(microseconds=1))
    for change in await past_changes.list_changes(
        conn, project_ids, start=start, last_hour=last_hour
    ):
        by_project[change.project_id].append(change)
    forecasting = [one for one, own in lines.items() if own.days or own.burn_per_day]
    return _Page(
        projects=await projects.list_projects_by_id(conn, project_ids),
        accounts={one: _past_of(balances[one], by_project[one], start, end) for one in project_ids},
        lines=lines,
        people=await people.list_people_of(conn, project_ids),
        usage=await forecast_inputs.sum_hourly_charges(
            conn, forecasting, start=start - LOOK_BACK, end=end
        ),
    )


def _past_of(
    balance: Balance, changes: Sequence[PastChange], start: datetime, end: datetime
) -> PastAccount:
    """Take what changed back from the present account: what is left was there at the start."""
    hours = {
        one.hour: HourChange(*(to_micro(value) if value else 0 for value in one.amounts))
        for one in changes
    }
    every = hours.values()
    return PastAccount(
        start=start,
        end=end,
        balance=to_micro(balance.current)
        - sum(one.given - one.expired - one.used - one.taken for one in every),
        granted=to_micro(balance.granted_now)
        - sum(one.granted - one.ended - one.ungranted for one in every),
        changes=hours,
    )


def _estimate_of(used: HourlyCredits | None, start: datetime, past: PastAccount) -> Estimate:
    """Make the forecasts that would have been made at the start of each day.

    Simply: with what was used up to then, and the whole balance, whatever of it expires.
    """
    begin = start - LOOK_BACK
    row = np.zeros((past.end - begin) // HOUR + 1)
    if used is not None:
        row[np.array(used.hours, np.int64)] = used.credits
    hourly: NDArray[np.float64] = np.asarray(np.clip(row, 0, CREDITS_PER_HOUR_MAX))

    def estimate(day: datetime, balance: Decimal) -> tuple[Decimal | None, Decimal | None]:
        known = hourly[: max(0, (day - begin) // HOUR)]
        found = forecast(History(day, known), Credit(balance), day)
        if found.state is State.SHORT:
            return None, None
        if found.state is State.OUT:
            return Decimal(0), None
        burn: Credits = credits_of(f"{found.burn_per_day:.6f}")
        return NEVER if found.p50 is None else days_between(day, found.p50), burn

    return estimate
