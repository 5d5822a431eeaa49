"""Makes bills that tell resources of a project apart, from usage and daily charges."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from os_credits.domain.amount import added
from os_credits.domain.bill import BillGroup, By, Course, GroupKey, Order, Place, Used
from os_credits.domain.period import EPOCH, floor_day
from os_credits.domain.stretch import Stretches
from os_credits.domain.tree import Span
from os_credits.errors import InvalidInput
from os_credits.flows.bill_lines import NOTHING, LineWriter, bill_of
from os_credits.store import bill_quantities, bills, retention
from os_credits.store.bills import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.bill import Bill, LineKey, Metered
    from os_credits.domain.period import Period
    from os_credits.domain.project import Project
    from os_credits.flows.bill_lines import BillRequest
    from os_credits.store.pool import Connection


async def bill_of_resources(
    conn: Connection, request: BillRequest, project: Project, *, as_of_hour: datetime
) -> Bill:
    """Make the bill of one resource, or a project's by resources.

    What cannot be told apart any more is in a group without a name, so that all adds up.
    """
    period, resource = request.period, request.subject.resource
    if resource is not None:
        await _refuse_cut_days(conn, period)
    found = await bill_quantities.sum_resources(
        conn, project.id, period, by=request.by, resource=resource
    )
    used = [one.used for one in found]
    metered = {(one.used.key, one.used.meter_id, one.used.flavor_id): one.metered for one in found}
    total = used
    if resource is None:
        stretches = Stretches()
        stretches.add([Span(project.id, None, period.start, period.end)], [period.start])
        wanted = Wanted(stretches, [0], By.METER, Order.NUMBER, None, None)
        total = list((await bills.sum_used(conn, wanted, ())).total)
        used += _rest(total, used)
    writer = await LineWriter.make(conn, period, as_of_hour)
    groups = _page(_groups(used, metered, writer), request)
    summed = _summed(total if resource is None else used, used)
    made = bill_of(
        request,
        groups,
        writer,
        summed,
        metered,
        has_quantities=True,
        tells_open=resource is None,
    )
    course = await _read_course(conn, request, project)
    if resource is None:
        return replace(made, course=course)
    return replace(made, open=None, course=course)


async def _read_course(conn: Connection, request: BillRequest, project: Project) -> Course | None:
    """Sum what each day of a resource cost; of all resources together, its project's bill does."""
    resource = request.subject.resource
    if not request.with_course or resource is None:
        return None
    found = await bill_quantities.sum_resources(
        conn, project.id, request.period, by=By.DAY, resource=resource
    )
    days: dict[datetime, list[Credits]] = {}
    for one in found:
        days.setdefault(one.used.key.start or EPOCH, []).append(one.used.credits)
    return Course(By.DAY, tuple((day, added(*parts)) for day, parts in sorted(days.items())))


async def _refuse_cut_days(conn: Connection, period: Period) -> None:
    kept = (await retention.read_retention(conn)).usage_dropped_until
    for where, moment in (("start", period.start), ("end", period.end)):
        if moment < kept and floor_day(moment) != moment:
            raise InvalidInput(
                f"before {kept:%Y-%m-%d} only whole days of a resource are known", where=where
            )


def _rest(total: Sequence[Used], used: Sequence[Used]) -> list[Used]:
    """Give what was charged beyond what resources were: opened with, or of cut days."""
    micro = {(one.meter_id, one.flavor_id): one.credits for one in total}
    for one in used:
        key = one.meter_id, one.flavor_id
        micro[key] = added(micro.get(key, NOTHING), one.credits.copy_negate())
    return [
        Used(GroupKey(resource=None), meter_id, flavor_id, amount, NOTHING)
        for (meter_id, flavor_id), amount in micro.items()
        if amount
    ]


def _summed(total: Sequence[Used], used: Sequence[Used]) -> list[Used]:
    """Give a line for each meter and flavor that is in either."""
    lines: dict[tuple[int, int], Used] = {}
    for one in (*total, *used):
        key = one.meter_id, one.flavor_id
        lines.setdefault(key, Used(GroupKey(), *key, NOTHING, NOTHING))
    for one in total:
        key = one.meter_id, one.flavor_id
        known = lines[key]
        lines[key] = replace(
            known, credits=added(known.credits, one.credits), open=added(known.open, one.open)
        )
    return list(lines.values())


def _groups(
    used: Sequence[Used],
    metered: Mapping[LineKey, Metered],
    writer: LineWriter,
) -> list[BillGroup]:
    by_key: dict[GroupKey, list[Used]] = {}
    for one in used:
        by_key.setdefault(one.key, []).append(one)
    return [
        BillGroup(
            lines=writer.lines(of_key, metered, tells_open=False),
            place=Place(NOTHING, 0, EPOCH),
            meter=writer.table.meters[key.number].name if key.number else None,
            resource=key.resource,
            start=key.start,
        )
        for key, of_key in by_key.items()
    ]


def _page(groups: list[BillGroup], request: BillRequest) -> list[BillGroup]:
    """Put groups in order and give those behind a place, one more than asked for."""
    if request.order is Order.CREDITS:
        groups.sort(key=lambda one: -one.credits)
    after = 0 if request.after is None else request.after.number
    numbered = [
        replace(one, place=Place(NOTHING, count, EPOCH)) for count, one in enumerate(groups, 1)
    ][after:]
    return numbered if request.limit is None else numbered[: request.limit + 1]
