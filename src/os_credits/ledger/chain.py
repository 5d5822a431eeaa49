"""How entries hold together: number, balance and hash follow from the entry before (rule 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.entry import CHAIN_START, ChainHead, Entry, EntryDraft, link_hash

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

EMPTY_ACCOUNT = ChainHead(sequence=0, balance=from_micro(0), hash=CHAIN_START)


def link(head: ChainHead, drafts: Iterable[EntryDraft], booked_at: datetime) -> list[Entry]:
    """Give drafts of one project their places after `head`, in the order given."""
    entries: list[Entry] = []
    for draft in drafts:
        sequence = head.sequence + 1
        balance = Credits(head.balance + draft.amount)
        digest = link_hash(draft, sequence, balance, booked_at, head.hash)
        entries.append(Entry(draft, sequence, balance, booked_at, head.hash, digest))
        head = ChainHead(sequence, balance, digest)
    return entries
