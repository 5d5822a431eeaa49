"""Recomputes everything in one snapshot, and says where what is stored is something else.

Credits from samples, charges from credits, entries from charges, balances from entries, and
the seals over all of them. It reads only, and a running service does not notice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.difference import Findings, Layer
from os_credits.domain.exclusion import Exclusions
from os_credits.domain.period import EPOCH, to_ms
from os_credits.flows.memory import read_pricing
from os_credits.flows.verify_accounts import check_accounts, check_seals
from os_credits.flows.verify_places import name_places
from os_credits.flows.verify_usage import Inputs, check_usage
from os_credits.rating.audit import check_charges
from os_credits.store import accounts, batches, exclusions, retention, verification
from os_credits.store.pool import Pool, snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.seal import Seal
    from os_credits.store.pool import Connection
    from os_credits.store.verification import SizedSeries

# How many projects are looked up at once, and how many of their rows are held at once; one
# project is never cut.
PROJECTS_MAX = 500
ROWS_MAX = 100_000
# What a project costs to look for, in rows.
ROWS_PER_PROJECT = 10


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at and found, as of the snapshot."""

    as_of: datetime
    findings: Findings
    last_seal: Seal | None
    seconds: float

    @property
    def holds(self) -> bool:
        """Tell whether everything stored is what was recomputed."""
        return not self.findings.first


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: projects done, of how many, and samples."""

    projects: int
    projects_total: int
    samples: int


async def verify(
    pool: Pool,
    *,
    window_ms: int,
    project_id: int | None = None,
    expected_seals: Mapping[int, bytes] | None = None,
    progress: Callable[[Progress], None] = lambda _progress: None,
) -> Verified:
    """Recompute all projects, or one, as they stand at this moment.

    `window_ms` is the acceptance window under which samples were rated. `expected_seals` are
    hashes, by seal, that were kept elsewhere. For one project the chain of seals is not
    recomputed: its sealed heads are only held against its entries.
    """
    started = time.monotonic()
    findings = Findings()
    async with snapshot(pool) as conn:
        as_of = await batches.read_now(conn)
        await recompute(conn, findings, window_ms, project_id, progress)
        last_seal = None
        if project_id is None:
            last_seal = await check_seals(conn, findings, expected_seals or {})
        await name_places(conn, findings)
    return Verified(as_of, findings, last_seal, time.monotonic() - started)


async def recompute(
    conn: Connection,
    findings: Findings,
    window_ms: int,
    project_id: int | None,
    progress: Callable[[Progress], None],
) -> None:
    """Recompute everything but the chain of seals, in the transaction that the caller opened."""
    await verification.allow_long_statements(conn)
    inputs = Inputs(
        await read_pricing(conn),
        Exclusions(await exclusions.list_active_exclusions(conn)),
        await retention.read_retention(conn),
        window_ms,
    )
    total = await accounts.count_projects(conn, project_id)
    transferred_micro = 0
    async for project_ids in _groups(conn, project_id):
        transferred_micro += await _check_projects(conn, inputs, project_ids, findings)
        checked = findings.checked_counts
        progress(Progress(checked["projects"], total, checked["samples"]))
    if project_id is None and transferred_micro:
        transferred = from_micro(transferred_micro)
        findings.note(Layer.BALANCES, "sum of transfers", {}, transferred, from_micro(0))
    await _check_the_rest(conn, inputs, project_id, findings)


async def _groups(conn: Connection, project_id: int | None) -> AsyncIterator[list[int]]:
    """Give projects in groups of about `ROWS_MAX` rows of charges."""
    after_id, row_count = 0, 0
    group: list[int] = []
    while True:
        page = await accounts.list_sized_projects(
            conn, project_id=project_id, after_id=after_id, limit=PROJECTS_MAX
        )
        for one in page:
            if group and row_count + one.row_count > ROWS_MAX:
                yield group
                group, row_count = [], 0
            group.append(one.id)
            row_count += one.row_count + ROWS_PER_PROJECT
        if len(page) < PROJECTS_MAX:
            break
        after_id = page[-1].id
    if group:
        yield group


async def _check_projects(
    conn: Connection, inputs: Inputs, project_ids: list[int], findings: Findings
) -> int:
    """Check these projects from their samples to their balances; gives the sum of transfers."""
    series = await verification.list_sized_series(conn, project_ids)
    sums = await check_usage(conn, inputs, series, findings)
    await _check_days(conn, series, findings)
    charges = await accounts.read_charges(conn, project_ids)
    until = inputs.retention.usage_dropped_until
    check_charges(charges, sums, findings, first_ms=to_ms(until))
    if until > EPOCH:
        for row in await accounts.sum_daily_charges(conn, project_ids, until):
            project_id, day, meter_id, flavor_id, charged, daily = row
            where = {"project": project_id, "day": to_ms(day), "meter": meter_id}
            where["flavor"] = flavor_id
            findings.note(Layer.CHARGES, "daily sum", where, charged, daily)
    findings.checked_counts["projects"] += len(project_ids)
    findings.checked_counts["series"] += len(series)
    findings.checked_counts["charges"] += sum(map(len, charges.values()))
    return await check_accounts(conn, project_ids, charges, findings)


async def _check_days(conn: Connection, series: Sequence[SizedSeries], findings: Findings) -> None:
    """Check what is summed of the days of these series."""
    for row in await verification.find_other_days(conn, [one.id for one in series]):
        series_id, day, flavor_id, stored, computed = row
        where = {"series": series_id, "day": to_ms(day), "flavor": flavor_id}
        findings.note(Layer.DAYS, "day of a series", where, stored, computed)


async def _check_the_rest(
    conn: Connection, inputs: Inputs, project_id: int | None, findings: Findings
) -> None:
    """Check what belongs to no account: what is set aside, what is nobody's, what guards."""
    for owner, series_id, measured_at in await verification.find_excluded_outside(conn, project_id):
        where = {"project": owner, "series": series_id, "time": to_ms(measured_at)}
        findings.note(Layer.SAMPLES, "excluded sample", where, "set aside", "in no exclusion")
    for name in await accounts.read_missing_guards(conn):
        findings.note(Layer.GUARDS, name, {}, "not in force", "in force")
    if project_id is not None:
        return
    seen = findings.checked_counts["samples"], findings.checked_counts["usage"]
    if seen != await verification.count_rows(conn, inputs.retention.usage_dropped_until):
        for table, series_id in await verification.find_series_of_nobody(conn):
            of_nobody: dict[str, int | str] = {"table": table, "series": series_id}
            findings.note(Layer.SAMPLES, "series", of_nobody, "no such series", "a series")
