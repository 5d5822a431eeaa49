"""The page of a project's grants, with the forms by which administrators give and take credits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.typedefs import Handler

from os_credits.domain.allowance import floor_month, month_text, next_month
from os_credits.domain.amount import added, from_micro
from os_credits.domain.closing import ClosingRequest
from os_credits.domain.instruction import Transfer
from os_credits.domain.period import floor_hour
from os_credits.errors import NotFound
from os_credits.flows.accounts import instruct
from os_credits.flows.closing import close, reopen
from os_credits.flows.grants import read_fates, read_latest
from os_credits.flows.projects import resolve_project
from os_credits.store import allowances, balances, closings, grants, projects
from os_credits.store.pool import snapshot
from os_credits.web.admin.deeds import DEEDS, About, Deed, taken_by
from os_credits.web.admin.form import (
    HOUR_FORMAT,
    NUMBER_MAX,
    Form,
    conflict_status,
    form_of,
    our_number,
    refused_status,
)
from os_credits.web.admin.grant_view import grant_line
from os_credits.web.admin.price_view import exact_text
from os_credits.web.admin.tools import TOOLS
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.domain.amount import Credits
    from os_credits.domain.balance import Balance
    from os_credits.domain.grant import Grant
    from os_credits.domain.instruction import Instruction
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection

GRANTS_PER_PAGE = 50
PATH = "/projects/{project}"
CLOSED = {
    "closed": N_("The project's end is decided."),
    "reopened": N_("The project goes on."),
}
NOTHING = from_micro(0)
_FORMS = ("grant", "adjust", "transfer", "allowance", "top_up", "void", "closing", "reopening")
# What is done on the page of one grant.
_OF_GRANT = ("top_up", "void")
_TITLES = {
    "void": N_("Take back this grant?"),
    "adjust": N_("Take credits off this account?"),
    "transfer": N_("Move these credits?"),
}


def routes() -> list[PageRoute]:
    """Give the pages of a project's account, and its forms."""
    return [
        PageRoute(
            f"{PATH}/grants",
            grants_page,
            "A project's grants, as a page",
            api=(
                "GET /api/v1/projects/{project}/grants",
                "GET /api/v1/projects/{project}/allowances",
            ),
        ),
        PageRoute(
            f"{PATH}/grants/{{number}}",
            grant_page,
            "One grant of a project, as a page",
            api=("GET /api/v1/projects/{project}/grants",),
        ),
        *(
            PageRoute(
                PATH + deed.path,
                _carrying_out(deed),
                deed.summary,
                method="POST",
                gate="admin",
                api=(deed.api,),
            )
            for deed in DEEDS
        ),
        PageRoute(
            f"{PATH}/closing",
            close_project,
            "Close a project",
            method="POST",
            gate="admin",
            api=("POST /api/v1/projects/{project}/closing",),
        ),
        PageRoute(
            f"{PATH}/reopening",
            reopen_project,
            "Let a closed project go on",
            method="POST",
            gate="admin",
            api=("POST /api/v1/projects/{project}/reopening",),
        ),
    ]


async def project_of(request: web.Request, conn: Connection) -> Project:
    """Find the project of the path, among those that the visitor may see; raises NotFound."""
    desk, access = request.app[DESK], visitor_of(request).access
    return await resolve_project(
        conn,
        request.match_info["project"],
        site=request.query.get("site"),
        domain=request.query.get("domain"),
        may_see=lambda project: desk.may_read(access, project),
    )


async def grants_page(request: web.Request) -> web.Response:
    """Show what a project was given, and to administrators the forms that change it."""
    return await _show(request, {})


async def grant_page(request: web.Request) -> web.Response:
    """Show one grant, and to administrators what can be done with it."""
    return await _show_grant(request, {})


async def _show(
    request: web.Request, forms: Mapping[str, Form], *, status: int = 200
) -> web.Response:
    before = our_number(request.query.get("before", ""))
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
        page = await read_latest(
            conn,
            before_id=before or NUMBER_MAX,
            limit=GRANTS_PER_PAGE,
            among=[project.id],
        )
        now, fates = await read_fates(conn, project.id, page.grants)
        given = await allowances.list_allowances(conn, [project.id])
        closing = (await closings.list_decided(conn, [project.id])).get(project.id)
        balance = (await balances.read_balances(conn, [project.id]))[project.id]
    path = f"/projects/%23{project.id}/grants"
    context = {
        **_common(project, balance, forms, now),
        "lines": [grant_line(one, fates[one.id], now) for one in page.grants],
        "allowances": given,
        "closing": closing,
        "next_path": f"{path}?before={page.following}" if page.following else "",
        "first_path": path if before else "",
        "done": _done(request),
        "this_month": month_text(floor_month(now)),
        "next_month": month_text(next_month(now)),
    }
    return render(request, "admin/project_grants.html", context, status=status)


def _common(
    project: Project, balance: Balance, forms: Mapping[str, Form], now: datetime
) -> dict[str, Any]:
    """Give what every page with forms needs: each has a key of its own from the start."""
    filled = {name: forms.get(name) or Form() for name in (*_FORMS, *forms)}
    for form in filled.values():
        form.key()
    return {
        "project": project,
        "balance": balance,
        "forms": filled,
        "now": now,
        "this_hour": floor_hour(now).strftime(HOUR_FORMAT),
        "path": f"/projects/%23{project.id}",
        "exact": exact_text,
    }


def _done(request: web.Request) -> str:
    word = request.query.get("done", "")
    sentences = {deed.name: deed.done for deed in DEEDS} | CLOSED
    return gettext(sentences[word]) if word in sentences else ""


async def _show_grant(
    request: web.Request, forms: Mapping[str, Form], *, status: int = 200
) -> web.Response:
    number = our_number(request.match_info["number"])
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
        grant = await _grant(conn, project, number)
        now, fates = await read_fates(conn, project.id, [grant])
        balance = (await balances.read_balances(conn, [project.id]))[project.id]
    context = {
        **_common(project, balance, forms, now),
        "line": grant_line(grant, fates[grant.id], now),
        "done": _done(request),
    }
    return render(request, "admin/grant.html", context, status=status)


async def _grant(conn: Connection, project: Project, number: int) -> Grant:
    found = await grants.find_grants(conn, [number])
    if not found or found[0].project_id != project.id:
        raise NotFound(f"there is no grant {number} of this project")
    return found[0]


def _carrying_out(deed: Deed) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return await _carry_out(request, deed)

    return handle


async def _carry_out(request: web.Request, deed: Deed) -> web.Response:
    """Do what a form asks for, once for its key; what takes credits away is confirmed first."""
    form = form_of(request)
    form.key()
    author = visitor_of(request).access.name
    number = our_number(request.match_info.get("number", ""))
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
        instruction = await deed.read(form, About(conn, project, author, number))
        grant = await _grant(conn, project, number) if deed.name in _OF_GRANT else None
    taken = None if instruction is None else taken_by(instruction, grant)
    if instruction is not None and taken is not None and form.value("confirmed") != "yes":
        return await _ask(request, deed, form, instruction, grant, taken)
    if instruction is not None:
        with form.judged():
            await instruct(request.app[DESK].pool, instruction, request.app[TOOLS].watch)
        if form.is_good:
            return see_other(request, f"/projects/%23{project.id}/grants", done=deed.name)
    status = refused_status(request) if form.errors else conflict_status(request)
    if deed.name in _OF_GRANT:
        return await _show_grant(request, {deed.name: form}, status=status)
    name = f"{deed.name}-{number}" if number else deed.name
    return await _show(request, {name: form}, status=status)


async def _ask(
    request: web.Request,
    deed: Deed,
    form: Form,
    instruction: Instruction,
    grant: Grant | None,
    taken: Credits,
) -> web.Response:
    """Show what will be left, with a form that confirms exactly this."""
    receiver_id = instruction.to_project_id if isinstance(instruction, Transfer) else None
    ids = [instruction.project_id, *([] if receiver_id is None else [receiver_id])]
    async with snapshot(request.app[DESK].pool) as conn:
        named = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
        found = await balances.read_balances(conn, ids)
    # What waits for its hour is not in the balance yet.
    counts = grant is None or grant.entry_id is not None
    lines = [(named[ids[0]], found[ids[0]].current, taken.copy_negate() if counts else NOTHING)]
    if receiver_id is not None:
        lines.append((named[receiver_id], found[receiver_id].current, taken))
    path = f"/projects/%23{ids[0]}"
    context = {
        "title": gettext(_TITLES[deed.name]),
        "action": path + deed.path.replace("{number}", request.match_info.get("number", "")),
        "back": f"{path}/grants",
        "fields": {
            name: value for name, value in form.values.items() if name not in ("csrf", "confirmed")
        },
        "reason": instruction.reason,
        "what": gettext("Project"),
        "lines": [
            {
                "name": project.name,
                "href": f"/credits_history/%23{project.id}",
                "site": project.site,
                "before": before,
                "moved": moved,
                "after": added(before, moved),
            }
            for project, before, moved in lines
        ],
        "exact": exact_text,
    }
    return render(request, "admin/confirm.html", context)


async def close_project(request: web.Request) -> web.Response:
    """Close a project from an hour on."""
    form = form_of(request)
    reason, hour = form.text("reason", needed=True), form.hour("hour")
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
    author = visitor_of(request).access.name
    if not form.errors:
        with form.judged():
            await close(request.app[DESK].pool, ClosingRequest(project.id, hour, reason, author))
    return await _decided(request, form, project, "closing", "closed")


async def reopen_project(request: web.Request) -> web.Response:
    """Let a closed project go on."""
    form = form_of(request)
    reason = form.text("reason", needed=True)
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
    if not form.errors:
        author = visitor_of(request).access.name
        with form.judged():
            await reopen(request.app[DESK].pool, project.id, reason=reason, author=author)
    return await _decided(request, form, project, "reopening", "reopened")


async def _decided(
    request: web.Request, form: Form, project: Project, name: str, done: str
) -> web.Response:
    if form.is_good:
        return see_other(request, f"/projects/%23{project.id}/grants", done=done)
    status = refused_status(request) if form.errors else conflict_status(request)
    return await _show(request, {name: form}, status=status)
