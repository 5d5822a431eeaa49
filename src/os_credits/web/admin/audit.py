"""The page of the audit log: who changed what, in words, with filters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.audit import AuditFilter
from os_credits.domain.text import legible
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.projects import resolve_project
from os_credits.store import audit, flavors, meters, organisations, projects
from os_credits.store.pool import snapshot
from os_credits.web.admin.audit_words import NOTHING, SUBJECTS, Names, day_of, words_of
from os_credits.web.admin.form import Form, query_form
from os_credits.web.language import N_, gettext, told
from os_credits.web.room import DESK, PageRoute, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from os_credits.domain.audit import AuditLine
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection

LINES_PER_PAGE = 100
WAYS = {
    "page": N_("on a page"),
    "api": N_("by a program"),
    "command": N_("at the command line"),
    "service": N_("by itself"),
}
_DIGITS_MAX = 18
_FIELDS = ("actor", "login", "subject", "project", "since")


def routes() -> list[PageRoute]:
    """Give the page of the audit log."""
    return [
        PageRoute(
            "/admin/audit",
            list_page,
            "Who changed what, as a page",
            gate="admin",
            api=("GET /api/v1/audit",),
        )
    ]


async def list_page(request: web.Request) -> web.Response:
    """Show lines of the log, the newest first."""
    form = query_form(request)
    before = number_of(form.value("before"))
    async with snapshot(request.app[DESK].pool) as conn:
        wanted = await _filter(conn, form, before)
        found = [] if wanted is None else await _lines(conn, wanted)
        rows = await in_words(conn, found[:LINES_PER_PAGE], lambda _project: True)
    kept = {name: form.value(name) for name in _FIELDS if form.value(name)}
    more = len(found) > LINES_PER_PAGE
    context = {
        "rows": rows,
        "form": form,
        "subjects": [("", NOTHING), *((key, gettext(text)) for key, text in SUBJECTS.items())],
        "next_path": _path({**kept, "before": str(rows[-1]["line"].id)}) if more else "",
        "first_path": _path(kept) if before else "",
    }
    return render(request, "admin/audit.html", context, status=200 if form.is_good else 400)


def _path(query: dict[str, str]) -> str:
    return f"/admin/audit?{urlencode(query)}" if query else "/admin/audit"


def number_of(text: str) -> int | None:
    """Read one of our numbers; None for what is none."""
    is_number = text.isascii() and text.isdecimal() and 0 < len(text) <= _DIGITS_MAX
    return int(text) if is_number else None


async def _filter(conn: Connection, form: Form, before: int | None) -> AuditFilter | None:
    """Read which lines are looked for; None if the form is wrong."""
    since = project_id = None
    try:
        since = day_of(form.value("since")) if form.value("since") else None
    except InvalidInput as error:
        form.wrong("since", told(error.message))
    if name := form.value("project"):
        try:
            project_id = (await resolve_project(conn, name)).id
        except NotFound:
            form.wrong("project", gettext("There is no such project."))
    login = form.value("login")
    if login and number_of(login) is None:
        form.wrong("login", gettext("This is no number of a login."))
    if not form.is_good:
        return None
    return AuditFilter(
        project_id=project_id,
        subject=form.value("subject")[:100] or None,
        actor=form.text("actor")[:200] or None,
        login_id=number_of(login),
        since=since,
        before_id=before,
    )


async def _lines(conn: Connection, wanted: AuditFilter) -> list[AuditLine]:
    return await audit.list_audit(conn, wanted, limit=LINES_PER_PAGE + 1)


async def in_words(
    conn: Connection, lines: Sequence[AuditLine], may_see: Callable[[Project], bool]
) -> list[dict[str, Any]]:
    """Say each line in words; of other projects only those are named that may be seen."""
    asked = _numbers(lines, "project_id", "to_project_id")
    known = {
        one.id: one
        for one in await projects.list_projects_by_id(conn, sorted(asked))
        if may_see(one)
    }
    nodes = _numbers(lines, "organisation_id", "parent_id")
    named = await organisations.name_organisations(conn, nodes)
    names = Names(
        meters={one.meter_id: one.definition.name for one in await meters.list_versions(conn)},
        flavors=await flavors.list_flavors(conn),
        projects={one.id: one.name for one in known.values()},
        organisations={number: one.name for number, one in named.items()},
    )
    return [
        {
            "line": one,
            "words": words_of(one, names),
            "way": gettext(WAYS[one.via]) if one.via in WAYS else one.via,
            "project": known.get(one.project_id or 0),
            "details": _details(one),
        }
        for one in lines
    ]


def _numbers(lines: Sequence[AuditLine], name: str, other: str) -> set[int]:
    """Gather what the lines name in a column of their own, and in another one of the details."""
    found = {getattr(one, name) for one in lines} | {one.details.get(other) for one in lines}
    return {number for number in found if isinstance(number, int)}


def _details(line: AuditLine) -> list[tuple[str, str]]:
    """Give all fields of a change as text."""
    changed = line.details.get("changed")
    if isinstance(changed, dict):
        shown = {name: f"{_written(old)} → {_written(new)}" for name, (old, new) in changed.items()}
    else:
        shown = {name: _written(value) for name, value in line.details.items()}
    return [(legible(name), legible(text)) for name, text in shown.items()]


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
