"""Walks the accounts of some projects at a time, and the global chain of seals over all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.difference import Findings, Layer
from os_credits.domain.entry import CHAIN_START
from os_credits.domain.period import to_ms
from os_credits.flows.burn import read_burned
from os_credits.ledger.audit import AccountAudit
from os_credits.ledger.chain import seal_hash
from os_credits.store import accounts, balances, batches, booked_usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from os_credits.domain.charge import StoredCharge
    from os_credits.domain.grant import Grant
    from os_credits.domain.seal import Seal, SealedHead
    from os_credits.store.pool import Connection


async def check_accounts(
    conn: Connection,
    project_ids: Sequence[int],
    charges: Mapping[int, Sequence[StoredCharge]],
    findings: Findings,
) -> int:
    """Walk the entries of these projects; gives the sum of their transfers."""
    audits = {one: AccountAudit(one, findings) for one in project_ids}
    async for entry_id, entry in accounts.stream_entries(conn, project_ids):
        audits[entry.draft.project_id].add(entry_id, entry)
        findings.checked_counts["entries"] += 1
    grants: dict[int, list[Grant]] = {}
    for grant in await accounts.list_grants_of(conn, project_ids):
        grants.setdefault(grant.project_id, []).append(grant)
    pending = await accounts.list_pending(conn, project_ids)
    expiries = await accounts.read_expiries(conn, project_ids)
    findings.checked_counts["expiries"] += sum(map(len, expiries.values()))
    as_of = await batches.read_now(conn)
    burned = await read_burned(conn, project_ids, as_of)
    answered = await balances.read_balances(conn, project_ids)
    for project_id, audit in audits.items():
        audit.check_charges(charges.get(project_id, ()))
        audit.check_grants(grants.get(project_id, ()), pending)
        of_project = expiries.get(project_id, ())
        audit.check_expiries(of_project, burned.get(project_id), as_of)
        audit.check_balance(answered[project_id])
    for (
        seal_id,
        project_id,
        sequence,
        stored,
        entry_hash,
    ) in await accounts.find_heads_without_entry(conn, project_ids):
        where = {"seal": seal_id, "project": project_id, "sequence": sequence}
        findings.note(Layer.SEALS, "sealed head", where, stored, entry_hash or "no such entry")
    for wrong in await booked_usage.find_wrong_sums(conn, project_ids):
        where = {"project": wrong.project_id, wrong.length: to_ms(wrong.start)}
        where |= {"meter": wrong.meter_id, "flavor": wrong.flavor_id}
        what = f"booked usage of a {wrong.length}"
        findings.note(Layer.BALANCES, what, where, wrong.stored, wrong.recomputed)
    return sum(audit.transferred_micro for audit in audits.values())


async def check_seals(
    conn: Connection, findings: Findings, expected_seals: Mapping[int, bytes]
) -> Seal | None:
    """Recompute the global chain, and hold it against hashes kept elsewhere; gives its end."""
    expected = dict(expected_seals)
    previous, last = CHAIN_START, None
    rows: list[tuple[Seal, SealedHead | None]] = []
    async for seal, head in accounts.stream_seals(conn):
        if rows and rows[0][0].id != seal.id:
            previous, last = _check_seal(rows, previous, expected, findings), rows[0][0]
            rows = []
        rows.append((seal, head))
    if rows:
        _check_seal(rows, previous, expected, findings)
        last = rows[0][0]
    for seal_id, kept in expected.items():
        findings.note(Layer.SEALS, "seal kept elsewhere", {"seal": seal_id}, "no such seal", kept)
    return last


def _check_seal(
    rows: list[tuple[Seal, SealedHead | None]],
    previous: bytes,
    expected: dict[int, bytes],
    findings: Findings,
) -> bytes:
    """Check one seal against its heads and the seal before it; gives its hash."""
    seal = rows[0][0]
    heads = [head for _, head in rows if head is not None]
    findings.checked_counts["seals"] += 1
    findings.checked_counts["heads"] += len(heads)
    where = {"seal": seal.id}
    for what, stored, recomputed in (
        ("previous_hash", seal.previous_hash, previous),
        ("head_count", seal.head_count, len(heads)),
        ("hash", seal.hash, seal_hash(seal.previous_hash, seal.sealed_at, heads)),
        ("hash kept elsewhere", seal.hash, expected.pop(seal.id, seal.hash)),
    ):
        findings.compare(Layer.SEALS, what, where, stored, recomputed)
    return seal.hash
