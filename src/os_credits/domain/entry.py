"""One immutable line of a project's account, and the chain that binds the lines together.

What a line means for the balance, here and in every statement of `store`: it is *used* if it
names a meter (usage, corrections, and of the opening what an older service had charged), else
credits were given or taken; of these, grants and openings are *granted*.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.period import to_ms

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits

# What stands before the first entry of a project.
CHAIN_START = bytes(32)


class EntryKind(StrEnum):
    """Why the balance of a project changed."""

    OPENING = "opening"
    """Taken over from an older service."""
    GRANT = "grant"
    """Credits given."""
    USAGE = "usage"
    """The first booking of a meter, flavor and hour."""
    CORRECTION = "correction"
    """A later difference of an hour that was booked; points at what it corrects."""
    ADJUSTMENT = "adjustment"
    """Changed by a person, with a reason."""
    TRANSFER = "transfer"
    """Moved to or from another project."""
    EXPIRY = "expiry"
    """What was left of a grant when it ended."""


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """An entry before it has its place in the chain.

    `amount` is signed: credits given are positive, used ones negative. `entry_key` makes a
    repetition harmless: the same key can be stored once.
    """

    project_id: int
    kind: EntryKind
    amount: Credits
    hour: datetime
    reason: str
    author: str
    entry_key: str
    meter_id: int | None = None
    flavor_id: int | None = None
    corrects: int | None = None
    grant_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a project's account stands: its last entry's number, balance and hash."""

    sequence: int
    balance: Credits
    hash: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A draft with its place: number, balance after it, when booked, and both hashes."""

    draft: EntryDraft
    sequence: int
    balance: Credits
    booked_at: datetime
    previous_hash: bytes
    hash: bytes


def link_hash(
    draft: EntryDraft, sequence: int, balance: Credits, booked_at: datetime, previous: bytes
) -> bytes:
    """SHA-256 over every stored field of an entry and the hash of the entry before it."""
    fields = (
        previous.hex(),
        sequence,
        draft.project_id,
        draft.kind.value,
        str(draft.amount),
        str(balance),
        draft.meter_id,
        draft.flavor_id,
        to_ms(draft.hour),
        draft.corrects,
        draft.grant_id,
        draft.reason,
        draft.author,
        draft.entry_key,
        booked_at.isoformat(),
    )
    return hashlib.sha256(json.dumps(fields).encode()).digest()
