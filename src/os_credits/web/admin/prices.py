"""Pages of prices: what holds, since when, and a new price after a look at what it changes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.flavor import NO_FLAVOR
from os_credits.domain.period import HOUR, floor_hour, to_ms
from os_credits.errors import NotFound
from os_credits.flows.prices import read_price_table, set_price
from os_credits.rating.charge import units_of
from os_credits.store import batches, meters, prices, projects
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import (
    HOUR_FORMAT,
    Form,
    conflict_status,
    form_of,
    query_form,
    refused_status,
)
from os_credits.web.admin.price_view import (
    CHART_HEIGHT,
    CHART_WIDTH,
    chart_of,
    exact_text,
    meter_prices,
    price_input,
    price_text,
    revisions_of,
)
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from os_credits.domain.price import Price
    from os_credits.flows.prices import PriceChange
    from os_credits.rating.quote import PriceTable
    from os_credits.store.pool import Connection

DONE = {
    "set": N_("The price is set. Hours that are booked already get corrections."),
    "ended": N_("The price ends. Hours that are booked already get corrections."),
}
CHANGED = N_("The effect has changed since you looked at it. Please look again before you confirm.")


def routes() -> list[PageRoute]:
    """Give the pages of prices."""
    return [
        PageRoute(
            "/admin/prices",
            list_page,
            "All prices that hold or will, as a page",
            gate="admin",
            api=("GET /api/v1/prices", "GET /api/v1/meters"),
        ),
        PageRoute(
            "/admin/prices/new",
            new_page,
            "A form for a new price",
            gate="admin",
            api=("GET /api/v1/prices",),
        ),
        PageRoute(
            "/admin/prices/preview",
            preview,
            "What a new price would change, as a page",
            method="POST",
            gate="admin",
            api=("POST /api/v1/prices",),
        ),
        PageRoute(
            "/admin/prices",
            confirm,
            "Set a price that was looked at",
            method="POST",
            gate="admin",
            api=("POST /api/v1/prices",),
        ),
        PageRoute(
            "/admin/prices/of/{meter}",
            history_page,
            "The prices of a meter and flavor since ever, as a page",
            gate="admin",
            api=("GET /api/v1/prices",),
        ),
    ]


async def list_page(request: web.Request) -> web.Response:
    """Show every meter with the prices that hold now, and what comes next."""
    async with snapshot(request.app[DESK].pool) as conn:
        now = await batches.read_now(conn)
        table = await read_price_table(conn)
    return render(
        request,
        "admin/prices.html",
        {
            "meters": meter_prices(table, now),
            "done": _done(request),
            "price_text": price_text,
            "history_path": _history_path,
            "new_path": _new_path,
        },
    )


def _done(request: web.Request) -> str:
    sentence = DONE.get(request.query.get("done", ""))
    return "" if sentence is None else gettext(sentence)


def _history_path(meter: str, flavor: str = "") -> str:
    return f"/admin/prices/of/{meter}" + (f"?{urlencode({'flavor': flavor})}" if flavor else "")


def _new_path(meter: str, flavor: str = "", *, ends: bool = False) -> str:
    query = {"meter": meter, "flavor": flavor, "ends": "on" if ends else ""}
    return f"/admin/prices/new?{urlencode({name: one for name, one in query.items() if one})}"


async def history_page(request: web.Request) -> web.Response:
    """Show all prices that were ever set for a meter and flavor, as steps and as a table."""
    meter, flavor = request.match_info["meter"], request.query.get("flavor", "")
    async with snapshot(request.app[DESK].pool) as conn:
        now = await batches.read_now(conn)
        table = await read_price_table(conn)
        stored = await prices.list_prices(conn)
    meter_id = next((id_ for id_, one in table.meters.items() if one.name == meter), None)
    if meter_id is None:
        raise NotFound(f"there is no meter {meter[:200]!r}")
    flavor_id = _flavor_id(table, flavor)
    counting = table.prices.counting(meter_id, flavor_id)
    return render(
        request,
        "admin/price_history.html",
        {
            "definition": table.meters[meter_id],
            "flavor": flavor,
            "revisions": revisions_of(table, stored, meter_id, flavor_id, now),
            "chart": chart_of(counting, now),
            "chart_size": (CHART_WIDTH, CHART_HEIGHT),
            "done": _done(request),
            "price_text": price_text,
            "new_path": _new_path,
        },
    )


def _flavor_id(table: PriceTable, flavor: str) -> int | None:
    if not flavor:
        return None
    found = next((id_ for id_, name in table.flavors.items() if name == flavor), None)
    if found is None:
        raise NotFound(f"there is no flavor {flavor[:200]!r}")
    return found


async def new_page(request: web.Request) -> web.Response:
    """Show the form, filled in with what the address asks for."""
    return await _show(request, query_form(request), is_looked_at=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A price as the form asks for it; `amount` None ends the one before."""

    meter: str
    flavor: str | None
    amount: Decimal | None
    valid_from: datetime


def _read(form: Form, meters: Collection[str]) -> Wanted | None:
    """Read the form; None if a field of it is wrong, which it then says."""
    meter = form.one_of("meter", meters)
    flavor = form.text("flavor")
    amount = None if form.value("ends") else form.price("amount")
    start = form.hour("valid_from", needed=True)
    if form.errors or start is None:
        return None
    return Wanted(meter, flavor or None, amount, start)


def looked_at(wanted: Wanted) -> str:
    """Write what a preview is made for, so that a form that was changed is noticed."""
    amount = "none" if wanted.amount is None else price_input(wanted.amount)
    return "|".join((wanted.meter, wanted.flavor or "", amount, wanted.valid_from.isoformat()))


async def preview(request: web.Request) -> web.Response:
    """Show what a price would change, with a form that carries exactly this."""
    return await _show(request, form_of(request), is_looked_at=True)


async def confirm(request: web.Request) -> web.Response:
    """Set the price if everything is as it was looked at; else show its effect again."""
    form = form_of(request)
    async with snapshot(request.app[DESK].pool) as conn:
        wanted = _read(form, await _meter_names(conn))
    effect = form.value("effect")
    if wanted is not None and effect and form.value("looked_at") == looked_at(wanted):
        with form.judged():
            await _set(request, wanted, effect=effect)
        if form.is_good:
            done = "ended" if wanted.amount is None else "set"
            path = f"/admin/prices/of/{wanted.meter}"
            query = {"flavor": wanted.flavor} if wanted.flavor else {}
            return see_other(request, path, **query, done=done)
    if not form.errors:
        form.problems = [gettext(CHANGED)]
    return await _show(request, form, is_looked_at=True)


async def _set(
    request: web.Request, wanted: Wanted, *, effect: str | None = None, preview: bool = False
) -> PriceChange:
    return await set_price(
        request.app[DESK].pool,
        meter=wanted.meter,
        flavor=wanted.flavor,
        credits_per_unit=wanted.amount,
        valid_from=wanted.valid_from,
        author=visitor_of(request).access.name,
        preview=preview,
        effect=effect,
    )


async def _meter_names(conn: Connection) -> list[str]:
    return sorted({one.definition.name for one in await meters.list_versions(conn)})


async def _show(request: web.Request, form: Form, *, is_looked_at: bool) -> web.Response:
    """Show the form, and below it what the price would change if that is asked for."""
    change, wanted = None, None
    async with snapshot(request.app[DESK].pool) as conn:
        now = await batches.read_now(conn)
        table = await read_price_table(conn)
    if is_looked_at:
        wanted = _read(form, [one.name for one in table.meters.values()])
        if wanted is not None:
            with form.judged():
                change = await _set(request, wanted, preview=True)
    async with snapshot(request.app[DESK].pool) as conn:
        concerned = [] if change is None else [number for number, _ in change.projects]
        named = {one.id: one for one in await projects.list_projects_by_id(conn, concerned)}
    context = {
        "form": form,
        "meters": [
            (one.name, f"{one.name} ({one.priced_unit})")
            for one in sorted(table.meters.values(), key=lambda one: one.name)
        ],
        "flavors": sorted(filter(None, table.flavors.values())),
        "next_hour": (floor_hour(now) + HOUR).strftime(HOUR_FORMAT),
        "now": now,
        "wanted": wanted,
        "looked_at": "" if wanted is None else looked_at(wanted),
        "change": change,
        "unit": _unit(table, wanted),
        "before": _before(table, wanted),
        "projects": named,
        "priced_quantity": _units(table, wanted, change, gets=True),
        "unpriced_quantity": _units(table, wanted, change, gets=False),
        "price_text": price_text,
        "exact": exact_text,
    }
    return render(request, "admin/price_new.html", context, status=_status(request, form))


def _status(request: web.Request, form: Form) -> int:
    if form.is_good:
        return 200
    return refused_status(request) if form.errors else conflict_status(request)


def _unit(table: PriceTable, wanted: Wanted | None) -> str:
    return next(
        (one.priced_unit for one in table.meters.values() if wanted and one.name == wanted.meter),
        "",
    )


def _before(table: PriceTable, wanted: Wanted | None) -> Price | None:
    """Give the price that holds in the hour from which on a new one is wanted."""
    if wanted is None:
        return None
    meter_id = next(id_ for id_, one in table.meters.items() if one.name == wanted.meter)
    hour_ms = to_ms(wanted.valid_from)
    flavor_id = next(
        (id_ for id_, name in table.flavors.items() if name == (wanted.flavor or "")), NO_FLAVOR
    )
    return table.prices.at(meter_id, flavor_id, hour_ms)


def _units(
    table: PriceTable, wanted: Wanted | None, change: PriceChange | None, *, gets: bool
) -> Decimal | None:
    """Give how much usage gets a price, or loses it, in the meter's priced units."""
    if change is None or wanted is None:
        return None
    definition = next(one for one in table.meters.values() if one.name == wanted.meter)
    quantity = (change.priced if gets else change.unpriced).quantity
    return Decimal(units_of(quantity, definition)) if quantity else None
