"""Pages of API keys: which there are, a new one that is shown once, and one that is revoked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from os_credits.domain.access import Scope
from os_credits.domain.project import Project
from os_credits.errors import NotFound
from os_credits.flows.keys import NAME_LENGTH_MAX, KeyRequest, create_key, list_keys, revoke_key
from os_credits.store import projects
from os_credits.store.pool import connection
from os_credits.web.admin.form import Form, form_of, refused_status
from os_credits.web.admin.office import OFFICE
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.keys import KeyRecord

DONE = {"revoked": N_("The key is revoked. It is refused within seconds.")}
SCOPES = (
    (Scope.INGEST, N_("hand in samples")),
    (Scope.READ, N_("read projects, their history and prices")),
    (Scope.ADMIN, N_("administer: change prices, grants and keys, read everything")),
)
_LIST = re.compile(r"[\r\n,]+")


def routes() -> list[PageRoute]:
    """Give the pages of keys."""
    return [
        PageRoute(
            "/admin/keys", list_page, "All keys, as a page", gate="admin",
            api=("GET /api/v1/keys",),
        ),
        PageRoute(
            "/admin/keys", make, "Make a key, and show it once", method="POST", gate="admin",
            api=("POST /api/v1/keys",),
        ),
        PageRoute(
            "/admin/keys/{key_id}/revoke", ask, "Ask whether a key is to be revoked",
            gate="admin", api=("GET /api/v1/keys",),
        ),
        PageRoute(
            "/admin/keys/{key_id}/revoke", revoke, "Revoke a key", method="POST", gate="admin",
            api=("DELETE /api/v1/keys/{key_id}",),
        ),
    ]  # fmt: skip


async def list_page(request: web.Request) -> web.Response:
    """Show all keys with what they may do, and a form for another one."""
    return await _page(request, Form())


async def _page(request: web.Request, form: Form, status: int = 200) -> web.Response:
    pool = request.app[DESK].pool
    stored = await list_keys(pool)
    numbers = {int(one[1:]) for key in stored for one in key.projects or () if _is_number(one)}
    async with connection(pool) as conn:
        known = await projects.list_projects_by_id(conn, sorted(numbers))
    names = {f"#{one.id}": one for one in known}
    done = DONE.get(request.query.get("done", ""))
    context = {
        "keys": [_row(key, names) for key in sorted(stored, key=_order)],
        "form": form,
        "scopes": [(scope.value, gettext(text)) for scope, text in SCOPES],
        "name_length_max": NAME_LENGTH_MAX,
        "done": gettext(done) if done else "",
    }
    return render(request, "admin/keys.html", context, status=status)


def _is_number(text: str) -> bool:
    digits = text.removeprefix("#")
    return text.startswith("#") and digits.isascii() and digits.isdecimal() and len(digits) < 19  # noqa: PLR2004


def _order(key: KeyRecord) -> tuple[bool, int]:
    """Put keys that work before those that were revoked, newer ones first."""
    return key.revoked_at is not None, -key.id


def _row(key: KeyRecord, names: dict[str, Project]) -> dict[str, Any]:
    return {
        "key": key,
        "projects": [
            {
                "name": names[one].name if one in names else one,
                "number": one if one in names else "",
            }
            for one in key.projects or ()
        ],
    }


async def make(request: web.Request) -> web.Response:
    """Make a key and show it, this once: nothing that shows it again is stored anywhere."""
    form = form_of(request)
    wish = _wish(request, form)
    if wish is not None:
        with form.judged():
            record, key = await create_key(request.app[DESK].pool, wish)
            return render(request, "admin/key_made.html", {"record": record, "key": key})
    return await _page(request, form, refused_status(request))


def _wish(request: web.Request, form: Form) -> KeyRequest | None:
    """Read what a new key shall be for; None if the form is wrong."""
    name = form.text("name", needed=True)
    sent = request.app[DESK].form_of(request).getall("scopes", [])
    scopes = frozenset(scope for scope in Scope if scope.value in sent)
    form.values["scopes"] = " ".join(sorted(scopes))
    if not scopes:
        form.wrong("scopes", gettext("Please choose at least one."))
    limits = {field: _limit(form, field) for field in ("projects", "sites", "meters")}
    if not form.is_good:
        return None
    with form.judged():
        return KeyRequest(name, scopes, **limits)
    return None


def _limit(form: Form, name: str) -> tuple[str, ...] | None:
    """Read names, one on each line or divided by commas; nothing stands for all."""
    names = [one.strip() for one in _LIST.split(form.value(name))]
    return tuple(dict.fromkeys(one for one in names if one)) or None


async def ask(request: web.Request) -> web.Response:
    """Ask whether a key is to be revoked, and name who would notice."""
    return render(request, "admin/key_revoke.html", {"record": await _key_of(request)})


async def revoke(request: web.Request) -> web.Response:
    """Revoke a key; a second time changes nothing."""
    record = await _key_of(request)
    await revoke_key(request.app[DESK].pool, record.id)
    request.app[OFFICE].keys.forget()
    return see_other(request, "/admin/keys", done="revoked")


async def _key_of(request: web.Request) -> KeyRecord:
    text = request.match_info["key_id"]
    stored: Sequence[KeyRecord] = await list_keys(request.app[DESK].pool)
    for one in stored:
        if text == str(one.id):
            return one
    raise NotFound(f"there is no key {text[:80]!r}")
