"""The page of a project's samples that are out of the set, and the forms that change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from os_credits.domain.amount import from_micro
from os_credits.errors import NotFound
from os_credits.flows.exclusions import ExclusionRequest, exclude, lift
from os_credits.store import batches, exclusions, meters
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import (
    Form,
    conflict_status,
    form_of,
    our_number,
    refused_status,
)
from os_credits.web.admin.price_view import exact_text
from os_credits.web.admin.project_grants import project_of
from os_credits.web.admin.tools import TOOLS
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.domain.project import Project
    from os_credits.flows.exclusions import Excluded
    from os_credits.store.pool import Connection

PATH = "/projects/{project}/exclusions"
DONE = {
    "excluded": N_("The samples are out of the set. Hours that are booked get corrections."),
    "lifted": N_("The samples are in the set again, and rated within seconds."),
}
CHANGED = N_("The effect has changed since you looked at it. Please look again before you confirm.")


def routes() -> list[PageRoute]:
    """Give the page of exclusions, and its forms."""
    excludes = ("POST /api/v1/projects/{project}/exclusions",)
    return [
        PageRoute(
            PATH,
            exclusions_page,
            "Which samples of a project are out of the set, as a page",
            api=("GET /api/v1/projects/{project}/exclusions",),
        ),
        PageRoute(
            f"{PATH}/preview",
            preview,
            "What taking samples out would change, as a page",
            method="POST",
            gate="admin",
            api=excludes,
        ),
        PageRoute(
            PATH,
            confirm,
            "Take samples out that were looked at",
            method="POST",
            gate="admin",
            api=excludes,
        ),
        PageRoute(
            f"{PATH}/{{number}}/lift",
            lift_exclusion,
            "Let excluded samples into the set again",
            method="POST",
            gate="admin",
            api=("POST /api/v1/exclusions/{exclusion}/lift",),
        ),
    ]


async def exclusions_page(request: web.Request) -> web.Response:
    """Show which samples are out, and to administrators the forms."""
    return await _show(request, Form())


async def preview(request: web.Request) -> web.Response:
    """Show what taking samples out would change, with a form that carries exactly this."""
    return await _show(request, form_of(request), is_looked_at=True)


async def confirm(request: web.Request) -> web.Response:
    """Take the samples out if everything is as it was looked at; else show it again."""
    form = form_of(request)
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
        known = await _meters(conn)
    wanted = _read(request, form, project, known)
    effect = form.value("effect")
    if wanted is not None and effect and form.value("looked_at") == looked_at(wanted):
        with form.judged():
            await _exclude(request, wanted, effect=effect)
        if form.is_good:
            return see_other(request, f"/projects/%23{project.id}/exclusions", done="excluded")
    if not form.errors:
        form.problems = [gettext(CHANGED)]
    return await _show(request, form, is_looked_at=True)


def looked_at(wanted: ExclusionRequest) -> str:
    """Write what a preview is made for, so that a form that was changed is noticed."""
    parts = (wanted.meter_id, wanted.series_id, wanted.starts_at, wanted.ends_at, wanted.reason)
    return "|".join(map(str, parts))


async def _meters(conn: Connection) -> dict[str, int]:
    return {one.definition.name: one.meter_id for one in await meters.list_versions(conn)}


def _read(
    request: web.Request, form: Form, project: Project, known: Mapping[str, int]
) -> ExclusionRequest | None:
    meter = form.one_of("meter", ("", *known))
    starts_at, ends_at = form.moment("starts_at"), form.moment("ends_at")
    reason = form.text("reason", needed=True)
    series = form.value("series").strip()
    series_id = our_number(series) if series else None
    if series and not series_id:
        form.wrong("series", gettext("This is no number of a series."))
    if form.errors:
        return None
    return ExclusionRequest(
        project.id,
        reason,
        visitor_of(request).access.name,
        meter_id=known.get(meter),
        series_id=series_id,
        starts_at=starts_at,
        ends_at=ends_at,
    )


async def _exclude(
    request: web.Request,
    wanted: ExclusionRequest,
    *,
    preview: bool = False,
    effect: str | None = None,
) -> Excluded:
    return await exclude(
        request.app[DESK].pool,
        wanted,
        window_ms=request.app[TOOLS].window_ms,
        preview=preview,
        effect=effect,
    )


async def _show(
    request: web.Request,
    form: Form,
    *,
    is_looked_at: bool = False,
    lifting: Mapping[int, Form] | None = None,
) -> web.Response:
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
        known = await _meters(conn)
        found = [
            one
            for one in await exclusions.list_active_exclusions(conn)
            if one.project_id == project.id
        ]
        now = await batches.read_now(conn)
    wanted = _read(request, form, project, known) if is_looked_at else None
    excluded: Excluded | None = None
    if wanted is not None:
        with form.judged():
            excluded = await _exclude(request, wanted, preview=True)
    names = {number: name for name, number in known.items()}
    word = DONE.get(request.query.get("done", ""))
    forms = dict(lifting or {})
    context = {
        "project": project,
        "form": form,
        "meters": [("", gettext("All meters")), *((name, name) for name in sorted(known))],
        "exclusions": [
            (one, names.get(one.meter_id or 0, ""), forms.get(one.id) or Form()) for one in found
        ],
        "now": now,
        "wanted": wanted,
        "excluded": excluded,
        "credits": None if excluded is None else from_micro(excluded.change.micro),
        "looked_at": "" if wanted is None else looked_at(wanted),
        "path": f"/projects/%23{project.id}",
        "done": "" if word is None else gettext(word),
        "exact": exact_text,
    }
    every = [form, *forms.values()]
    status = 200
    if not all(one.is_good for one in every):
        wrong = any(one.errors for one in every)
        status = refused_status(request) if wrong else conflict_status(request)
    return render(request, "admin/exclusions.html", context, status=status)


async def lift_exclusion(request: web.Request) -> web.Response:
    """Let the samples of an exclusion in again."""
    form = form_of(request)
    number = our_number(request.match_info["number"])
    reason = form.text("reason", needed=True)
    async with snapshot(request.app[DESK].pool) as conn:
        project = await project_of(request, conn)
        found = await exclusions.find_exclusion(conn, number)
    if found is None or found.project_id != project.id:
        raise NotFound(f"there is no exclusion {number} of this project")
    if not form.errors:
        with form.judged():
            author = visitor_of(request).access.name
            await lift(request.app[DESK].pool, number, reason=reason, author=author)
    if form.is_good:
        return see_other(request, f"/projects/%23{project.id}/exclusions", done="lifted")
    return await _show(request, Form({}), lifting={number: form})
