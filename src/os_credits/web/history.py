"""Reads what a project's page shows, in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import added
from os_credits.domain.period import HOUR, floor_hour
from os_credits.flows.budgets import usable
from os_credits.flows.forecast import read_forecast
from os_credits.flows.given import read_given
from os_credits.store import closings, flavors, meters, projects, spending, transfers
from os_credits.store.balances import read_balances
from os_credits.web.span import floor_step, span_between, span_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.balance import Balance
    from os_credits.domain.budget import Usable
    from os_credits.domain.closing import Closing
    from os_credits.domain.forecast import StoredForecast
    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.project import Project
    from os_credits.flows.given import GivenLot
    from os_credits.store.pool import Connection
    from os_credits.store.spending import Change, Metered, Moved, Spent
    from os_credits.web.span import Span

# More lines than these are not listed; the CSV has all of them.
CHANGES_MAX = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Which time an address asks for, as it is written there."""

    key: str | None
    first_day: str = ""
    last_day: str = ""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Everything that a project's page is made of, as of `balance.as_of`.

    `start` is where the span begins, but not before anything happened, and `left` what was
    left at its end. `charges` and `moved` are per step of the span, oldest first; `changes` and
    `metered` belong to the same time. `first_given` is the first hour with credits, and how
    many these were. `partners` are the other projects of transfers, by entry.
    `usable` is what organisations leave of the balance.
    """

    project: Project
    balance: Balance
    span: Span
    start: datetime
    left: Credits
    charges: list[Spent]
    moved: list[Moved]
    changes: list[Change]
    metered: list[Metered]
    first_given: tuple[datetime, Credits] | tuple[None, None]
    last_day: Credits
    lots: list[GivenLot]
    partners: Mapping[int, Project]
    forecast: StoredForecast
    closing: Closing | None
    usable: Usable
    meters: Mapping[int, MeterDefinition]
    flavors: Mapping[int, str]


async def read_facts(conn: Connection, project: Project, asked: Asked) -> PageFacts:
    """Read a project's page; the connection must be a `store.pool.snapshot`."""
    balance = (await read_balances(conn, [project.id]))[project.id]
    now = balance.as_of
    first = await spending.first_hour(conn, project.id)
    begin = now if first is None else min(first, now)
    if asked.key is None and (asked.first_day or asked.last_day):
        span = span_between(asked.first_day, asked.last_day, begin=begin, now=now)
    else:
        span = span_of(asked.key)
    # Samples may be a little ahead of the clock, never by an hour.
    end = floor_hour(now) + 2 * HOUR
    left = balance.current
    if span.until is not None and not span.is_live(now):
        end = span.until
        later = await spending.sum_lines_since(conn, project.id, end)
        left = added(left, later.copy_negate())
    start = span.start_before(now)
    if first is not None:
        start = max(start, floor_step(begin, span.step))
    changes = await spending.list_changes(
        conn, project.id, start=start, end=end, limit=CHANGES_MAX + 1
    )
    versions = await meters.list_versions(conn)
    return PageFacts(
        project=project,
        balance=balance,
        span=span,
        start=start,
        left=left,
        charges=await spending.sum_charges(conn, project.id, start=start, end=end, by=span.step),
        moved=await spending.sum_moved(conn, project.id, start=start, end=end, by=span.step),
        changes=changes,
        metered=await spending.sum_metered(conn, project.id, start=start, end=end),
        first_given=await spending.first_given(conn, project.id),
        last_day=await spending.sum_since(conn, project.id, floor_hour(now) - 23 * HOUR),
        lots=await read_given(conn, project.id, now),
        partners=await _partners(conn, changes),
        forecast=await read_forecast(conn, project.id),
        closing=(await closings.list_decided(conn, [project.id])).get(project.id),
        usable=(await usable(conn, {project.id: balance}))[project.id],
        meters={version.meter_id: version.definition for version in versions},
        flavors=await flavors.list_flavors(conn),
    )


async def _partners(conn: Connection, changes: list[Change]) -> dict[int, Project]:
    entry_ids = [one.entry_id for one in changes if one.entry_id is not None]
    partner_of = await transfers.list_partners(conn, entry_ids)
    found = await projects.list_projects_by_id(conn, sorted(set(partner_of.values())))
    by_id = {project.id: project for project in found}
    return {entry_id: by_id[partner] for entry_id, partner in partner_of.items()}
