"""Looks at the work of the service as a doctor would: copies, jobs, hours, seals, sources."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.finding import State, finding_of
from os_credits.domain.period import HOUR
from os_credits.domain.source import SourceState
from os_credits.flows.sources import read_sources
from os_credits.store import batches, copies, diagnosis, rating_state, seals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.copy import Copy
    from os_credits.domain.finding import Finding
    from os_credits.domain.seal import Seal
    from os_credits.flows.sources import SourceReport
    from os_credits.store.diagnosis import Unbooked
    from os_credits.store.pool import Connection

# Copies report every ten seconds.
COPY_QUIET_MAX = timedelta(seconds=60)
# An hour closes after its grace period, and is booked and sealed within minutes.
CLOSING_LATE = timedelta(hours=2)
UNBOOKED_LATE = timedelta(minutes=15)
SEALING_LATE = timedelta(hours=3)
FORECAST_LATE = timedelta(hours=24)
SHOWN_MAX = 5
NOT_HEARD_OF = "is the service running, and does it reach the database? See its log"
SEVERAL_VERSIONS = "update the older ones; migrations leave them working meanwhile"
TRIED = "it is tried again and again; see the log of the service"
RESTART = "restart that copy, and see its log"
CLOSES = "the job book closes hours: does it run? See the log of the service"
BOOKS = "the job book does it; see the log of the service"
SEALS = "the job seal makes one for each closed hour; see the log of the service"
FORECASTS = "the job forecast makes them; see the log of the service"
SILENT = "does that program run, and reach the service? If it ended for good, revoke its key"
INVITE_AGAIN = "invite again, or show the link to the person yourself"


async def look_at_work(conn: Connection) -> list[Finding]:
    """Check what the service does by itself, and who sends."""
    now = await batches.read_now(conn)
    heard = await copies.list_copies(conn)
    closed_until = await rating_state.read_closed_until(conn)
    booked_at = await diagnosis.read_last_booking(conn)
    _, sources = await read_sources(conn)
    return [
        judge_copies(heard, now),
        judge_jobs(heard, now),
        judge_closing(closed_until, now, has_copies=bool(heard)),
        judge_booking(await diagnosis.read_unbooked(conn, closed_until), now),
        judge_seals(await seals.read_last_seal(conn), booked_at, now),
        judge_forecasts(await diagnosis.read_forecast_age(conn), now),
        judge_sources(sources, now),
        judge_invitations(*await diagnosis.count_invitations(conn)),
    ]


def judge_copies(copies_heard: Sequence[Copy], now: datetime) -> Finding:
    """Judge whether copies of the service run, all of one version."""
    check = "copies"
    heard = running(copies_heard, now)
    if not copies_heard:
        return finding_of(check, State.OK, "none has run within an hour")
    if not heard:
        latest = max(one.seen_at for one in copies_heard)
        text, advice = "none was heard of since %(moment)s", NOT_HEARD_OF
        return finding_of(check, State.WARNING, text, advice, moment=_moment(latest))
    versions = sorted({one.version for one in heard})
    values = {"count": len(heard), "versions": ", ".join(versions)}
    text = "running: %(count)s, of version %(versions)s"
    if len(versions) > 1:
        return finding_of(check, State.WARNING, text, SEVERAL_VERSIONS, **values)
    return finding_of(check, State.OK, text, **values)


def running(copies_heard: Sequence[Copy], now: datetime) -> list[Copy]:
    """Give the copies that were heard of just now."""
    return [one for one in copies_heard if now - one.seen_at <= COPY_QUIET_MAX]


def judge_jobs(copies_heard: Sequence[Copy], now: datetime) -> Finding:
    """Judge whether the jobs of all running copies do their work."""
    failing: dict[str, str] = {}
    stopped = set()
    for copy in running(copies_heard, now):
        for job in copy.jobs:
            if job["failures_in_a_row"]:
                failing[job["name"]] = job["last_error"]
            if not job["running"]:
                stopped.add(job["name"])
    if failing:
        shown = "; ".join(f"{name}: {error}" for name, error in sorted(failing.items())[:SHOWN_MAX])
        return finding_of(
            "jobs", State.WARNING, "failed at their last run: %(jobs)s", TRIED, jobs=shown
        )
    if stopped:
        shown = ", ".join(sorted(stopped))
        return finding_of("jobs", State.WARNING, "do not run: %(jobs)s", RESTART, jobs=shown)
    return finding_of("jobs", State.OK, "none failed at its last run")


def judge_closing(closed_until: datetime, now: datetime, *, has_copies: bool) -> Finding:
    """Judge whether hours are closed when they are over."""
    is_late = has_copies and now - closed_until > HOUR + CLOSING_LATE
    state, advice = (State.WARNING, CLOSES) if is_late else (State.OK, "")
    return finding_of(
        "hours", state, "closed until %(moment)s", advice, moment=_moment(closed_until)
    )


def judge_booking(unbooked: Unbooked, now: datetime) -> Finding:
    """Judge what was charged for closed hours and stands in no ledger yet."""
    if not unbooked.count or unbooked.since is None:
        return finding_of("booking", State.OK, "all closed hours are booked")
    is_late = now - unbooked.since > UNBOOKED_LATE
    state, advice = (State.WARNING, BOOKS) if is_late else (State.OK, "")
    text = "charges of closed hours that wait: %(count)s, since %(moment)s"
    moment = _moment(unbooked.since)
    return finding_of("booking", state, text, advice, count=unbooked.count, moment=moment)


def judge_seals(last: Seal | None, booked_at: datetime | None, now: datetime) -> Finding:
    """Judge whether what was booked is sealed."""
    is_open = booked_at is not None and (last is None or booked_at > last.sealed_at)
    is_late = is_open and booked_at is not None and now - booked_at > SEALING_LATE
    state, advice = (State.WARNING, SEALS) if is_late else (State.OK, "")
    if last is None:
        text = "none yet, though entries are booked" if is_late else "none yet"
        return finding_of("seals", state, text, advice)
    text = "the last is of %(moment)s"
    if is_late:
        text = "the last is of %(moment)s, entries came later"
    return finding_of("seals", state, text, advice, moment=_moment(last.sealed_at))


def judge_forecasts(ages: tuple[int, datetime | None], now: datetime) -> Finding:
    """Judge how old forecasts are."""
    count, latest = ages
    if latest is None:
        return finding_of("forecasts", State.OK, "none yet")
    state, advice = (State.WARNING, FORECASTS) if now - latest > FORECAST_LATE else (State.OK, "")
    text = "projects that have one: %(count)s, the last was made at %(moment)s"
    return finding_of("forecasts", state, text, advice, count=count, moment=_moment(latest))


def judge_sources(reports: Sequence[SourceReport], now: datetime) -> Finding:
    """Judge whether who used to send samples still does."""
    if not reports:
        return finding_of("sources", State.OK, "nobody has sent samples yet")
    silent = [one for one in reports if one.state is SourceState.SILENT and not one.is_revoked]
    if not silent:
        return finding_of(
            "sources", State.OK, "known: %(count)s, none is silent", count=len(reports)
        )
    shown = "; ".join(_silence(one, now) for one in silent[:SHOWN_MAX])
    text = "silent: %(count)s, such as %(sources)s"
    return finding_of("sources", State.WARNING, text, SILENT, count=len(silent), sources=shown)


def _silence(report: SourceReport, now: datetime) -> str:
    source = report.source
    name = report.key_name or "an open network"
    site = f" for {source.key.site}" if source.key.site else ""
    usual = f", used to send every {span(source.usual)}" if source.usual is not None else ""
    quiet = span(now - source.last_push_at)
    return f"{name} by {source.key.door}{site}: nothing for {quiet}{usual}"


def span(length: timedelta) -> str:
    """Write a length of time in its largest unit: 30 s, 15 min, 3 h, 2 d."""
    seconds = max(length.total_seconds(), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def judge_invitations(pending_count: int, refused_count: int) -> Finding:
    """Judge what became of the mails by which people are to log in."""
    values = {"pending": pending_count, "refused": refused_count}
    text = "%(pending)s waiting, %(refused)s refused within a week"
    if refused_count:
        return finding_of("invitations", State.WARNING, text, INVITE_AGAIN, **values)
    return finding_of("invitations", State.OK, text, **values)


def judge_size(byte_count: int) -> Finding:
    """Say how large the database is; whether its disk has room only its machine can tell."""
    size = f"{byte_count / 2**20:,.0f}"
    return finding_of("database size", State.OK, "%(size)s MiB", size=size)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
