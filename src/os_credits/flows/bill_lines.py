"""Writes what was summed as lines of a bill, with names, units and prices."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import added, from_micro
from os_credits.domain.bill import Bill, BillLine, GroupKey, Order, Place, Subject, price_span
from os_credits.domain.period import HOUR, Period
from os_credits.flows.prices import read_price_table
from os_credits.rating.charge import units_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.bill import BillGroup, By, LineKey, Metered, Used
    from os_credits.rating.quote import PriceTable
    from os_credits.store.pool import Connection

# About how many hours of resources are looked at for quantities: as quick as a page must be,
# and as long as a file may take.
PAGE_HOURS_MAX = 150_000
FILE_HOURS_MAX = 5_000_000
NOTHING = from_micro(0)


@dataclass(frozen=True, slots=True)
class BillRequest:
    """Which bill, and which groups of it.

    `visible` are the projects of an organisation that count (None: all of them).
    `with_account` adds how a project's balance came about, `with_course` what each day cost.
    """

    subject: Subject
    period: Period
    by: By
    visible: Collection[int] | None = None
    order: Order = Order.NUMBER
    after: Place | None = None
    limit: int | None = None
    hours_max: int = PAGE_HOURS_MAX
    with_account: bool = False
    with_course: bool = False


@dataclass(frozen=True, slots=True)
class LineWriter:
    """Names what is summed, and says what a unit cost in the period."""

    table: PriceTable
    period: Period

    @classmethod
    async def make(cls, conn: Connection, period: Period, as_of_hour: datetime) -> LineWriter:
        """Read all names and prices that are needed."""
        # A price that is yet to come has charged nothing.
        end = max(min(period.end, as_of_hour + 2 * HOUR), period.start + HOUR)
        return cls(await read_price_table(conn), Period(period.start, end))

    def line(self, used: Used, metered: Metered | None, *, tells_open: bool = True) -> BillLine:
        """Write a line; without `metered` it tells no quantity."""
        definition = self.table.meters[used.meter_id]
        quantity = None if metered is None else metered.quantity
        unpriced = 0 if metered is None else metered.unpriced
        return BillLine(
            meter=definition.name,
            flavor=self.table.flavors[used.flavor_id] or None,
            unit=definition.priced_unit,
            quantity=None if quantity is None else Decimal(units_of(quantity, definition)),
            unpriced=Decimal(units_of(unpriced, definition)),
            price=price_span(self.table.prices, used.meter_id, used.flavor_id, self.period),
            credits=used.credits,
            open=used.open if tells_open else None,
        )

    def lines(
        self,
        used: Iterable[Used],
        metered: Mapping[LineKey, Metered],
        *,
        tells_open: bool = True,
    ) -> tuple[BillLine, ...]:
        """Write lines, by meter and flavor."""
        written = (
            self.line(
                one, metered.get((one.key, one.meter_id, one.flavor_id)), tells_open=tells_open
            )
            for one in used
        )
        return tuple(sorted(written, key=lambda line: (line.meter, line.flavor or "")))


def bill_of(
    request: BillRequest,
    groups: Sequence[BillGroup],
    writer: LineWriter,
    total: Sequence[Used],
    metered: Mapping[LineKey, Metered],
    *,
    has_quantities: bool,
    tells_open: bool = True,
) -> Bill:
    """Put a bill together; there is one group more than asked for if others follow."""
    limit = len(groups) if request.limit is None else request.limit
    return Bill(
        subject=request.subject,
        period=request.period,
        by=request.by,
        as_of=request.period.start,
        groups=tuple(groups[:limit]),
        lines=writer.lines(total, _totals(metered), tells_open=tells_open),
        credits=added(*(one.credits for one in total)),
        open=added(*(one.open for one in total)),
        has_quantities=has_quantities,
        account=None,
        next=groups[limit - 1].place if len(groups) > limit else None,
    )


def _totals(metered: Mapping[LineKey, Metered]) -> dict[LineKey, Metered]:
    """Sum quantities over all groups; what is not known of one is not known of all."""
    totals: dict[LineKey, Metered] = {}
    for (_, meter_id, flavor_id), one in metered.items():
        key = GroupKey(), meter_id, flavor_id
        known = totals.get(key)
        totals[key] = one if known is None else known.plus(one)
    return totals
