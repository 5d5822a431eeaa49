"""The page of sources: who sends samples, how often, and what of them was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from os_credits.domain.source import SourceState
from os_credits.flows.sources import read_sources
from os_credits.store.pool import snapshot
from os_credits.web.admin.spans import span_text
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.flows.sources import SourceReport

DOORS = {
    "remote_write_1": N_("Prometheus remote write 1.0"),
    "remote_write_2": N_("Prometheus remote write 2.0"),
    "line_protocol_1": N_("InfluxDB lines, version 1"),
    "line_protocol_2": N_("InfluxDB lines, version 2"),
    "telegraf_json": N_("Telegraf's JSON"),
}
STATES = {
    SourceState.SENDING: N_("sends"),
    SourceState.SILENT: N_("silent"),
    SourceState.NEW: N_("new"),
}


def routes() -> list[PageRoute]:
    """Give the page of sources."""
    return [
        PageRoute(
            "/admin/sources",
            list_page,
            "Who sends samples, as a page",
            gate="admin",
            api=("GET /api/v1/sources",),
        )
    ]


async def list_page(request: web.Request) -> web.Response:
    """Show every source, the silent ones first."""
    async with snapshot(request.app[DESK].pool) as conn:
        now, found = await read_sources(conn)
    rows = [_row(one, now) for one in found]
    context = {
        "rows": rows,
        "silent_count": sum(row["level"] == "silent" for row in rows),
        "now": now,
    }
    return render(request, "admin/sources.html", context)


def _row(report: SourceReport, now: datetime) -> dict[str, Any]:
    source = report.source
    is_silent = report.state is SourceState.SILENT and not report.is_revoked
    state = gettext("key revoked") if report.is_revoked else gettext(STATES[report.state])
    return {
        "source": source,
        "name": report.key_name,
        "door": gettext(DOORS[source.key.door]) if source.key.door in DOORS else source.key.door,
        "state": state,
        "level": "over" if report.is_revoked else report.state.value,
        "silence": _silence(report, now) if is_silent else "",
        "ago": span_text(now - source.last_push_at),
        "usual": "" if source.usual is None else span_text(source.usual),
        "last_hour": report.accepted_last_hour,
        "refused": sorted(source.refused.items(), key=lambda one: (-one[1], one[0])),
    }


def _silence(report: SourceReport, now: datetime) -> str:
    """Say how long nothing came: nothing for 15 minutes, used to send every 30 s."""
    usual = report.source.usual
    quiet = span_text(now - report.source.last_push_at)
    if usual is None:
        return gettext("nothing for %(quiet)s", quiet=quiet)
    return gettext(
        "nothing for %(quiet)s, used to send every %(usual)s", quiet=quiet, usual=span_text(usual)
    )
