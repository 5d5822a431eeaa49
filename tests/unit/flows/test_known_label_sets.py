"""What is remembered of label sets is what was learned, packed or not, young or old."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.claim import NOT_STORED, Claim, KnownKeys, KnownLabelSet
from os_credits.domain.key_spans import KeySpans
from os_credits.domain.meter import MeterDefinition, MeterVersion
from os_credits.flows import known_label_sets
from os_credits.flows.fingerprint_table import STRANGER
from os_credits.flows.known_label_sets import KnownLabelSets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

METER = MeterDefinition(name="vcpu", metric="vcpu", kind="counter", unit="u", project_name="p")
START = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = [MeterVersion(id_, 1, METER, START, None) for id_ in (1, 2)]
ID_MAX = 2**40 - 1
UNKNOWN = KnownLabelSet("nobody's")
BROKEN = KnownLabelSet("", invalid="no project")


def plain(id_: int, *, version: int = 0, site: str = "", fits: bool = True) -> KnownLabelSet:
    return KnownLabelSet("vcpu", (Claim(id_, VERSIONS[version], site, fits, 5, 2**62),))


def of_two_meters(id_: int) -> KnownLabelSet:
    one = plain(id_).claims[0]
    return KnownLabelSet("vcpu", (one, replace(one, label_set_id=id_ + 1, version=VERSIONS[1])))


def memory(*, count_max: int = 1000, text_bytes_max: int = 10**6) -> KnownLabelSets:
    return KnownLabelSets(count_max=count_max, text_bytes_max=text_bytes_max)


def are_known(known: KnownLabelSets, keys: Iterable[bytes], door: str = "d") -> list[bool]:
    return [one != STRANGER for one in known.find(door, KeySpans.of(keys)).numbers.tolist()]


def keys_of(known: Sequence[KnownLabelSet], *, first: int = 0) -> dict[bytes, KnownLabelSet]:
    return {f"{first + number}".encode(): one for number, one in enumerate(known)}


def told(columns: KnownKeys) -> list[KnownLabelSet]:
    """Give in full what columns say of each key."""
    kinds = [columns.kinds[number] for number in columns.kind_index.tolist()]
    return [
        replace(kind, claims=(replace(kind.claims[0], label_set_id=id_),))
        if kind.is_plain
        else kind
        for kind, id_ in zip(kinds, columns.label_set_ids.tolist(), strict=True)
    ]


def recalled(known: KnownLabelSets, keys: Sequence[bytes], door: str = "d") -> KnownKeys:
    found = known.find(door, KeySpans.of(keys))
    assert [] == found.strangers().tolist()
    return known.columns(found)


def test_plain_label_sets_of_one_kind_are_numbers_that_share_an_entry() -> None:
    known, learned = memory(), [plain(7), plain(0), plain(ID_MAX), plain(2**32)]
    known.remember("d", keys_of(learned))

    columns = recalled(known, [*keys_of(learned)])

    assert {} == known.find("d", KeySpans.of(keys_of(learned))).others
    assert ([0] * 4, [7, 0, ID_MAX, 2**32]) == (
        columns.kind_index.tolist(),
        columns.label_set_ids.tolist(),
    )
    assert [plain(0)] == list(columns.kinds)


def test_whatever_sets_label_sets_apart_is_told_apart() -> None:
    learned = [
        plain(3), plain(3, site="x"), plain(3, fits=False), plain(3, version=1), plain(4),
        replace(plain(3), metric="other"), plain(5, site="x"),
    ]  # fmt: skip
    known = memory()
    known.remember("d", keys_of(learned))

    columns = recalled(known, [*keys_of(learned)])

    assert learned == told(columns)
    assert 5 == len(columns.kinds)
    # Kinds of which no key is are not among those of a push.
    assert [plain(0, site="x")] == list(recalled(known, [b"1", b"6", b"1"]).kinds)


def test_others_follow_the_plain_ones_each_as_itself() -> None:
    learned = [UNKNOWN, plain(3), of_two_meters(8), BROKEN, plain(4, site="x"), UNKNOWN, plain(5)]
    known = memory()
    known.remember("d", keys_of(learned))

    columns = recalled(known, [*keys_of(learned)])

    assert learned == told(columns)
    assert [NOT_STORED, 3, 8, NOT_STORED, 4, NOT_STORED, 5] == columns.label_set_ids.tolist()
    assert [2, 0, 3, 4, 1, 5, 0] == columns.kind_index.tolist()
    assert [UNKNOWN, BROKEN] == told(recalled(known, [b"0", b"3"]))
    nothing = known.columns(known.find("d", KeySpans.of([])))
    assert 0 == len(nothing) == len(nothing.kinds)


def test_what_is_not_stored_is_not_plain() -> None:
    for one in (plain(NOT_STORED), replace(plain(3), invalid="why"), of_two_meters(3), UNKNOWN):
        assert {0: one} == memory().packed([one]).others


def test_a_key_means_something_at_its_own_door_only() -> None:
    known = memory()
    known.remember("d", {b"k": plain(1)})
    known.remember("e", {b"k": plain(2)})

    assert [[1], [2]] == [recalled(known, [b"k"], one).label_set_ids.tolist() for one in "de"]
    assert [False] == are_known(known, [b"k"], "f")
    assert 2 == len(known)


def test_what_is_asked_for_outlives_a_flood_and_what_is_not_is_forgotten() -> None:
    known = memory(count_max=20)
    known.remember("d", {b"asked": plain(1), b"silent": of_two_meters(2), b"twice": plain(3)})
    for number in range(40):
        known.remember("d", keys_of([plain(number)], first=1000 + number))
        # Also where a push names the key more than once.
        assert [1, 3, 1, 3] == recalled(
            known, [b"asked", b"twice", b"asked", b"twice"]
        ).label_set_ids.tolist()
        assert len(known) <= 20

    assert [False, False] == are_known(known, [b"silent", b"1000"])
    strange = are_known(known, [str(n).encode() for n in range(1000, 1040)])
    assert 10 <= sum(strange) + len([b"asked", b"twice"]) <= len(known)


@pytest.mark.parametrize("long", [KnownLabelSet("x" * 60), KnownLabelSet("", invalid="x" * 60)])
def test_long_texts_fill_a_generation_by_their_bytes(long: KnownLabelSet) -> None:
    known = memory(text_bytes_max=200)
    keys = [bytes([number]) for number in range(6)]
    for key in keys:
        known.remember("d", {key: long})

    assert [False, False, True, True, True, True] == are_known(known, keys)


def test_more_than_a_generation_holds_is_remembered_as_far_as_there_is_room() -> None:
    known, learned = memory(count_max=20), keys_of([plain(number) for number in range(45)])
    known.remember("d", learned)

    assert [False] * 30 + [True] * 15 == are_known(known, learned)


def test_too_many_kinds_make_all_forgotten_before_anything_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_label_sets, "KINDS_MAX", 5)
    known = memory()
    learned = keys_of([plain(number, site=f"site {number}") for number in range(6)])
    known.remember("d", dict(list(learned.items())[:5]))
    assert list(learned.values())[:5] == told(recalled(known, list(learned)[:5]))

    known.remember("d", learned)

    assert 6 == len(known)
    assert [False] * 6 == are_known(known, learned)
    assert 0 == len(known)
    # Kinds are numbered anew, and mean what is learned now.
    known.remember("d", {b"0": plain(9, site="else")})
    assert [plain(9, site="else")] == told(recalled(known, [b"0"]))


def test_random_label_sets_are_recalled_as_they_were_learned() -> None:
    chance = random.Random(7)
    for _ in range(100):
        learned = [
            chance.choice((
                UNKNOWN, BROKEN, of_two_meters(chance.randrange(100)),
                plain(chance.randrange(2**40), version=chance.randrange(2),
                      site=chance.choice("ab"), fits=chance.random() < 0.5),
            ))
            for _ in range(chance.randint(1, 30))
        ]  # fmt: skip
        known = memory()
        known.remember("d", keys_of(learned))
        keys = chance.choices([*keys_of(learned)], k=40)

        assert [learned[int(key)] for key in keys] == told(recalled(known, keys))
