"""What all pages of one project share: which project is meant, and where its pages are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote

from os_credits.domain.allowance import next_month
from os_credits.domain.period import HOUR
from os_credits.errors import NotFound
from os_credits.flows.projects import resolve_project
from os_credits.web.room import DESK, visitor_of

if TYPE_CHECKING:
    from aiohttp import web

    from os_credits.domain.project import Project
    from os_credits.flows.spent import StepName
    from os_credits.store.pool import Connection

DAY = timedelta(days=1)
YEAR_MIN, YEAR_MAX = 1900, 8999
_WHEN = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:T([0-9]{2}))?)?)?")
_FORMATS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}


async def find_project(request: web.Request, conn: Connection) -> Project:
    """Find the project of the path among those that the visitor may see; raises NotFound."""
    desk, access = request.app[DESK], visitor_of(request).access
    return await resolve_project(
        conn,
        request.match_info["project"],
        site=request.query.get("site"),
        domain=request.query.get("domain"),
        may_see=lambda project: desk.may_read(access, project),
    )


def account_href(base: str, project: Project) -> str:
    """Give the address of a project's account, whatever its name is."""
    return f"{base}/credits_history/{quote(f'#{project.id}', safe='')}"


def page_href(base: str, project: Project, *steps: str) -> str:
    """Give the address of another page of a project."""
    return "/".join([f"{base}/projects/{quote(f'#{project.id}', safe='')}", *steps])


def spent_href(base: str, project: Project, start: datetime, step: StepName) -> str:
    """Give the address of where credits went in an hour, UTC day or month."""
    return page_href(base, project, "spent", when_text(start, step))


def when_text(start: datetime, step: StepName) -> str:
    """Write an hour, UTC day or month as an address has it."""
    return start.strftime(_FORMATS[step])


def told_part(first: int, count: int, total: int) -> dict[str, Decimal]:
    """Say which part of a list is shown: from the first to the last, of all."""
    return {
        "first": Decimal(first),
        "last": Decimal(first + count - 1),
        "all": Decimal(total),
    }


@dataclass(frozen=True, slots=True)
class When:
    """A year, month, UTC day or hour that an address names: from `start` up to `end`."""

    unit: str
    start: datetime
    end: datetime


def when_of(text: str) -> When:
    """Read a year, month, day or hour of an address; raises NotFound for what is none."""
    found = _WHEN.fullmatch(text)
    if found is None:
        raise NotFound(f"there is no time {text[:40]!r}")
    # Neighbours of a time exist too.
    if not YEAR_MIN <= int(found[1]) <= YEAR_MAX:
        raise NotFound(f"there is no time {text[:40]!r}")
    year, month, day, hour = (None if one is None else int(one) for one in found.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        start = datetime(first.year, first.month, first.day, hour or 0, tzinfo=UTC)
        if month is None:
            return When("year", start, start.replace(year=first.year + 1))
        if day is None:
            return When("month", start, next_month(start))
        return (
            When("day", start, start + DAY) if hour is None else When("hour", start, start + HOUR)
        )
    except (ValueError, OverflowError):
        raise NotFound(f"there is no time {text[:40]!r}") from None
