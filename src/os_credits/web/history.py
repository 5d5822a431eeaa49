"""Reads what a project's page shows, in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from os_credits.domain.period import HOUR, floor_hour
from os_credits.store import flavors, meters, spending
from os_credits.store.balances import read_balances
from os_credits.store.spending import Given, Metered, Spent
from os_credits.web.span import Span, floor_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.domain.amount import Credits
    from os_credits.domain.balance import Balance
    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection

# More grants than this in one span are not listed; the balance counts them as older ones.
GIVEN_MAX = 1000


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Everything that a project's page is made of, as of `balance.as_of`.

    `start` is where the span begins, but not before anything happened. `charges` are per step
    of the span, oldest first; `given` and `metered` belong to the same time. `first_given` is
    the first hour with credits, and how many these were.
    """

    project: Project
    balance: Balance
    span: Span
    start: datetime
    charges: list[Spent]
    given: list[Given]
    metered: list[Metered]
    first_given: tuple[datetime, Credits] | tuple[None, None]
    last_day: Credits
    meters: Mapping[int, MeterDefinition]
    flavors: Mapping[int, str]


async def read_facts(conn: Connection, project: Project, span: Span) -> PageFacts:
    """Read a project's page; the connection must be a `store.pool.snapshot`."""
    balance = (await read_balances(conn, [project.id]))[project.id]
    now = balance.as_of
    # Samples may be a little ahead of the clock, never by an hour.
    end = floor_hour(now) + 2 * HOUR
    first = await spending.first_hour(conn, project.id)
    start = span.start_before(now)
    if first is not None:
        start = max(start, floor_step(min(first, now), span.step))
    versions = await meters.list_versions(conn)
    return PageFacts(
        project=project,
        balance=balance,
        span=span,
        start=start,
        charges=await spending.sum_charges(conn, project.id, start=start, end=end, by=span.step),
        given=await spending.list_given(conn, project.id, start=start, limit=GIVEN_MAX),
        metered=await spending.sum_metered(conn, project.id, start=start, end=end),
        first_given=await spending.first_given(conn, project.id),
        last_day=await spending.sum_since(conn, project.id, floor_hour(now) - 23 * HOUR),
        meters={version.meter_id: version.definition for version in versions},
        flavors=await flavors.list_flavors(conn),
    )
