"""What a bill's page shows, and the addresses that lead on from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Context
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from os_credits.domain.allowance import next_month
from os_credits.domain.bill import By, Order, place_text
from os_credits.domain.entry import EntryKind
from os_credits.domain.period import to_ms
from os_credits.web.bill_range import RANGES
from os_credits.web.language import N_, gettext
from os_credits.web.text import calendar_day, credits_text, day_text, month_text

if TYPE_CHECKING:
    from decimal import Decimal

    from os_credits.domain.bill import Bill, BillGroup, Subject
    from os_credits.web.bill_range import Range

# Wide enough for every quantity that the database can hold.
_WIDE = Context(prec=80)
# A bill adds up to the last digit, so it shows all of them.
DIGITS = 6
NAMES = {
    By.PART: N_("By part"),
    By.PROJECT: N_("By project"),
    By.METER: N_("By meter and flavor"),
    By.RESOURCE: N_("By resource"),
    By.DAY: N_("By day"),
    By.MONTH: N_("By month"),
}
KINDS = {
    None: N_("Expired, not booked yet"),
    EntryKind.OPENING: N_("Opening balance"),
    EntryKind.GRANT: N_("Grant"),
    EntryKind.ADJUSTMENT: N_("Adjustment"),
    EntryKind.TRANSFER: N_("Transfer"),
    EntryKind.EXPIRY: N_("Expiry"),
    EntryKind.CORRECTION: N_("Correction of an expiry"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """What an address of a bill says; methods give addresses of bills beside it."""

    base: str
    subject: Subject
    days: Range
    by: By
    order: Order

    def _query(self, **changes: str) -> str:
        values = {
            **_of_subject(self.subject),
            **self._days(),
            "by": str(self.by),
            "order": str(self.order),
            **changes,
        }
        return urlencode({name: value for name, value in values.items() if value})

    def _days(self) -> dict[str, str]:
        if self.days.key:
            return {"range": self.days.key}
        return {"from": self.days.first_day, "to": self.days.last_day}

    def page(self, **changes: str) -> str:
        """Give the page of the same bill with some changes; '' leaves something out."""
        return f"{self.base}/bill?{self._query(**changes)}"

    def of(self, subject: dict[str, str], **changes: str) -> str:
        """Give the page of another subject's bill of the same days, grouped as usual."""
        nobody = dict.fromkeys(("organisation", "project", "resource"), "")
        return self.page(**{**nobody, "by": "", "order": "", **subject, **changes})

    def file(self, form: str) -> str:
        """Give where the same bill is as JSON or CSV."""
        period = self.days.period
        values = {
            **_of_subject(self.subject),
            "start": f"{period.start:%Y-%m-%dT%H:%M:%SZ}",
            "end": f"{period.end:%Y-%m-%dT%H:%M:%SZ}",
            "by": str(self.by),
            "order": str(self.order),
            "format": form,
        }
        return f"{self.base}/api/v1/bill?{urlencode(values)}"


def _of_subject(subject: Subject) -> dict[str, str]:
    if subject.organisation is not None:
        return {"organisation": f"#{subject.organisation.id}"}
    values = {"project": f"#{subject.project.id}"} if subject.project is not None else {}
    return values if subject.resource is None else {**values, "resource": subject.resource}


def exact(amount: Decimal) -> str:
    """Write an amount with all its digits."""
    return credits_text(amount, DIGITS)


def figure(number: Decimal) -> str:
    """Write a quantity or price with all its digits, and no needless zeros."""
    exponent = number.normalize(_WIDE).as_tuple().exponent
    return credits_text(number, max(0, -exponent) if isinstance(exponent, int) else 0)


def view_of(bill: Bill, address: Address, after: str) -> dict[str, Any]:
    """Give what the templates need."""
    return {
        "bill": bill,
        "groups": [_group(group, bill, address) for group in bill.groups],
        "address": address,
        "days": address.days,
        "period_text": period_text(bill),
        "ranges": [
            {"label": gettext(label), "href": address.page(range=key, **{"from": "", "to": ""}),
             "is_here": key == address.days.key}
            for key, label in RANGES
        ],
        "groupings": [
            {"label": gettext(NAMES[by]), "href": address.page(by=str(by)),
             "is_here": by is bill.by}
            for by in bill.subject.groupings
        ],
        "orders": _orders(address),
        "exact": exact,
        "figure": figure,
        "kept": {
            **_of_subject(address.subject),
            "by": str(address.by),
            "order": str(address.order),
        },
        "kinds": {kind: gettext(name) for kind, name in KINDS.items()},
        "above": _above(address),
        "chart": _chart(bill),
        "course": _course(bill),
        "by_name": gettext(NAMES[bill.by]),
        "next_href": "" if bill.next is None else address.page(after=place_text(bill.next)),
        "first_href": address.page() if after else "",
        "tells_open": any(line.open for line in bill.lines),
        "no_price": [line for line in bill.lines if line.unpriced],
    }  # fmt: skip


def period_text(bill: Bill) -> str:
    """Write the days of a bill."""
    start, last = bill.period.start, bill.period.end - timedelta(hours=1)
    if start.date() == last.date():
        return day_text(start)
    if start.day == 1 and next_month(start) == bill.period.end:
        return month_text(start)
    return f"{calendar_day(start)} {start.year} \u2013 {calendar_day(last)} {last.year}"


def _orders(address: Address) -> list[dict[str, Any]]:
    if address.by in {By.DAY, By.MONTH}:
        return []
    names = {Order.CREDITS: gettext("Dearest first"), Order.NUMBER: gettext("In our order")}
    return [
        {"label": name, "href": address.page(order=str(order)), "is_here": order is address.order}
        for order, name in names.items()
    ]


def _above(address: Address) -> dict[str, Any] | None:
    """Give the way back from a resource to its project."""
    subject = address.subject
    if subject.project is None or subject.resource is None:
        return None
    href = address.of({"project": f"#{subject.project.id}"}, by=str(By.RESOURCE))
    return {"label": subject.project.name, "href": href}


def _group(group: BillGroup, bill: Bill, address: Address) -> dict[str, Any]:
    name, href, is_ours = _name(group, bill, address)
    return {
        "name": name,
        "href": href,
        "is_ours": is_ours,
        "lines": group.lines,
        "credits": group.credits,
        "open": group.open,
    }


def _name(group: BillGroup, bill: Bill, address: Address) -> tuple[str, str, bool]:
    """Give a group's name, where its own bill is, and whether the name is a word of ours."""
    if group.organisation is not None:
        href = address.of({"organisation": f"#{group.organisation.id}"})
        return group.organisation.name, href, False
    if group.project is not None:
        return group.project.name, address.of({"project": f"#{group.project.id}"}), False
    if group.meter is not None:
        return group.meter, "", False
    if group.start is not None:
        return _time(group, bill, address)
    project = bill.subject.project
    if group.resource is not None and project is not None:
        if not group.resource:
            return gettext("Without a name"), "", True
        href = address.of({"project": f"#{project.id}", "resource": group.resource})
        return group.resource, href, False
    if bill.by is By.PART:
        return gettext("Its own projects"), address.page(by=str(By.PROJECT)), True
    return gettext("No longer told apart"), "", True


def _time(group: BillGroup, bill: Bill, address: Address) -> tuple[str, str, bool]:
    start = group.start or bill.period.start
    if bill.by is By.DAY:
        day = start.date().isoformat()
        return day_text(start), _of_days(address, day, day), True
    last = min(next_month(start), bill.period.end) - timedelta(hours=1)
    first = max(start, bill.period.start)
    href = _of_days(address, first.date().isoformat(), last.date().isoformat())
    return month_text(start), href, True


def _of_days(address: Address, first: str, last: str) -> str:
    return address.page(**{"range": "", "from": first, "to": last, "by": ""})


def _course(bill: Bill) -> list[dict[str, Any]]:
    if bill.course is None or bill.by is bill.course.by:
        return []
    is_day = bill.course.by is By.DAY
    return [
        {
            "start": start,
            "label": day_text(start) if is_day else month_text(start),
            "credits": amount,
        }
        for start, amount in bill.course.credits
    ]


def _chart(bill: Bill) -> dict[str, Any] | None:
    """Give the columns of the chart: times in seconds since the epoch, credits as text."""
    if bill.course is None or len(bill.course.credits) <= 1:
        return None
    return {
        "step": str(bill.course.by),
        "starts": [to_ms(start) // 1000 for start, _ in bill.course.credits],
        "credits": [f"{amount:f}" for _, amount in bill.course.credits],
    }
