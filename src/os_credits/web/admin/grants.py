"""The page of grants of all projects, the latest first."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.grant import GrantState
from os_credits.domain.lot import LotKind
from os_credits.flows.grants import read_latest
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import NUMBER_MAX, our_number, query_form
from os_credits.web.admin.grant_view import KINDS, STATES, grant_line
from os_credits.web.language import gettext
from os_credits.web.room import DESK, PageRoute, render

if TYPE_CHECKING:
    from collections.abc import Mapping

GRANTS_PER_PAGE = 50


def routes() -> list[PageRoute]:
    """Give the page of all grants."""
    return [
        PageRoute(
            "/admin/grants",
            list_page,
            "The latest grants of all projects, as a page",
            gate="admin",
            api=("GET /api/v1/grants",),
        )
    ]


async def list_page(request: web.Request) -> web.Response:
    """Show a page of grants, narrowed by kind, state and author."""
    form = query_form(request)
    kind, state, author = form.value("kind"), form.value("state"), form.text("author")
    before = our_number(form.value("before"))
    async with snapshot(request.app[DESK].pool) as conn:
        page = await read_latest(
            conn,
            before_id=before or NUMBER_MAX,
            limit=GRANTS_PER_PAGE,
            kind=LotKind(kind) if kind in set(LotKind) else None,
            state=GrantState(state) if state in set(GrantState) else None,
            author=author if not form.errors else "",
        )
    kept = {name: form.value(name) for name in ("kind", "state", "author") if form.value(name)}
    path = "/admin/grants"
    return render(
        request,
        "admin/grants.html",
        {
            "form": form,
            "lines": [
                (grant_line(one, None, page.now), page.projects[one.project_id])
                for one in page.grants
            ],
            "kinds": _choices(KINDS),
            "states": _choices(STATES),
            "next_path": _with(path, {**kept, "before": str(page.following)})
            if page.following
            else "",
            "first_path": _with(path, kept) if before else "",
            "is_narrowed": bool(kept),
        },
    )


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _choices(names: Mapping[LotKind, str] | Mapping[GrantState, str]) -> list[tuple[str, str]]:
    return [("", gettext("All")), *((one.value, gettext(text)) for one, text in names.items())]
