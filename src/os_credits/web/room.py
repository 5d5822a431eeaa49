"""What every page needs: the desk it is served from, templates, and its security headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import aiohttp_jinja2
import jinja2
from aiohttp import web

from os_credits.domain.access import Access
from os_credits.domain.project import Project
from os_credits.store.pool import Pool
from os_credits.web import text

# Everything comes from this service; pico.css draws its marks by data: URLs.
SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
_HEADERS = {
    "Content-Security-Policy": SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What the pages need of the service: its database, who asks, and how to show amounts.

    `digits` is the number of digits after the point; `percents` are the lines of notices.
    """

    pool: Pool
    access_of: Callable[[web.Request], Access]
    may_read: Callable[[Access, Project], bool]
    digits: int
    percents: Sequence[Decimal]


DESK = web.AppKey("DESK", Desk)


def set_up(app: web.Application, desk: Desk) -> None:
    """Let an application serve pages; the routes are its own to add."""
    app[DESK] = desk
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("os_credits.web"),
        undefined=jinja2.StrictUndefined,
        finalize=text.written,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        credits=lambda amount: text.credits_text(amount, desk.digits),
        quantity=text.quantity_text,
        percent=text.percent_text,
        day=text.day_text,
        hour=text.hour_text,
        month=text.month_text,
        date=text.date_text,
        minute=text.minute_text,
        breakable=text.breakable,
        isolated=text.isolated,
        shortened=text.shortened,
    )


def message_page(
    request: web.Request,
    status: int,
    title: str,
    message: str,
    candidates: Sequence[dict[str, str]] = (),
) -> web.Response:
    """Answer with a page that says what is wrong, with links to what could be meant."""
    linked = [
        {**one, "href": f"/credits_history/{quote(one['number'], safe='')}"} for one in candidates
    ]
    context = {"title": title, "text": message, "candidates": linked}
    return render(request, "message.html", context, status=status)


def render(
    request: web.Request, template: str, context: dict[str, Any], *, status: int = 200
) -> web.Response:
    """Fill a template, and forbid the page everything that is not of this service."""
    response = aiohttp_jinja2.render_template(template, request, context, status=status)
    response.headers.update(_HEADERS)
    return response
