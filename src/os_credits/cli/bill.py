"""Bills: what an organisation, a project or one of its resources cost in a period."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from os_credits.api.bill_csv import bill_csv
from os_credits.api.bills import bill_shape, period_of
from os_credits.api.shapes import credits_text, short_text
from os_credits.cli.database import with_database
from os_credits.cli.decisions import hour
from os_credits.cli.output import examples, print_json, print_table, say
from os_credits.cli.project import Domain, Site
from os_credits.domain.access import Access, Scope
from os_credits.domain.bill import Bill, BillGroup, BillLine, By, Order
from os_credits.flows.bill import FILE_HOURS_MAX, Asked, BillRequest, find_subject, read_bill
from os_credits.settings import Settings
from os_credits.store import batches
from os_credits.store.pool import Connection, Pool, snapshot

_OPERATOR = Access("command", frozenset({Scope.ADMIN}))


class Format(StrEnum):
    """How a bill is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def add_to(main: typer.Typer) -> None:
    """Give the program its command."""
    main.command(
        epilog=examples(
            "os-credits bill --project biobank",
            "os-credits bill --organisation institute --by project --format csv > bill.csv",
            "os-credits bill --project biobank --from 2026-01-01 --to 2026-04-01 --by month",
        )
    )(bill)


def bill(
    organisation: Annotated[
        str | None, typer.Option(help="Its name, or #number; with everything beneath it.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Its name, its cloud's id, or #number.")
    ] = None,
    resource: Annotated[str | None, typer.Option(help="Only this one of the project.")] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="HOUR", help="A full hour (UTC); if not given, this month."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="HOUR", help="Hours before this; else a month later."),
    ] = None,
    by: Annotated[By | None, typer.Option(help="What makes a group of lines.")] = None,
    order: Annotated[Order, typer.Option(help="In which order the groups stand.")] = Order.NUMBER,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TABLE,
    site: Site = None,
    domain: Domain = None,
) -> None:
    """Print what was charged for the hours of a period, in lines that add up exactly.

    What is charged but not booked yet is included, and told as open.
    """
    asked = Asked(organisation, project, resource, site, domain)
    first = None if start is None else hour(start, "--from")
    last = None if end is None else hour(end, "--to")

    async def work(pool: Pool, _settings: Settings) -> Bill:
        async with snapshot(pool) as conn:
            return await _read(conn, asked, first, last, by, order)

    made = with_database(work)
    match form:
        case Format.JSON:
            print_json(bill_shape(made))
        case Format.CSV:
            typer.echo(bill_csv(made), nl=False)
        case Format.TABLE:
            _show(made)


async def _read(
    conn: Connection,
    asked: Asked,
    start: datetime | None,
    end: datetime | None,
    by: By | None,
    order: Order,
) -> Bill:
    subject = await find_subject(conn, _OPERATOR, asked, may_see=lambda _project: True)
    period = period_of(start, end, await batches.read_now(conn))
    wanted = BillRequest(
        subject,
        period,
        subject.grouping(by),
        order=order,
        hours_max=FILE_HOURS_MAX,
        with_account=subject.resource is None,
    )
    return await read_bill(conn, wanted)


def _show(made: Bill) -> None:
    start, end = made.period.start, made.period.end
    say(f"{_whose(made)}, {start:%Y-%m-%dT%H:%MZ} up to {end:%Y-%m-%dT%H:%MZ}, by {made.by}")
    rows: list[tuple[str, ...]] = []
    for group in made.groups:
        rows.append((_name(group, made), "", "", "", "", credits_text(group.credits)))
        rows += [("", *_line(line)) for line in group.lines]
    headings = ("group", "meter, flavor", "quantity>", "unit", "unit price>", "credits>")
    print_table(headings, rows, empty="Nothing was charged in this time.")
    not_booked = "" if made.open is None else f", of which open {credits_text(made.open)}"
    say(f"in all {credits_text(made.credits)} credits{not_booked}")
    if not made.has_quantities:
        say("There are too many hours of resources to tell quantities at once.")
    if made.account is not None:
        account = made.account
        say(
            f"balance {credits_text(account.opening)} at the beginning,"
            f" given {credits_text(account.given)}, taken {credits_text(account.taken)},"
            f" {credits_text(account.closing)} at the end"
        )


def _whose(made: Bill) -> str:
    subject = made.subject
    if subject.organisation is not None:
        return f"organisation {subject.organisation.name}"
    name = "" if subject.project is None else subject.project.name
    of = "" if subject.resource is None else f"{subject.resource} of "
    return f"{of}project {name}"


def _name(group: BillGroup, made: Bill) -> str:
    if group.organisation is not None:
        return group.organisation.name
    if group.project is not None:
        return group.project.name
    if group.start is not None:
        return f"{group.start:%Y-%m-%d}" if made.by is By.DAY else f"{group.start:%Y-%m}"
    if group.meter is not None:
        return group.meter
    if group.resource is not None:
        return group.resource
    return "(own projects)" if made.by is By.PART else "(no longer told apart)"


def _line(line: BillLine) -> tuple[str, ...]:
    price = line.price.credits_per_unit
    several = "several" if line.price.count > 1 else ""
    unpriced = f" (and {short_text(line.unpriced)} without a price)" if line.unpriced else ""
    return (
        f"{line.meter}, {line.flavor}" if line.flavor else line.meter,
        ("" if line.quantity is None else short_text(line.quantity)) + unpriced,
        line.unit,
        several if price is None else short_text(price),
        credits_text(line.credits),
    )
