"""Makes bills: what was charged for the hours of a period, for people and for spreadsheets.

Use everything here in a snapshot: it reads several times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from os_credits.domain.allowance import floor_month, next_month
from os_credits.domain.bill import BillGroup, By, Course, Hours, Subject
from os_credits.domain.period import EPOCH, HOUR, floor_hour
from os_credits.domain.stretch import LENGTHS, Stretches
from os_credits.domain.tree import FOREVER
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.bill_account import read_account
from os_credits.flows.bill_lines import (
    FILE_HOURS_MAX,
    PAGE_HOURS_MAX,
    BillRequest,
    LineWriter,
    bill_of,
)
from os_credits.flows.bill_resources import bill_of_resources
from os_credits.flows.organisations import numbers_of, resolve_organisation
from os_credits.flows.projects import resolve_project
from os_credits.flows.tree import read_tree
from os_credits.store import (
    batches,
    bill_quantities,
    bills,
    organisations,
    projects,
    retention,
    span_sums,
)
from os_credits.store.bills import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.access import Access
    from os_credits.domain.bill import Bill, LineKey, Metered
    from os_credits.domain.organisation import Organisation
    from os_credits.domain.project import Project
    from os_credits.store.bills import Sums
    from os_credits.store.pool import Connection

__all__ = [
    "FILE_HOURS_MAX",
    "PAGE_HOURS_MAX",
    "Asked",
    "BillRequest",
    "find_subject",
    "read_bill",
    "visible_projects",
]

# More sums of a day, or else a month, of a project than these are not made beside a bill.
COURSE_SUMS_MAX = 15_000
DAYS_MAX = 190
# Samples may be a little ahead of the clock, never by an hour: nothing is used this long after now.
AHEAD = 2 * HOUR
# Beyond these, quantities are not even counted.
PROJECTS_WITH_QUANTITIES_MAX = 2000


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose bill, as it is written in an address: names, cloud ids, or `#` with our numbers."""

    organisation: str | None = None
    project: str | None = None
    resource: str | None = None
    site: str | None = None
    domain: str | None = None


async def find_subject(
    conn: Connection,
    access: Access,
    asked: Asked,
    *,
    may_see: Callable[[Project], bool],
) -> Subject:
    """Find whose bill is asked for, among what the caller may see.

    Raises NotFound, Conflict for an ambiguous name of a project, and InvalidInput unless either
    an organisation or a project is named.
    """
    if (asked.organisation is None) == (asked.project is None):
        raise InvalidInput("name either an organisation or a project", where="organisation")
    if asked.organisation is not None:
        if asked.resource is not None:
            raise InvalidInput("belongs to a project: name that", where="resource")
        found = await resolve_organisation(conn, asked.organisation, access=access)
        return Subject(organisation=found)
    project = await resolve_project(
        conn, asked.project or "", site=asked.site, domain=asked.domain, may_see=may_see
    )
    if asked.resource is not None:
        await _check_resource(conn, project, asked.resource)
    return Subject(project=project, resource=asked.resource)


async def visible_projects(
    conn: Connection, access: Access, organisation: Organisation
) -> Collection[int] | None:
    """Tell which projects count in a caller's bill of an organisation; None: all.

    Whoever manages it sees its whole bill, anybody else that of the projects they may see.
    """
    if access.projects is None or access.may_manage_organisation(organisation.id):
        return None
    return frozenset(await numbers_of(conn, access.projects))


async def _check_resource(conn: Connection, project: Project, resource: str) -> None:
    """Raise NotFound unless a project's samples ever named this resource."""
    if "\0" in resource or not await bill_quantities.has_resource(conn, project.id, resource):
        raise NotFound(f"this project has no resource {resource[:200]!r}")


async def read_bill(conn: Connection, request: BillRequest) -> Bill:
    """Make a bill; raises InvalidInput for hours of a resource that are no longer told apart."""
    as_of = await batches.read_now(conn)
    project, account = request.subject.project, None
    if project is not None and request.with_account:
        account = await read_account(conn, project, request.period)
    if project is not None and (request.subject.resource is not None or request.by is By.RESOURCE):
        made = await bill_of_resources(conn, request, project, as_of_hour=floor_hour(as_of))
        if request.subject.resource is None:
            hours = await _read_hours(conn, request)
            course = await _read_course(conn, request, hours, floor_hour(as_of))
            made = replace(made, course=course)
    else:
        made = await _bill_of_projects(conn, request, as_of_hour=floor_hour(as_of))
    return replace(made, as_of=as_of, account=account)


async def _bill_of_projects(
    conn: Connection, request: BillRequest, *, as_of_hour: datetime
) -> Bill:
    hours = await _read_hours(conn, request)
    has_quantities = await _are_few(conn, hours, request, as_of_hour)
    metered: dict[LineKey, Metered] = {}
    if has_quantities:
        metered = await bill_quantities.sum_metered(conn, hours, request.by)
    elif await bill_quantities.is_unpriced(conn, request.period):
        metered = await bill_quantities.sum_unpriced(conn, hours, request.by, request.period)
    limit = None if request.limit is None else request.limit + 1
    stretches, parts = _cut(hours, request, as_of_hour)
    wanted = Wanted(stretches, parts, request.by, request.order, request.after, limit)
    also = [key for key, one in metered.items() if one.quantity != 0 or one.unpriced]
    sums = await bills.sum_used(conn, wanted, also)
    writer = await LineWriter.make(conn, request.period, as_of_hour)
    groups = await _name_groups(conn, request, sums, metered, writer)
    made = bill_of(request, groups, writer, sums.total, metered, has_quantities=has_quantities)
    course = await _read_course(conn, request, hours, as_of_hour)
    return replace(made, course=course, project_count=_count(hours))


async def _read_course(
    conn: Connection, request: BillRequest, hours: Sequence[Hours], as_of_hour: datetime
) -> Course | None:
    """Sum each day, or where these would be too many each month; None if that takes long."""
    if not request.with_course:
        return None
    end = min(request.period.end, as_of_hour + AHEAD)
    days = max((end - request.period.start).days + 1, 0)
    for by, count in ((By.DAY, days), (By.MONTH, days // 30 + 1)):
        if count > 1 and count <= DAYS_MAX and _count(hours) * count <= COURSE_SUMS_MAX:
            stretches, _ = _cut(hours, replace(request, by=by), as_of_hour)
            step: Literal["day", "month"] = "day" if by is By.DAY else "month"
            return Course(by, tuple(await span_sums.sum_steps(conn, stretches, step)))
    return None


async def _read_hours(conn: Connection, request: BillRequest) -> list[Hours]:
    period, project = request.period, request.subject.project
    if project is not None:
        return [Hours(0, period.start, period.end, (project.id,))]
    organisation = request.subject.organisation
    assert organisation is not None  # noqa: S101 - a subject is one or the other
    tree = await read_tree(conn)
    stays = tree.stays(organisation.id, period.start, period.end)
    return await bills.read_hours(conn, stays, request.visible)


def _count(hours: Sequence[Hours]) -> int:
    return sum(len(one.project_ids) for one in hours)


def _cut(
    hours: Sequence[Hours], request: BillRequest, as_of_hour: datetime
) -> tuple[Stretches, list[int]]:
    """Cut hours into what is summed at once, by the organisations right beneath.

    What ends in the time to come ends with its month: a month is one sum, its days are many.
    """
    stretches = Stretches(LENGTHS if request.by is not By.DAY else LENGTHS[1:])
    parts: list[int] = []
    for one in sorted(hours, key=lambda one: one.part):
        if not parts or parts[-1] != one.part:
            parts.append(one.part)
            stretches.begin_sum()
        is_to_come = as_of_hour + AHEAD <= one.end < FOREVER
        end = next_month(floor_month(one.end)) if is_to_come else one.end
        stretches.add_hours(one.start, end, one.project_ids)
    return stretches, parts


async def _are_few(
    conn: Connection, hours: Sequence[Hours], request: BillRequest, as_of_hour: datetime
) -> bool:
    """Tell whether there are few enough hours of resources to sum quantities."""
    if _count(hours) > PROJECTS_WITH_QUANTITIES_MAX:
        return False
    first = await bill_quantities.first_hour_of_usage(conn)
    until = min(request.period.end, as_of_hour + AHEAD)
    single = max((until - max(request.period.start, first or until)) // HOUR, 0)
    # Older usage is kept by days.
    days = max((min(until, first or until) - request.period.start).days, 0)
    days = min(days, (as_of_hour - EPOCH).days)
    ids = {number for one in hours for number in one.project_ids}
    series = await bill_quantities.count_series(conn, ids)
    dropped = (await retention.read_retention(conn)).usage_dropped_until > EPOCH
    return series * (single + days * dropped) <= request.hours_max


async def _name_groups(
    conn: Connection,
    request: BillRequest,
    sums: Sums,
    metered: Mapping[LineKey, Metered],
    writer: LineWriter,
) -> list[BillGroup]:
    numbers = [place.number for place in sums.groups]
    by = request.by
    found = await projects.list_projects_by_id(conn, numbers) if by is By.PROJECT else []
    named = {one.id: one for one in found}
    parts = await organisations.name_organisations(conn, numbers) if by is By.PART else {}
    return [
        BillGroup(
            lines=writer.lines(used, metered),
            place=place,
            organisation=parts.get(place.number),
            project=named.get(place.number),
            meter=writer.table.meters[place.number].name if by is By.METER else None,
            start=place.start if by in {By.DAY, By.MONTH} else None,
        )
        for place, used in sums.groups.items()
    ]
