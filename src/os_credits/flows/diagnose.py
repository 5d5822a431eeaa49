"""Looks at a database as a doctor would, and says of each finding what to do about it."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from os_credits.domain.finding import Finding, State, finding_of
from os_credits.domain.mail import Channel, MailState
from os_credits.domain.meter import MeterKind
from os_credits.flows.diagnose_work import judge_size, look_at_work
from os_credits.flows.start import TWO_ROLES, why_unguarded
from os_credits.store import batches, diagnosis, ledger_guard, mails, meters, portal, server, usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.portal import PortalHealth
    from os_credits.store.diagnosis import SharedSeries
    from os_credits.store.ledger_guard import LedgerGuard
    from os_credits.store.pool import Connection
    from os_credits.store.server import Durability

SKEW_SECONDS_MAX = 2.0
# Rating rests half a minute at most (`rate_clock.py`): what waits longer tells that nobody rates.
WAITING_SECONDS_MAX = 60
TIMESCALEDB_VERSION_MIN = (2, 13)
# Two lost samples should not cost a level, so a gap of three intervals must be allowed.
INTERVALS_MIN = 3
SHOWN_MAX = 5
BECAME = "%(sent)s sent, %(waiting)s waiting, %(refused)s refused"


async def diagnose(
    conn: Connection,
    *,
    allow_unsafe: bool,
    ahead_seconds_max: float,
    sends_mail: bool,
    asks_portal: bool,
) -> list[Finding]:
    """Check the server, the schema and, if that is there, what the tables tell.

    `allow_unsafe` and `ahead_seconds_max` are the service's settings, `sends_mail` and
    `asks_portal` say whether it has a mail server and a portal.
    """
    findings = await look(
        conn,
        allow_unsafe=allow_unsafe,
        ahead_seconds_max=ahead_seconds_max,
        sends_mail=sends_mail,
        asks_portal=asks_portal,
    )
    if any(one.check == "schema" and one.state is State.FAILED for one in findings):
        return findings
    return [*findings, *await look_closely(conn)]


async def look(
    conn: Connection,
    *,
    allow_unsafe: bool,
    ahead_seconds_max: float,
    sends_mail: bool,
    asks_portal: bool,
) -> list[Finding]:
    """Check what can be checked within milliseconds, however much is stored."""
    durability = await server.read_durability(conn)
    schema = judge_schema(await server.read_revision(conn))
    findings = [
        Finding("server", State.OK, f"PostgreSQL {durability.server_version}"),
        judge_extension(durability),
        judge_durability(durability, allow_unsafe=allow_unsafe),
        judge_clock(await _skew(conn), ahead_seconds_max=ahead_seconds_max),
        schema,
    ]
    if schema.state is State.FAILED:
        return findings
    return [
        *findings,
        judge_ledger(await ledger_guard.read_ledger_guard(conn), allow_unsafe=allow_unsafe),
        judge_keys(has_admin=await diagnosis.has_admin_key(conn)),
        judge_queue(*await batches.count_batches(conn), now=await batches.read_now(conn)),
        *await look_at_work(conn),
        *judge_channels(await mails.count_mails(conn), sends_mail=sends_mail),
        judge_portal(await portal.read_health(conn), asks_portal=asks_portal),
    ]


async def look_closely(conn: Connection) -> list[Finding]:
    """Check what takes longer the more is stored: meters, series, prices, sizes."""
    return [
        *await _look_at_meters(conn),
        judge_shared_series(await diagnosis.list_shared_series(conn)),
        judge_unpriced(await usage.list_unpriced(conn)),
        judge_size(await diagnosis.read_size(conn)),
    ]


async def _skew(conn: Connection) -> timedelta:
    """Measure how far the database's clock is ahead of this machine's, to half a round trip."""
    await batches.read_now(conn)  # the first statement of a session takes longer
    started = time.monotonic()
    theirs = await batches.read_now(conn)
    trip = timedelta(seconds=time.monotonic() - started)
    return theirs - (datetime.now(UTC) - trip / 2)


async def _look_at_meters(conn: Connection) -> list[Finding]:
    latest = {one.meter_id: one.definition for one in await meters.list_versions(conn)}
    if not latest:
        advice = "start the service once, or os-credits meter load FILE"
        return [Finding("meters", State.WARNING, "no meter is declared", advice)]
    findings = [finding_of("meters", State.OK, "%(count)s declared", count=len(latest))]
    for meter_id, definition in latest.items():
        if definition.kind is MeterKind.GAUGE:
            interval = await diagnosis.read_sampling_interval(conn, meter_id)
            if interval is not None:
                findings.append(judge_gap(definition, interval))
    return findings


def judge_extension(durability: Durability) -> Finding:
    """Judge whether TimescaleDB is there, and name its licence."""
    version, edition = durability.timescaledb_version, durability.timescaledb_license
    if version is None:
        advice = "CREATE EXTENSION timescaledb in the database; os-credits migrate tries to"
        return Finding("timescaledb", State.FAILED, "the extension is missing", advice)
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers < TIMESCALEDB_VERSION_MIN:
        wanted = ".".join(map(str, TIMESCALEDB_VERSION_MIN))
        advice = f"update TimescaleDB to {wanted} or later"
        return Finding("timescaledb", State.FAILED, f"{version} is too old", advice)
    kind = "Apache edition" if edition == "apache" else f"licence {edition}"
    return Finding("timescaledb", State.OK, f"{version}, {kind}")


def judge_durability(durability: Durability, *, allow_unsafe: bool) -> Finding:
    """Judge whether a commit survives a crash of the database's machine."""
    if not durability.problems:
        settings = "fsync, full_page_writes and synchronous_commit are on"
        return Finding("durability", State.OK, settings)
    text, problems = "acknowledged samples could be lost: %(problems)s", durability.problems
    if allow_unsafe:
        state = State.WARNING
        advice = "OS_CREDITS_ALLOW_UNSAFE_DATABASE lets the service start all the same"
    else:
        state = State.FAILED
        advice = "change it in postgresql.conf; the service refuses to start like this"
    return finding_of("durability", state, text, advice, problems=", ".join(problems))


def judge_schema(revision: str | None) -> Finding:
    """Judge whether the tables are those of this version."""
    head, older = server.expected_revisions()
    if revision is None:
        return Finding("schema", State.FAILED, "there are no tables yet", "os-credits migrate")
    if revision in older:
        found = f"at {revision}, this version needs {head}"
        return Finding("schema", State.FAILED, found, "os-credits migrate")
    if revision != head:
        found = f"at {revision}, which is newer than this version knows ({head})"
        return Finding("schema", State.WARNING, found, "update os_credits here too")
    return Finding("schema", State.OK, f"at {head}")


def judge_clock(skew: timedelta, *, ahead_seconds_max: float) -> Finding:
    """Judge the difference between the database's clock and this machine's."""
    seconds = skew.total_seconds()
    text = "this machine is %(seconds)s s ahead of the database"
    if seconds > 0:
        text = "this machine is %(seconds)s s behind the database"
    shown = f"{abs(seconds):.3f}"
    if abs(seconds) <= SKEW_SECONDS_MAX:
        return finding_of("clock", State.OK, text, seconds=shown)
    advice = "let NTP set both; the database's clock decides what is too old or too far ahead"
    grave = -seconds > ahead_seconds_max
    state = State.FAILED if grave else State.WARNING
    return finding_of("clock", state, text, advice, seconds=shown)


def judge_ledger(guard: LedgerGuard, *, allow_unsafe: bool) -> Finding:
    """Judge whether entries are guarded against changes."""
    if not guard.has_triggers:
        advice = "ALTER TABLE entry ENABLE TRIGGER entry_is_append_only, and find out who did it"
        return Finding("ledger", State.FAILED, "entries can be changed: no trigger", advice)
    if guard.problems:
        state = State.WARNING if allow_unsafe else State.FAILED
        return Finding("ledger", state, why_unguarded(guard), TWO_ROLES)
    return Finding("ledger", State.OK, "entries can be appended only")


def judge_keys(*, has_admin: bool) -> Finding:
    """Judge whether somebody can administer the service over HTTP."""
    if has_admin:
        return Finding("keys", State.OK, "there is an administrator's key")
    advice = "os-credits key add NAME --scope admin"
    return Finding("keys", State.WARNING, "there is no administrator's key", advice)


def judge_gap(definition: MeterDefinition, interval: timedelta) -> Finding:
    """Judge whether a gauge's `max_gap` allows for a lost sample or two."""
    check = f"max_gap of {definition.name}"
    seconds, allowed = interval.total_seconds(), definition.max_gap_seconds
    text = "samples come every %(seconds)s s, gaps up to %(allowed)s s are billed"
    values = {"seconds": f"{seconds:g}", "allowed": allowed}
    advice = f"set max_gap_seconds to {INTERVALS_MIN * seconds:g} or more in the meter file"
    if seconds > allowed:
        text += ": hence nothing is"
        return finding_of(check, State.FAILED, text, advice, **values)
    if allowed < INTERVALS_MIN * seconds:
        return finding_of(check, State.WARNING, text, advice, **values)
    return finding_of(check, State.OK, text, **values)


def judge_shared_series(shared: Sequence[SharedSeries]) -> Finding:
    """Judge series that several label sets feed in turn, by meter and by what differs."""
    if not shared:
        return Finding("label sets", State.OK, "no series is fed by several at once")
    series: dict[tuple[str, str], list[SharedSeries]] = defaultdict(list)
    for one in shared:
        series[one.meter, ", ".join(differing_labels(one.label_sets))].append(one)
    found = "; ".join(
        f"{len(ones)} series of {meter} (such as {ones[0].project} {ones[0].resource}".rstrip()
        + f") are fed by label sets that differ in {labels}"
        for (meter, labels), ones in sorted(series.items())[:SHOWN_MAX]
    )
    advice = (
        "right for two exporters or replicas of the same thing; if they count different "
        "things, name the label that tells them apart in the meter's identity"
    )
    return Finding("label sets", State.WARNING, found, advice)


def differing_labels(label_sets: Sequence[Mapping[str, str]]) -> list[str]:
    """Name the labels that are not the same in all label sets."""
    names = {name for labels in label_sets for name in labels}
    return sorted(name for name in names if len({one.get(name, "") for one in label_sets}) > 1)


def judge_unpriced(rows: Sequence[Mapping[str, object]]) -> Finding:
    """Judge usage that was metered and has no price."""
    if not rows:
        return Finding("prices", State.OK, "all usage has a price")
    shown = ", ".join(f"{row['meter']} {row['flavor']}".rstrip() for row in rows[:SHOWN_MAX])
    more = f" and {len(rows) - SHOWN_MAX} more" if len(rows) > SHOWN_MAX else ""
    advice = "os-credits price set METER --flavor FLAVOR CREDITS --from HOUR charges it"
    text = "usage without a price: %(usage)s"
    return finding_of("prices", State.WARNING, text, advice, usage=shown + more)


def judge_queue(
    batch_count: int, sample_count: int, oldest: datetime | None, *, now: datetime
) -> Finding:
    """Judge what was acknowledged and is not rated yet."""
    if oldest is None:
        return Finding("queue", State.OK, "nothing waits to be rated")
    seconds = max((now - oldest).total_seconds(), 0)
    text = "%(samples)s samples in %(batches)s batches wait for up to %(seconds)s s"
    values = {"samples": sample_count, "batches": batch_count, "seconds": f"{seconds:.0f}"}
    if seconds <= WAITING_SECONDS_MAX:
        return finding_of("queue", State.OK, text, **values)
    advice = "is a service running, and not each with OS_CREDITS_ENDPOINTS_ONLY? See its log"
    return finding_of("queue", State.WARNING, text, advice, **values)


def judge_channels(
    counts: Mapping[Channel, Mapping[MailState, int]], *, sends_mail: bool
) -> list[Finding]:
    """Judge what became of mails, and of what went to other programs where anything did."""
    posts = (channel for channel in Channel if channel is not Channel.MAIL)
    return [
        judge_mails(counts[Channel.MAIL], sends_mail=sends_mail),
        *(
            judge_posts(channel, counts[channel])
            for channel in posts
            if any(counts[channel].values())
        ),
    ]


def judge_posts(channel: Channel, counts: Mapping[MailState, int]) -> Finding:
    """Judge what became of the notices that went to a webhook or a portal."""
    name = f"{channel} notices"
    values = _counts(counts)
    if counts[MailState.REFUSED]:
        advice = "column last_error of table mail says why; are its URL and secret still right?"
        return finding_of(name, State.WARNING, BECAME, advice, **values)
    return finding_of(name, State.OK, BECAME, **values)


def _counts(counts: Mapping[MailState, int]) -> dict[str, object]:
    return {
        "sent": counts[MailState.SENT],
        "waiting": counts[MailState.PENDING],
        "refused": counts[MailState.REFUSED],
    }


def judge_mails(counts: Mapping[MailState, int], *, sends_mail: bool) -> Finding:
    """Judge what became of the mails so far."""
    values = _counts(counts)
    if counts[MailState.REFUSED]:
        advice = "look at the owners' addresses: os-credits project owner list"
        return finding_of("mails", State.WARNING, BECAME, advice, **values)
    if counts[MailState.PENDING] and not sends_mail:
        advice = "OS_CREDITS_MAIL_HOST is blank: name a mail server, or nobody hears of them"
        return finding_of("mails", State.WARNING, BECAME, advice, **values)
    return finding_of("mails", State.OK, BECAME, **values)


def judge_portal(health: PortalHealth, *, asks_portal: bool) -> Finding:
    """Judge whether the portal says what projects are granted."""
    if not asks_portal:
        return Finding("portal", State.OK, "none is asked")
    found = f"it has answered for {health.answered_count} projects"
    if health.last_answer_at is not None:
        found += f", lastly at {health.last_answer_at:%Y-%m-%d %H:%M} UTC"
    if health.failing_count:
        advice = "see the OS_CREDITS_PORTAL_ settings; what was granted stays as it is"
        found += f"; {health.failing_count} have no answer now, such as {health.example}"
        return Finding("portal", State.WARNING, found, advice)
    return Finding("portal", State.OK, found)
