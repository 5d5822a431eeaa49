"""Lists projects with their balances, run-outs and a small trend; keeps the figures to sort by.

Table `project_figure` is a cache that a job refreshes, and decides only about order and counts:
what is shown of a project is computed when it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.access import named
from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.period import floor_day
from os_credits.store import closings, overview
from os_credits.store.balances import read_balances
from os_credits.store.batches import read_now
from os_credits.store.forecasts import read_forecasts
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.balance import Balance
    from os_credits.domain.closing import Closing
    from os_credits.domain.forecast import StoredForecast
    from os_credits.domain.organisation import Organisation
    from os_credits.domain.project import Project
    from os_credits.store.overview import Counts, ListedPage
    from os_credits.store.pool import Connection, Pool

TREND_DAYS = 14
# How many accounts one statement of the job works out.
PROJECTS_MAX = 2000
NOTHING = from_micro(0)


class Sort(StrEnum):
    """By what projects are sorted."""

    NAME = "name"
    """Their names, whatever the case of letters."""
    BALANCE = "balance"
    """What is left."""
    PERCENT = "percent"
    """What is left of the grants that are valid."""
    BURN = "burn"
    """What a mean day of the coming week is expected to use."""
    RUN_OUT = "run_out"
    """When credits are expected to run out."""
    USED = "used"
    """What was used of all time."""


class Show(StrEnum):
    """Which projects are shown; closed ones are neither low nor in debt."""

    ALL = "all"
    """All of them."""
    LOW = "low"
    """Less than half of the grants that are valid is left, or nothing."""
    CRITICAL = "critical"
    """Less than a fifth is left, or nothing."""
    DEBT = "debt"
    """Nothing is left."""
    CLOSED = "closed"
    """They have come to their end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which projects to list: '' and None ask for all; `after` is the number of the one before."""

    search: str = ""
    organisation_id: int | None = None
    show: Show = Show.ALL
    sort: Sort = Sort.NAME
    descending: bool = False
    after: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """A project as it stands; `trend` is what it used on each of the last days, today last.

    `organisation` is the one that it belongs to now; `closing` None: its end is not decided.
    """

    project: Project
    rank: int
    balance: Balance
    forecast: StoredForecast | None
    closing: Closing | None
    organisation: Organisation | None
    trend: tuple[Credits, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """A part of the list of projects, and how many there are in all of it and of each kind.

    `next` and `before` are the values of `after` for the parts beside it.
    """

    rows: tuple[OverviewRow, ...]
    counts: Counts
    shown_count: int
    next: int | None
    before: int | None
    as_of: datetime


async def read_overview(conn: Connection, asked: Asked, among: frozenset[str] | None) -> Overview:
    """Read a part of the list of the projects that a caller may see.

    `among` are names, cloud ids and `#` with our ids; None: all. The connection must be a
    `store.pool.snapshot`.
    """
    chosen = await _chosen(conn, asked, among)
    page = await overview.list_page(conn, chosen)
    now = await read_now(conn)
    rows = await _rows(conn, page, now)
    is_last = not rows or rows[-1].rank >= page.shown_count
    return Overview(
        rows=tuple(rows),
        counts=page.counts,
        shown_count=page.shown_count,
        next=None if is_last else rows[-1].project.id,
        before=page.before,
        as_of=now,
    )


async def _chosen(conn: Connection, asked: Asked, among: frozenset[str] | None) -> overview.Chosen:
    seen = named(among or frozenset())
    found: Sequence[int] = []
    if asked.search:
        found = await overview.list_found_beneath(conn, asked.search)
    beneath = None
    if asked.organisation_id is not None:
        beneath = await overview.list_beneath(conn, asked.organisation_id)
    return overview.Chosen(
        all_seen=among is None,
        seen_ids=seen.numbers,
        # What looks like a number of ours, but is none, is no name either.
        seen_names=[one for one in seen.names if one and not one.startswith("#")],
        searched=asked.search,
        found_beneath=found,
        beneath=beneath,
        show=asked.show.value,
        sort=asked.sort.value,
        descending=asked.descending,
        after=asked.after,
        limit=asked.limit,
    )


async def _rows(conn: Connection, page: ListedPage, now: datetime) -> list[OverviewRow]:
    ids = [one.project.id for one in page.rows]
    if not ids:
        return []
    today = floor_day(now)
    days = [today - timedelta(days=ago) for ago in reversed(range(TREND_DAYS))]
    balances = await read_balances(conn, ids)
    forecasts = await read_forecasts(conn, ids)
    ends = await closings.list_decided(conn, ids)
    trends = await overview.sum_days(conn, ids, days[0])
    homes = await overview.homes_of(conn, ids)
    return [
        OverviewRow(
            project=one.project,
            rank=one.rank,
            balance=balances[one.project.id],
            forecast=forecasts.get(one.project.id),
            closing=ends.get(one.project.id),
            organisation=homes.get(one.project.id),
            trend=tuple(trends.get(one.project.id, {}).get(day, NOTHING) for day in days),
        )
        for one in page.rows
    ]


async def refresh(pool: Pool) -> int:
    """Work out the figures to sort by, where accounts have changed; gives how many had.

    Where another copy is at it, nothing is done.
    """
    changed, after_id = 0, 0
    while True:
        async with transaction(pool) as conn:
            if not await overview.try_claim(conn):
                return changed
            last, stored = await overview.refresh_figures(
                conn, after_id=after_id, limit=PROJECTS_MAX
            )
        changed += stored
        if last is None:
            return changed
        after_id = last
