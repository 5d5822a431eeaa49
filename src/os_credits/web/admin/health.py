"""The page of health: what is found, what to do about it, and the jobs of all copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from os_credits.domain.finding import State
from os_credits.domain.text import legible
from os_credits.flows.diagnose_work import COPY_QUIET_MAX
from os_credits.web.admin.office import OFFICE
from os_credits.web.admin.spans import span_text
from os_credits.web.language import N_, gettext, told
from os_credits.web.room import PageRoute, render, see_other

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from os_credits.domain.copy import Copy
    from os_credits.domain.finding import Finding

STATES = {
    State.OK: N_("All is well"),
    State.WARNING: N_("Somebody should look at this"),
    State.FAILED: N_("Something does not work"),
}
MARKS = {State.OK: N_("well"), State.WARNING: N_("look"), State.FAILED: N_("broken")}
_ORDER = (State.FAILED, State.WARNING, State.OK)


def routes() -> list[PageRoute]:
    """Give the page of health, and the address that leads there."""
    return [
        PageRoute(
            "/admin", start, "To the first page of administration", gate="admin",
            api=("GET /api/v1/health-report",),
        ),
        PageRoute(
            "/admin/health", health_page, "How the service fares, as a page", gate="admin",
            api=("GET /api/v1/health-report",),
        ),
    ]  # fmt: skip


async def start(request: web.Request) -> web.Response:
    """Lead to the page of health."""
    return see_other(request, "/admin/health")


async def health_page(request: web.Request) -> web.Response:
    """Show what doctor finds, the gravest first, and how the jobs of all copies fare."""
    report = await request.app[OFFICE].rounds.report()
    findings = sorted(report.findings, key=lambda one: _ORDER.index(one.state))
    context = {
        "report": report,
        "state": gettext(STATES[report.state]),
        "findings": [_finding(one) for one in findings if one.state is not State.OK],
        "well": [_finding(one) for one in findings if one.state is State.OK],
        "copies": [_copy(one, report.as_of) for one in report.copies],
        "waits": (
            "" if report.oldest_batch_at is None
            else span_text(report.as_of - report.oldest_batch_at)
        ),
    }  # fmt: skip
    return render(request, "admin/health.html", context)


def _finding(one: Finding) -> dict[str, Any]:
    message = gettext(one.text, **one.values) if one.text else told(one.message)
    return {
        "check": told(one.check),
        "state": one.state.value,
        "mark": gettext(MARKS[one.state]),
        "message": legible(message),
        "advice": legible(told(one.advice)) if one.advice else "",
    }


def _copy(copy: Copy, now: datetime) -> dict[str, Any]:
    return {
        "known": copy,
        "runs": now - copy.seen_at <= COPY_QUIET_MAX,
        "up": span_text(copy.seen_at - copy.started_at),
        "seen": span_text(now - copy.seen_at),
        "jobs": [_job(one) for one in copy.jobs],
    }


def _job(job: Mapping[str, Any]) -> dict[str, Any]:
    ended_at = job.get("last_ended_at") or ""
    return {
        **job,
        "milliseconds": round(1000 * job["last_seconds"]),
        "ended": ended_at[:19].replace("T", " "),
    }
