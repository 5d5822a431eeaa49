"""Pages of an organisation's managers: who sees and cares for all beneath it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import web

from os_credits.domain.access import Scope
from os_credits.domain.login import NAME_LENGTH_MAX
from os_credits.errors import Forbidden
from os_credits.flows.managers import put_manager, remove_manager
from os_credits.flows.organisations import resolve_organisation
from os_credits.store import batches, managers, places
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import Form, form_of, refused_status
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from os_credits.domain.organisation import Organisation
    from os_credits.store.pool import Connection

DONE = {
    "added": N_("This person manages the organisation from now on."),
    "removed": N_("This person manages the organisation no more."),
}


def routes() -> list[PageRoute]:
    """Give the pages of managers."""
    path, api = "/organisations/{organisation}/managers", "/api/v1/organisations/{organisation}"
    return [
        PageRoute(
            "/admin/managers", find, "To the managers of an organisation", gate="admin",
            api=("GET /api/v1/organisations",),
        ),
        PageRoute(
            path, page, "Who manages an organisation, as a page", gate="manage",
            api=(f"GET {api}/managers",),
        ),
        PageRoute(
            path, add, "Let somebody manage an organisation", method="POST", gate="manage",
            api=(f"PUT {api}/managers/{{email}}",),
        ),
        PageRoute(
            f"{path}/remove", remove, "Let somebody manage an organisation no more",
            method="POST", gate="manage", api=(f"DELETE {api}/managers/{{email}}",),
        ),
    ]  # fmt: skip


def _path(organisation: Organisation) -> str:
    return f"/organisations/{quote(organisation.name, safe='')}/managers"


async def find(request: web.Request) -> web.Response:
    """Lead to the page of an organisation that was typed."""
    name = request.query.get("organisation", "").strip()
    access = visitor_of(request).access
    async with snapshot(request.app[DESK].pool) as conn:
        organisation = await resolve_organisation(conn, name, access=access)
    return see_other(request, _path(organisation))


async def page(request: web.Request) -> web.Response:
    """Show the managers of an organisation to those who manage it."""
    return await _page(request, Form())


async def _page(request: web.Request, form: Form, status: int = 200) -> web.Response:
    access = visitor_of(request).access
    async with snapshot(request.app[DESK].pool) as conn:
        organisation = await _organisation(request, conn)
        if not access.may_manage_organisation(organisation.id):
            raise Forbidden("only its managers and administrators may")
        may_change = await _may_change(request, conn, organisation)
        known = await managers.list_managers(conn, organisation.id)
    done = DONE.get(request.query.get("done", ""))
    context = {
        "organisation": organisation,
        "managers": known,
        "may_change": may_change,
        "form": form,
        "path": _path(organisation),
        "done": gettext(done) if done else "",
        "name_length_max": NAME_LENGTH_MAX,
    }
    return render(request, "admin/managers.html", context, status=status)


async def _organisation(request: web.Request, conn: Connection) -> Organisation:
    name, access = request.match_info["organisation"], visitor_of(request).access
    return await resolve_organisation(conn, name, access=access)


async def _may_change(request: web.Request, conn: Connection, organisation: Organisation) -> bool:
    """Tell whether the visitor manages an organisation above it: nobody makes his own equals."""
    access = visitor_of(request).access
    if access.has(Scope.ADMIN):
        return True
    parents = await places.read_parents(conn, [organisation.id], await batches.read_now(conn))
    above = parents.get(organisation.id)
    return above is not None and access.may_manage_organisation(above.id)


async def _changeable(request: web.Request) -> Organisation:
    async with snapshot(request.app[DESK].pool) as conn:
        organisation = await _organisation(request, conn)
        if not await _may_change(request, conn, organisation):
            raise Forbidden("only managers of an organisation above it and administrators may")
        return organisation


async def add(request: web.Request) -> web.Response:
    """Let an address manage an organisation."""
    form = form_of(request)
    organisation = await _changeable(request)
    email, name = form.text("email", needed=True), form.text("name")
    if form.is_good:
        with form.judged():
            author = visitor_of(request).access.name
            pool = request.app[DESK].pool
            await put_manager(pool, organisation.id, email=email, name=name, author=author)
            return see_other(request, _path(organisation), done="added")
    return await _page(request, form, refused_status(request))


async def remove(request: web.Request) -> web.Response:
    """Let an address manage an organisation no more."""
    form = form_of(request)
    organisation = await _changeable(request)
    with form.judged():
        await remove_manager(request.app[DESK].pool, organisation.id, form.value("email"))
        return see_other(request, _path(organisation), done="removed")
    return await _page(request, form, refused_status(request))
