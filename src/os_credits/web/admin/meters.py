"""Pages of meters: what is tracked and how, what has no price, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from os_credits.errors import NotFound
from os_credits.flows.settle import read_unpriced
from os_credits.store import batches, flavors, meters
from os_credits.store.pool import snapshot
from os_credits.web.admin.meter_view import KINDS, meter_lines, unpriced_lines, version_lines
from os_credits.web.admin.tools import TOOLS
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

# How many metrics that no meter claims, and refusals, are listed.
LISTED_MAX = 50
# What the short reasons mean for which samples are refused, or taken and set aside.
REASONS = {
    "unreadable": N_("could not be read"),
    "labels": N_("labels that cannot be used"),
    "too_old": N_("older than samples may be"),
    "dropped": N_("of a time whose samples are no longer kept"),
    "too_far_ahead": N_("too far ahead of the clock"),
    "delta_door": N_("amounts that came where none can be taken"),
    "untimed": N_("amounts without a time"),
    "new_series": N_("more new series than a key may bring"),
    "key_scope": N_("a meter or site that the key may not feed"),
    "stale_marker": N_("markers that a series has ended"),
    "not_matching": N_("labels under which the meter does not count"),
    "nan": N_("no number"),
    "negative": N_("below zero"),
    "out_of_range": N_("too large to be true"),
}


def routes() -> list[PageRoute]:
    """Give the pages of meters."""
    return [
        PageRoute(
            "/admin/meters",
            list_page,
            "What is tracked, what has no price, and what is refused, as a page",
            gate="admin",
            api=("GET /api/v1/meters", "GET /api/v1/unpriced", "GET /stats"),
        ),
        PageRoute(
            "/admin/meters/of/{meter}",
            meter_page,
            "How a meter is read and rated, and was, as a page",
            gate="admin",
            api=("GET /api/v1/meters/{meter}/revisions",),
        ),
    ]


async def list_page(request: web.Request) -> web.Response:
    """Show all meters, and whatever of usage and samples needs somebody."""
    async with snapshot(request.app[DESK].pool) as conn:
        now = await batches.read_now(conn)
        versions = await meters.list_versions(conn)
        names = await flavors.list_flavors(conn)
        unpriced = await read_unpriced(conn)
    latest = {one.meter_id: one.definition for one in versions}
    stats = request.app[TOOLS].stats
    return render(
        request,
        "admin/meters.html",
        {
            "meters": meter_lines(versions, now),
            "kinds": {kind: gettext(text) for kind, text in KINDS.items()},
            "unpriced": unpriced_lines(unpriced.sums, latest, names),
            "is_all": unpriced.is_all,
            "unknown": _counted(stats.unknown_metrics),
            "refused": _counted(stats.refused, _reason),
            "set_aside": _counted(stats.set_aside, _reason),
            "examples": list(stats.refused_examples)[::-1],
        },
    )


def _counted(counts: Counter[str], name: Callable[[str], str] = str) -> list[tuple[str, int]]:
    return [(name(one), count) for one, count in counts.most_common(LISTED_MAX)]


def _reason(code: str) -> str:
    known = REASONS.get(code)
    return code if known is None else gettext(known)


async def meter_page(request: web.Request) -> web.Response:
    """Show every version of a meter, and what its labels mean by it."""
    name = request.match_info["meter"]
    async with snapshot(request.app[DESK].pool) as conn:
        now = await batches.read_now(conn)
        versions = [one for one in await meters.list_versions(conn) if one.definition.name == name]
        said = await meters.read_said(conn)
    if not versions:
        raise NotFound(f"there is no meter {name[:200]!r}")
    return render(
        request,
        "admin/meter.html",
        {
            "definition": versions[-1].definition,
            "versions": version_lines(versions, said, now),
            "kinds": {kind: gettext(text) for kind, text in KINDS.items()},
        },
    )
