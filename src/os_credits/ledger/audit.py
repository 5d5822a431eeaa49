"""Walks the entries of an account in order and says what does not follow; pure functions.

The chain of each entry from the one before, then what is booked of each charge, and the sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro, to_micro
from os_credits.domain.difference import Findings, Layer
from os_credits.domain.entry import EntryKind
from os_credits.domain.period import to_ms
from os_credits.ledger.chain import EMPTY_ACCOUNT, link
from os_credits.ledger.posting import key_of_charge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from os_credits.domain.amount import Credits
    from os_credits.domain.balance import Balance
    from os_credits.domain.charge import StoredCharge
    from os_credits.domain.entry import ChainHead, Entry

# Hour (ms since the epoch), meter, flavor.
BookedKey = tuple[int, int, int]


@dataclass(slots=True)
class _Booked:
    """What the entries of one charge add up to, as a charge counts it (usage is positive)."""

    entry_id: int
    micro: int
    correction_count: int = 0


@dataclass(slots=True)
class AccountAudit:
    """The account of one project, entry by entry."""

    project_id: int
    findings: Findings
    head: ChainHead = EMPTY_ACCOUNT
    last_id: int = 0
    signed_micro: int = 0
    tally_micro: int = 0
    given_micro: int = 0
    transferred_micro: int = 0
    booked: dict[BookedKey, _Booked] = field(default_factory=dict)
    grants: dict[int, Entry] = field(default_factory=dict)

    def add(self, entry_id: int, entry: Entry) -> None:
        """Hold the next entry against the one before it, and count what it says."""
        draft, where = entry.draft, {"project": self.project_id, "entry": entry_id}
        (expected,) = link(self.head, [draft], entry.booked_at)
        for what in ("sequence", "balance", "previous_hash", "hash"):
            self.findings.compare(
                Layer.ENTRIES, what, where, getattr(entry, what), getattr(expected, what)
            )
        if entry_id <= self.last_id:
            self.findings.note(Layer.ENTRIES, "id", where, entry_id, f"above {self.last_id}")
        # Goes on from what is stored, so that one wrong entry is one difference.
        self.head = type(self.head)(entry.sequence, entry.balance, entry.hash)
        self.last_id = entry_id
        micro = to_micro(draft.amount)
        self.signed_micro += micro
        if draft.meter_id is None:
            self.given_micro += micro
        if draft.kind is EntryKind.TRANSFER:
            self.transferred_micro += micro
        if draft.kind in (EntryKind.USAGE, EntryKind.CORRECTION):
            self._add_booking(entry_id, entry, micro)
        if draft.grant_id is not None:
            if draft.grant_id in self.grants:
                self.findings.note(
                    Layer.BOOKINGS, "entries of a grant", where, draft.grant_id, "one entry"
                )
            self.grants[draft.grant_id] = entry

    def _add_booking(self, entry_id: int, entry: Entry, micro: int) -> None:
        draft, where = entry.draft, {"project": self.project_id, "entry": entry_id}
        meter_id, flavor_id = draft.meter_id or 0, draft.flavor_id or 0
        key = to_ms(draft.hour), meter_id, flavor_id
        known = self.booked.get(key)
        is_first = known is None
        if known is None:
            known = self.booked[key] = _Booked(entry_id, -micro)
        else:
            known.micro -= micro
            known.correction_count += 1
        compare = self.findings.compare
        kind = EntryKind.USAGE if is_first else EntryKind.CORRECTION
        compare(Layer.BOOKINGS, "kind", where, draft.kind.value, kind.value)
        corrects = None if is_first else known.entry_id
        compare(Layer.BOOKINGS, "corrects", where, draft.corrects, corrects)
        entry_key = key_of_charge(
            draft.project_id, meter_id, flavor_id, draft.hour, known.correction_count
        )
        compare(Layer.BOOKINGS, "entry_key", where, draft.entry_key, entry_key)

    def check_charges(self, charges: Iterable[StoredCharge]) -> None:
        """Hold what charges say of their booking against the entries; all of the project's."""
        booked = dict(self.booked)
        compare = self.findings.compare
        for charge in charges:
            where = _where(self.project_id, (charge.hour_ms, charge.meter_id, charge.flavor_id))
            known = booked.pop((charge.hour_ms, charge.meter_id, charge.flavor_id), None)
            expected = known or _Booked(0, 0)
            compare(Layer.BOOKINGS, "booked", where, charge.booked, from_micro(expected.micro))
            compare(Layer.BOOKINGS, "entry_id", where, charge.entry_id, known and known.entry_id)
            compare(
                Layer.BOOKINGS,
                "correction_count",
                where,
                charge.correction_count,
                expected.correction_count,
            )
            self.tally_micro += to_micro(charge.charged) - to_micro(charge.booked)
        for key, orphan in booked.items():
            self.findings.note(
                Layer.BOOKINGS,
                "booked",
                _where(self.project_id, key),
                "no charge",
                from_micro(orphan.micro),
            )

    def check_grants(self, amounts: Mapping[int, Credits]) -> None:
        """Hold the project's grants, by id, against their entries, both ways."""
        for grant_id in amounts.keys() | self.grants.keys():
            entry = self.grants.get(grant_id)
            self.findings.compare(
                Layer.BOOKINGS,
                "grant",
                {"project": self.project_id, "grant": grant_id},
                amounts.get(grant_id),
                entry and entry.draft.amount,
            )

    def check_balance(self, answered: Balance) -> None:
        """Hold the balance that the service answers against the sums of what was walked."""
        where = {"project": self.project_id}
        current = self.signed_micro - self.tally_micro
        for what, stored, micro in (
            ("booked", answered.booked, self.signed_micro),
            ("credited", answered.credited, self.given_micro),
            ("tally", answered.tally, self.tally_micro),
            ("balance", answered.current, current),
        ):
            self.findings.compare(Layer.BALANCES, what, where, stored, from_micro(micro))


def _where(project_id: int, key: BookedKey) -> dict[str, int | str]:
    hour_ms, meter_id, flavor_id = key
    return {"project": project_id, "hour": hour_ms, "meter": meter_id, "flavor": flavor_id}
