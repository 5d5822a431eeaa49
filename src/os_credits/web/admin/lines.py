"""The page of an organisation's lines: at which its projects' people are told, and its rule."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiohttp import web

from os_credits.domain.amount import number_of
from os_credits.domain.threshold import LineRule
from os_credits.errors import Forbidden, InvalidInput, NotFound
from os_credits.flows.organisations import visible_to
from os_credits.flows.threshold_rules import put_organisation_rule, read_organisation_lines
from os_credits.store import organisations, threshold_rules
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import NO_NUMBER, Form, form_of, our_number, refused_status
from os_credits.web.admin.price_view import price_input, price_text
from os_credits.web.admin.tools import TOOLS
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.organisation import Organisation
    from os_credits.flows.threshold_rules import EffectiveLines
    from os_credits.store.pool import Connection

PATH = "/organisations/{number}/lines"
API = "/api/v1/organisations/{organisation}/thresholds"
# Kinds of lines that are lists, with their headings; the other two are single figures.
LISTS = {
    "percents": N_("Per cent of what was granted"),
    "credits": N_("Credits left"),
    "days": N_("Days left"),
    "burn_per_day": N_("Credits used a day"),
}
FIGURES = {
    "hysteresis_percent": N_("Armed again above (per cent)"),
    "cool_down_hours": N_("Hours before the same line is told again"),
}
NONE = "none"
DONE = {"said": N_("These lines hold from now on.")}
_BETWEEN = re.compile(r"[;\s]+")


def routes() -> list[PageRoute]:
    """Give the page of an organisation's lines, and its form."""
    return [
        PageRoute(
            PATH,
            lines_page,
            "At which lines people of an organisation's projects are told, as a page",
            gate="manage",
            api=(f"GET {API}",),
        ),
        PageRoute(
            PATH,
            say,
            "Let an organisation's projects have other lines",
            method="POST",
            gate="manage",
            api=(f"PUT {API}",),
        ),
    ]


async def lines_page(request: web.Request) -> web.Response:
    """Show which lines hold, where each comes from, and the form for the organisation's rule."""
    return await _show(request, None)


async def _find(request: web.Request, conn: Connection) -> Organisation:
    """Find the organisation: what may not be seen is NotFound, what may only be seen Forbidden."""
    access = visitor_of(request).access
    number = our_number(request.match_info["number"])
    seen = await visible_to(conn, access)
    is_seen = seen is None or number in seen
    found = await organisations.list_organisations(conn, among=[number], limit=1)
    if not found or not is_seen:
        raise NotFound(f"there is no organisation {request.match_info['number'][:80]!r}")
    one = found[0]
    if not access.may_manage_organisation(one.id):
        raise Forbidden("only its managers and administrators may")
    return one


async def _show(request: web.Request, form: Form | None, *, status: int = 200) -> web.Response:
    async with snapshot(request.app[DESK].pool) as conn:
        one = await _find(request, conn)
        found = await read_organisation_lines(conn, one.id, request.app[TOOLS].watch.lines)
        said = (await threshold_rules.read_organisation_rules(conn, [one.id])).get(one.id)
    own = None if said is None else said.rule
    sentence = DONE.get(request.query.get("done", ""))
    context = {
        "organisation": one,
        "rows": [
            {
                "name": name,
                "label": gettext(label),
                "holds": _written(getattr(found.lines, name)),
                "source": _source(found, name),
                "typed": (
                    form.value(name)
                    if form is not None
                    else _typed(None if own is None else getattr(own, name))
                ),
                "error": "" if form is None else form.error(name),
                "is_list": name in LISTS,
            }
            for name, label in (LISTS | FIGURES).items()
        ],
        "said": said,
        "form": form or Form(),
        "path": PATH.replace("{number}", str(one.id)),
        "done": "" if sentence is None else gettext(sentence),
    }
    return render(request, "admin/lines.html", context, status=status)


def _source(found: EffectiveLines, name: str) -> str:
    stored = found.sources[name]
    return "" if stored is None or stored.organisation is None else stored.organisation


def _written(value: Decimal | int | Sequence[Decimal]) -> str:
    """Write lines for reading."""
    if isinstance(value, Decimal | int):
        return price_text(Decimal(value))
    return "; ".join(price_text(one) for one in value)


def _typed(value: Decimal | int | Sequence[Decimal] | None) -> str:
    """Write lines as the form takes them; '' where the rule says nothing."""
    if value is None:
        return ""
    if isinstance(value, Decimal | int):
        return price_input(Decimal(value))
    return "; ".join(price_input(one) for one in value) or NONE


async def say(request: web.Request) -> web.Response:
    """Let the organisation's rule be what the form says; with nothing in it, take it back."""
    form = form_of(request)
    async with snapshot(request.app[DESK].pool) as conn:
        one = await _find(request, conn)
    reason = form.text("reason", needed=True)
    rule = _rule(form)
    if form.is_good:
        await put_organisation_rule(
            request.app[DESK].pool,
            one.id,
            rule if rule is not None and rule.named() else None,
            reason=reason,
            author=visitor_of(request).access.name,
        )
        return see_other(request, PATH.replace("{number}", str(one.id)), done="said")
    return await _show(request, form, status=refused_status(request))


def _rule(form: Form) -> LineRule | None:
    """Read the form; None if something is wrong, which it then says."""
    named: dict[str, Any] = {}
    for name in LISTS:
        text = form.value(name).strip()
        if text:
            named[name] = () if text.lower() == NONE else _numbers(form, name, text)
    for name in FIGURES:
        text = form.value(name).strip()
        numbers = _numbers(form, name, text) if text else ()
        if len(numbers) > 1:
            form.wrong(name, gettext(NO_NUMBER))
        elif numbers:
            named[name] = numbers[0] if name == "hysteresis_percent" else int(numbers[0])
    if form.errors:
        return None
    with form.judged():
        return LineRule(**named)
    return None


def _numbers(form: Form, name: str, text: str) -> tuple[Decimal, ...]:
    try:
        found = tuple(number_of(one, where=name) for one in _BETWEEN.split(text) if one)
    except InvalidInput:
        found = ()
    if not found or not all(one.is_finite() for one in found):
        form.wrong(name, gettext(NO_NUMBER))
        return ()
    return found
