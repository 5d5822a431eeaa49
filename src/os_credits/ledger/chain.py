"""How entries hold together: number, balance and hash follow from the entry before (rule 8).

The heads of all projects' chains enter one global chain of seals.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from os_credits.domain.amount import added, from_micro
from os_credits.domain.entry import CHAIN_START, ChainHead, Entry, EntryDraft, link_hash

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from os_credits.domain.seal import SealedHead

EMPTY_ACCOUNT = ChainHead(sequence=0, balance=from_micro(0), hash=CHAIN_START)


def link(head: ChainHead, drafts: Iterable[EntryDraft], booked_at: datetime) -> list[Entry]:
    """Give drafts of one project their places after `head`, in the order given."""
    entries: list[Entry] = []
    for draft in drafts:
        sequence = head.sequence + 1
        balance = added(head.balance, draft.amount)
        digest = link_hash(draft, sequence, balance, booked_at, head.hash)
        entries.append(Entry(draft, sequence, balance, booked_at, head.hash, digest))
        head = ChainHead(sequence, balance, digest)
    return entries


def seal_hash(previous: bytes, sealed_at: datetime, heads: Iterable[SealedHead]) -> bytes:
    """SHA-256 over the hash of the seal before (`CHAIN_START` for the first), time and heads."""
    listed = [[head.project_id, head.sequence, head.hash.hex()] for head in sorted(heads)]
    fields = [previous.hex(), sealed_at.isoformat(), listed]
    return hashlib.sha256(json.dumps(fields).encode()).digest()
