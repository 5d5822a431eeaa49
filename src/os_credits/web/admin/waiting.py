"""Pages of usage that waits for a verdict: in all projects, and one verdict after its preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.amount import from_micro
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.errors import NotFound
from os_credits.flows.projects import resolve_project
from os_credits.flows.settle import SettlementRequest, list_all_unsettled, list_unsettled, settle
from os_credits.store import flavors, meters, projects
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import (
    HOUR_FORMAT,
    Form,
    conflict_status,
    form_of,
    our_number,
    query_form,
    refused_status,
)
from os_credits.web.admin.meter_view import USAGE_KINDS, WaitingLine, waiting_line
from os_credits.web.admin.price_view import exact_text
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.project import Project
    from os_credits.flows.settle import Settled
    from os_credits.store.pool import Connection

SERIES_PER_PAGE = 25
KINDS = {"suspect": UsageKind.SUSPECT, "unmetered": UsageKind.UNMETERED}
DONE = {
    "bill": N_("It is billed. Hours that are booked already get corrections."),
    "waive": N_("It is waived: it costs nothing and waits no more."),
}
CHANGED = N_("The effect has changed since you looked at it. Please look again before you confirm.")


def routes() -> list[PageRoute]:
    """Give the pages of usage that waits."""
    settles = ("POST /api/v1/projects/{project}/settlements",)
    return [
        PageRoute(
            "/admin/meters/waiting",
            list_page,
            "Suspect and unmetered usage of all projects that waits for a verdict, as a page",
            gate="admin",
            api=("GET /api/v1/unsettled",),
        ),
        PageRoute(
            "/admin/meters/waiting/verdict",
            verdict_page,
            "A form for a verdict on usage",
            gate="admin",
            api=("GET /api/v1/unsettled",),
        ),
        PageRoute(
            "/admin/meters/waiting/preview",
            preview,
            "What a verdict would change, as a page",
            method="POST",
            gate="admin",
            api=settles,
        ),
        PageRoute(
            "/admin/meters/waiting/verdict",
            confirm,
            "Bill or waive usage that was looked at",
            method="POST",
            gate="admin",
            api=settles,
        ),
    ]


async def _names(
    conn: Connection,
) -> tuple[Mapping[int, MeterDefinition], Mapping[int, str]]:
    versions = await meters.list_versions(conn)
    return {one.meter_id: one.definition for one in versions}, await flavors.list_flavors(conn)


async def list_page(request: web.Request) -> web.Response:
    """Show a page of what waits, by series."""
    after = our_number(request.query.get("after", "0"))
    async with snapshot(request.app[DESK].pool) as conn:
        found, following = await list_all_unsettled(
            conn, after_series_id=after, limit=SERIES_PER_PAGE
        )
        definitions, names = await _names(conn)
        ids = sorted({one.project_id for one in found})
        known = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
    lines = [waiting_line(one, known[one.project_id], definitions, names) for one in found]
    sentence = DONE.get(request.query.get("done", ""))
    return render(
        request,
        "admin/waiting.html",
        {
            "lines": lines,
            "kinds": {kind: gettext(text) for kind, text in USAGE_KINDS.items()},
            "verdict_path": _verdict_path,
            "next_path": f"/admin/meters/waiting?after={following}" if following else "",
            "is_first": not after,
            "done": "" if sentence is None else gettext(sentence),
        },
    )


def _verdict_path(line: WaitingLine, verdict: str) -> str:
    query = {
        "project": f"#{line.project.id}",
        "series": line.usage.series_id,
        "kind": line.kind,
        "first_hour": line.usage.first_hour.strftime(HOUR_FORMAT),
        "end_hour": line.usage.end_hour.strftime(HOUR_FORMAT),
        "verdict": verdict,
    }
    return f"/admin/meters/waiting/verdict?{urlencode(query)}"


async def verdict_page(request: web.Request) -> web.Response:
    """Show the form for usage of one series."""
    return await _show(request, query_form(request), is_looked_at=False)


async def preview(request: web.Request) -> web.Response:
    """Show what a verdict would change, with a form that carries exactly this."""
    return await _show(request, form_of(request), is_looked_at=True)


async def confirm(request: web.Request) -> web.Response:
    """Store the verdict if everything is as it was looked at; else show its effect again."""
    form = form_of(request)
    async with snapshot(request.app[DESK].pool) as conn:
        project = await resolve_project(conn, form.value("project"))
    wanted = _read(request, form, project)
    effect = form.value("effect")
    if wanted is not None and effect and form.value("looked_at") == looked_at(wanted):
        with form.judged():
            await settle(request.app[DESK].pool, wanted, effect=effect)
        if form.is_good:
            return see_other(request, "/admin/meters/waiting", done=wanted.verdict.value)
    if not form.errors:
        form.problems = [gettext(CHANGED)]
    return await _show(request, form, is_looked_at=True)


def looked_at(wanted: SettlementRequest) -> str:
    """Write what a preview is made for, so that a form that was changed is noticed."""
    parts = (wanted.series_id, wanted.kind.name, wanted.first_hour, wanted.end_hour, wanted.verdict)
    return "|".join([*map(str, parts), wanted.reason])


async def _line(conn: Connection, form: Form, project: Project) -> WaitingLine:
    """Find the usage that a form is about; raises NotFound once it waits no more."""
    definitions, names = await _names(conn)
    series_id, kind = our_number(form.value("series")), KINDS.get(form.value("kind"))
    for one in await list_unsettled(conn, project.id):
        if one.series_id == series_id and one.kind is kind:
            return waiting_line(one, project, definitions, names)
    raise NotFound("nothing of this waits for a verdict any more")


def _read(request: web.Request, form: Form, project: Project) -> SettlementRequest | None:
    """Read the form; None if a field of it is wrong, which it then says."""
    kind = form.one_of("kind", KINDS)
    verdict = form.one_of("verdict", ("bill", "waive"))
    reason = form.text("reason", needed=True)
    first = form.hour("first_hour", needed=True)
    end = form.hour("end_hour", needed=True)
    if form.errors or first is None or end is None:
        return None
    return SettlementRequest(
        project.id,
        KINDS[kind],
        first,
        end,
        Verdict(verdict),
        reason,
        visitor_of(request).access.name,
        series_id=our_number(form.value("series")),
    )


async def _show(request: web.Request, form: Form, *, is_looked_at: bool) -> web.Response:
    async with snapshot(request.app[DESK].pool) as conn:
        project = await resolve_project(conn, form.value("project"))
        line = await _line(conn, form, project)
    wanted = _read(request, form, project) if is_looked_at else None
    settled: Settled | None = None
    if wanted is not None:
        with form.judged():
            settled = await settle(request.app[DESK].pool, wanted, preview=True)
    context: dict[str, Any] = {
        "form": form,
        "line": line,
        "kinds": {kind: gettext(text) for kind, text in USAGE_KINDS.items()},
        "wanted": wanted,
        "settled": settled,
        "credits": None if settled is None else from_micro(settled.change.micro),
        "looked_at": "" if wanted is None else looked_at(wanted),
        "exact": exact_text,
    }
    status = 200
    if not form.is_good:
        status = refused_status(request) if form.errors else conflict_status(request)
    return render(request, "admin/verdict.html", context, status=status)
