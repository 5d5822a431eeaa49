"""Walks the entries of an account in order and says what does not follow; pure functions.

The chain of each entry from the one before, then what is booked of each charge, lot and expiry,
and the sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from os_credits.domain.amount import from_micro, to_micro
from os_credits.domain.difference import Findings, Layer
from os_credits.domain.entry import EntryKind
from os_credits.domain.period import to_ms
from os_credits.ledger.chain import EMPTY_ACCOUNT, link
from os_credits.ledger.posting import key_of_charge, key_of_expiry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from os_credits.domain.balance import Balance
    from os_credits.domain.charge import StoredCharge
    from os_credits.domain.entry import ChainHead, Entry
    from os_credits.domain.expiry import StoredExpiry
    from os_credits.domain.grant import Grant
    from os_credits.domain.lot import Burned

# Hour (ms since the epoch), meter, flavor.
BookedKey = tuple[int, int, int]
K = TypeVar("K", BookedKey, int)


@dataclass(slots=True)
class _Booked:
    """What the entries of one charge, or expiry, add up to; what was taken is positive."""

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
    expiring_micro: int = 0
    booked: dict[BookedKey, _Booked] = field(default_factory=dict)
    expiries: dict[int, _Booked] = field(default_factory=dict)
    grants: dict[int, list[Entry]] = field(default_factory=dict)

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
        if draft.kind is EntryKind.USAGE or (
            draft.kind is EntryKind.CORRECTION and draft.grant_id is None
        ):
            self._add_usage(entry_id, entry)
        elif draft.kind in (EntryKind.EXPIRY, EntryKind.CORRECTION):
            self._add_expiry(entry_id, entry)
        elif draft.grant_id is not None:
            self.grants.setdefault(draft.grant_id, []).append(entry)

    def _add_usage(self, entry_id: int, entry: Entry) -> None:
        draft = entry.draft
        meter_id, flavor_id = draft.meter_id or 0, draft.flavor_id or 0
        key = to_ms(draft.hour), meter_id, flavor_id
        booked = self._add_booking(self.booked, key, entry_id, entry, EntryKind.USAGE)
        entry_key = key_of_charge(
            draft.project_id, meter_id, flavor_id, draft.hour, booked.correction_count
        )
        self._check_key(entry_id, entry, entry_key)

    def _add_expiry(self, entry_id: int, entry: Entry) -> None:
        grant_id = entry.draft.grant_id or 0
        booked = self._add_booking(self.expiries, grant_id, entry_id, entry, EntryKind.EXPIRY)
        self._check_key(entry_id, entry, key_of_expiry(grant_id, booked.correction_count))

    def _add_booking(
        self, known_by: dict[K, _Booked], key: K, entry_id: int, entry: Entry, first: EntryKind
    ) -> _Booked:
        """Count an entry that books something: the first is of its own kind, others correct it."""
        draft, where = entry.draft, {"project": self.project_id, "entry": entry_id}
        micro = to_micro(draft.amount)
        known = known_by.get(key)
        is_first = known is None
        if known is None:
            known = known_by[key] = _Booked(entry_id, -micro)
        else:
            known.micro -= micro
            known.correction_count += 1
        compare = self.findings.compare
        kind = first if is_first else EntryKind.CORRECTION
        compare(Layer.BOOKINGS, "kind", where, draft.kind.value, kind.value)
        corrects = None if is_first else known.entry_id
        compare(Layer.BOOKINGS, "corrects", where, draft.corrects, corrects)
        return known

    def _check_key(self, entry_id: int, entry: Entry, expected: str) -> None:
        where = {"project": self.project_id, "entry": entry_id}
        self.findings.compare(Layer.BOOKINGS, "entry_key", where, entry.draft.entry_key, expected)

    def check_charges(self, charges: Iterable[StoredCharge]) -> None:
        """Hold what charges say of their booking against the entries; all of the project's."""
        booked = dict(self.booked)
        for charge in charges:
            key = charge.hour_ms, charge.meter_id, charge.flavor_id
            self._check_booking(_where(self.project_id, key), charge, booked.pop(key, None))
            self.tally_micro += to_micro(charge.charged) - to_micro(charge.booked)
        for key, orphan in booked.items():
            where = _where(self.project_id, key)
            self.findings.note(
                Layer.BOOKINGS, "booked", where, "no charge", from_micro(orphan.micro)
            )

    def check_expiries(
        self, expiries: Iterable[StoredExpiry], burned: Burned | None, as_of: datetime
    ) -> None:
        """Hold expiries against the burn-down of the project's lots, and against the entries.

        What is not worked out yet at `as_of` differs from nothing.
        """
        states = {} if burned is None else {one.lot.id: one for one in burned.states}
        booked = dict(self.expiries)
        for expiry in expiries:
            where = {"project": self.project_id, "grant": expiry.grant_id}
            self._check_booking(where, expiry, booked.pop(expiry.grant_id, None))
            state = states.get(expiry.grant_id)
            if state is not None:
                ends_at = state.lot.expires_at
                self.findings.compare(Layer.LOTS, "hour", where, expiry.hour, ends_at)
            if expiry.expired is None:
                continue
            self.expiring_micro += to_micro(expiry.expired) - to_micro(expiry.booked)
            is_over = state is not None and expiry.hour <= as_of
            expired = from_micro(state.expired_micro if state and is_over else 0)
            self.findings.compare(Layer.LOTS, "expired", where, expiry.expired, expired)
        for grant_id in booked:
            where = {"project": self.project_id, "grant": grant_id}
            self.findings.note(Layer.BOOKINGS, "expiry", where, "no expiry", "an entry")

    def _check_booking(
        self,
        where: Mapping[str, int | str],
        stored: StoredCharge | StoredExpiry,
        known: _Booked | None,
    ) -> None:
        expected = known or _Booked(0, 0)
        for what, one, other in (
            ("booked", stored.booked, from_micro(expected.micro)),
            ("entry_id", stored.entry_id, known and known.entry_id),
            ("correction_count", stored.correction_count, expected.correction_count),
        ):
            self.findings.compare(Layer.BOOKINGS, what, where, one, other)

    def check_grants(self, grants: Iterable[Grant], pending: Collection[int]) -> None:
        """Hold the project's lots against their entries, both ways.

        Each has one entry of its amount in the hour from which it is valid, and a second that
        takes it back if it is void; those that wait for their hour (`pending`, by id) have none.
        """
        entries = dict(self.grants)
        for grant in grants:
            where = {"project": self.project_id, "grant": grant.id}
            found = [
                (one.draft.kind.value, to_micro(one.draft.amount))
                for one in entries.get(grant.id, [])
            ]
            given = grant.kind.value, to_micro(grant.amount)
            if grant.is_void:
                # It was taken back before its hour, or after.
                expected = [given, (given[0], -given[1])] if found else []
            else:
                expected = [] if grant.id in pending else [given]
            self.findings.compare(Layer.BOOKINGS, "entries of a grant", where, found, expected)
            for entry in entries.pop(grant.id, [])[:1]:
                self.findings.compare(
                    Layer.BOOKINGS, "valid_from", where, grant.valid_from, entry.draft.hour
                )
        for grant_id, orphans in entries.items():
            where = {"project": self.project_id, "grant": grant_id}
            amount = orphans[0].draft.amount
            self.findings.note(Layer.BOOKINGS, "grant", where, "no grant", amount)

    def check_balance(self, answered: Balance) -> None:
        """Hold the balance that the service answers against the sums of what was walked."""
        where = {"project": self.project_id}
        current = self.signed_micro - self.tally_micro - self.expiring_micro
        for what, stored, micro in (
            ("booked", answered.booked, self.signed_micro),
            ("credited", answered.credited, self.given_micro),
            ("tally", answered.tally, self.tally_micro),
            ("expiring", answered.expiring, self.expiring_micro),
            ("balance", answered.current, current),
        ):
            self.findings.compare(Layer.BALANCES, what, where, stored, from_micro(micro))


def _where(project_id: int, key: BookedKey) -> dict[str, int | str]:
    hour_ms, meter_id, flavor_id = key
    return {"project": project_id, "hour": hour_ms, "meter": meter_id, "flavor": flavor_id}
