"""Pages of one address: everything that is stored of it, and how it is erased."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from os_credits.domain.mail import mail_address
from os_credits.domain.person import address_key
from os_credits.flows.people import erase
from os_credits.store import logins, managers, people, projects
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import Form, form_of, refused_status
from os_credits.web.language import gettext
from os_credits.web.room import DESK, PageRoute, render, see_other

MAILS_SHOWN_MAX = 50


def routes() -> list[PageRoute]:
    """Give the pages of addresses."""
    return [
        PageRoute(
            "/admin/addresses", find, "To what is stored of an address", gate="admin",
            api=("GET /api/v1/people/{email}",),
        ),
        PageRoute(
            "/admin/addresses/{email}", address_page, "What is stored of an address, as a page",
            gate="admin", api=("GET /api/v1/people/{email}",),
        ),
        PageRoute(
            "/admin/addresses/{email}/erase", erase_address, "Erase an address everywhere",
            method="POST", gate="admin", api=("DELETE /api/v1/people/{email}",),
        ),
    ]  # fmt: skip


async def find(request: web.Request) -> web.Response:
    """Lead to the page of an address that was typed."""
    typed = request.query.get("email", "").strip()
    email = mail_address(typed, where="email")
    return see_other(request, f"/admin/addresses/{quote(email, safe='')}")


async def address_page(request: web.Request) -> web.Response:
    """Show projects, organisations, login and mails of an address."""
    return await _page(request, Form())


async def _page(request: web.Request, form: Form, status: int = 200) -> web.Response:
    email = mail_address(request.match_info["email"], where="email")
    async with snapshot(request.app[DESK].pool) as conn:
        parts = await people.list_stored(conn, email)
        by_id = {
            one.id: one
            for one in await projects.list_projects_by_id(conn, [one.project_id for one in parts])
        }
        context = {
            "email": email,
            "form": form,
            "parts": [(by_id[one.project_id], one.person) for one in parts],
            "managed": await managers.list_managed(conn, email),
            "login": await logins.find_login_of(conn, email),
            "mails": await people.list_last_mails(conn, email, limit=MAILS_SHOWN_MAX),
        }
    return render(request, "admin/address.html", context, status=status)


async def erase_address(request: web.Request) -> web.Response:
    """Erase an address, if it was typed once more."""
    form = form_of(request)
    email = mail_address(request.match_info["email"], where="email")
    if address_key(form.text("typed")) != address_key(email):
        form.wrong("typed", gettext("Please type the address that is to be erased."))
        return await _page(request, form, refused_status(request))
    await erase(request.app[DESK].pool, email)
    return see_other(request, "/admin/people", done="erased")
