"""Balances follow exactly from entry to entry; a seal's hash says what is sealed."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal

from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.entry import CHAIN_START, ChainHead, EntryDraft, EntryKind
from os_credits.domain.seal import SealedHead
from os_credits.ledger.chain import link, seal_hash

SEALED_AT = datetime(2026, 1, 2, 3, 15, tzinfo=UTC)
HEADS = (SealedHead(7, 3, b"\x0a" * 32), SealedHead(2, 41, b"\xff" * 32))


def test_the_hash_is_that_of_the_documented_text() -> None:
    text = (
        f'["{"00" * 32}", "2026-01-02T03:15:00+00:00", '
        f'[[2, 41, "{"ff" * 32}"], [7, 3, "{"0a" * 32}"]]]'
    )

    assert hashlib.sha256(text.encode()).digest() == seal_hash(CHAIN_START, SEALED_AT, HEADS)


def test_the_order_of_the_heads_does_not_matter() -> None:
    assert seal_hash(CHAIN_START, SEALED_AT, HEADS) == seal_hash(
        CHAIN_START, SEALED_AT, reversed(HEADS)
    )


def test_everything_that_is_sealed_changes_the_hash() -> None:
    first, second = HEADS
    others = {
        seal_hash(b"\x01" + bytes(31), SEALED_AT, HEADS),
        seal_hash(CHAIN_START, SEALED_AT.replace(microsecond=1), HEADS),
        seal_hash(CHAIN_START, SEALED_AT, [first]),
        seal_hash(CHAIN_START, SEALED_AT, [first, SealedHead(3, 41, second.hash)]),
        seal_hash(CHAIN_START, SEALED_AT, [first, SealedHead(2, 42, second.hash)]),
        seal_hash(CHAIN_START, SEALED_AT, [first, SealedHead(2, 41, first.hash)]),
        seal_hash(CHAIN_START, SEALED_AT, HEADS),
    }

    assert 7 == len(others)


def test_a_balance_beyond_28_digits_is_not_rounded() -> None:
    head = ChainHead(1, Credits(Decimal(10) ** 23), CHAIN_START)
    draft = EntryDraft(1, EntryKind.GRANT, from_micro(1), SEALED_AT, "", "op", "grant:1")

    _, last = link(head, [draft, draft], SEALED_AT)

    assert Decimal("100000000000000000000000.000002") == last.balance
