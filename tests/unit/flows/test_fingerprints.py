"""Fingerprints tell keys apart and nothing else; a table finds numbers by them."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from os_credits.domain.key_spans import KeySpans
from os_credits.flows import fingerprint_table, fingerprints
from os_credits.flows.fingerprint_table import SLOTS_MIN, STRANGER, FingerprintTable, find_python
from os_credits.flows.fingerprints import fingerprints_python
from tests.scanners import HEADER, has_compiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECRET, OTHER_SECRET = bytes(range(16)), bytes(range(1, 17))
WORD_MASK = 2**64 - 1
Take = Callable[[KeySpans, bytes], np.ndarray[Any, np.dtype[np.uint64]]]


def siphash(secret: bytes, text: bytes, rounds: int, end_rounds: int) -> bytes:
    """Follow the paper word by word, with a result of 128 bits."""
    one, two = (int.from_bytes(secret[at : at + 8], "little") for at in (0, 8))
    v = [
        one ^ 0x736F6D6570736575, two ^ 0x646F72616E646F6D ^ 0xEE,
        one ^ 0x6C7967656E657261, two ^ 0x7465646279746573,
    ]  # fmt: skip

    def rotated(word: int, bits: int) -> int:
        return (word << bits | word >> (64 - bits)) & WORD_MASK

    def mixed(count: int) -> None:
        for _ in range(count):
            for a, b, bits, half in ((0, 1, 13, 32), (2, 3, 16, 0), (0, 3, 21, 0), (2, 1, 17, 32)):
                v[a] = (v[a] + v[b]) & WORD_MASK
                v[b] = rotated(v[b], bits) ^ v[a]
                v[a] = rotated(v[a], half) if half else v[a]

    padded = text + bytes(-(len(text) + 1) % 8) + bytes([len(text) % 256])
    for start, end in pairwise(range(0, len(padded) + 8, 8)):
        word = int.from_bytes(padded[start:end], "little")
        v[3] ^= word
        mixed(rounds)
        v[0] ^= word
    result = b""
    for place, mark in ((2, 0xEE), (1, 0xDD)):
        v[place] ^= mark
        mixed(end_rounds)
        result += (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")
    return result


@pytest.fixture(params=["compiled", "python"])
def take(request: pytest.FixtureRequest) -> Take:
    if request.param == "python":
        return fingerprints_python
    if fingerprints.compiled is None and not has_compiler():
        pytest.skip(f"there is no compiler of C, or no {HEADER}")
    assert fingerprints.compiled is not None
    return fingerprints.fingerprints


def texts(chance: random.Random, count: int) -> list[bytes]:
    return [chance.randbytes(chance.choice((0, 1, 7, 8, 9, 15, 16, 450))) for _ in range(count)]


def test_the_compiled_one_is_siphash_1_3() -> None:
    # The first 128-bit vector of its authors, for the rounds of theirs.
    assert "a3817f04ba25a8e66df67214c7550293" == siphash(SECRET, b"", 2, 4).hex()
    if fingerprints.compiled is None:
        pytest.skip("nothing is compiled")

    keys = texts(random.Random(1), 200)
    taken = fingerprints.fingerprints(KeySpans.of(keys), SECRET)

    assert [siphash(SECRET, key, 1, 3) for key in keys] == [row.tobytes() for row in taken]


def test_fingerprints_are_those_of_the_bytes_wherever_they_lie(take: Take) -> None:
    keys = texts(random.Random(2), 300)
    alone = [take(KeySpans.of([key]), SECRET)[0].tobytes() for key in keys]

    assert alone == [row.tobytes() for row in take(KeySpans.of(keys), SECRET)]
    assert len(set(keys)) == len(set(alone))
    assert not set(alone) & {row.tobytes() for row in take(KeySpans.of(keys), OTHER_SECRET)}
    assert (0, 2) == take(KeySpans.of([]), SECRET).shape


def test_nothing_is_read_beyond_the_body() -> None:
    if fingerprints.compiled is None:
        pytest.skip("nothing is compiled")
    for start, end in ((-1, 1), (2, 1), (0, 4), (2**62, 2**62)):
        with pytest.raises(ValueError, match="a key lies beyond the body"):
            fingerprints.compiled.fingerprints(
                b"abc", np.array([0, start]), np.array([1, end]), SECRET
            )
    one, two = np.array([0]), np.array([0, 1])
    for starts, ends, secret in ((one, two, SECRET), (one, one, b"short")):
        with pytest.raises(ValueError, match="starts and ends are int64, the secret"):
            fingerprints.compiled.fingerprints(b"abc", starts, ends, secret)
    for slots, prints in ((1000, 16), (24 * 3, 16), (0, 16), (24 * 4, 15)):
        with pytest.raises(ValueError, match="a power of two"):
            fingerprints.compiled.find(np.zeros(slots, "V1"), np.zeros(prints, np.uint8))


def prints_of(numbers: list[int]) -> NDArray[np.uint64]:
    """Make prints of which many belong into the same slot, or into the last ones."""
    rows = [(number % 7 + SLOTS_MIN * 8 - 3, number) for number in numbers]
    return np.array(rows, np.uint64).reshape(-1, 2)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_table_finds_what_a_dictionary_does(
    seed: int, *, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(fingerprint_table, "compiled", None)
    chance, table, held = random.Random(seed), FingerprintTable(), dict[int, int]()
    for _ in range(60):
        # Some of them more than once.
        named = [chance.randrange(5000) for _ in range(chance.choice((0, 1, 5, 90)))]
        given = [chance.choice((0, 5, 2**62, -2, -(2**62))) + place for place in range(len(named))]
        given = [number if number != STRANGER else 0 for number in given]
        table.put(prints_of(named), np.array(given, np.int64))
        held |= dict(zip(named, given, strict=True))

        asked = [chance.randrange(5000) for _ in range(50)] + named
        assert [held.get(one, STRANGER) for one in asked] == table.find(prints_of(asked)).tolist()
        assert len(held) == len(table)


def test_a_table_grows_and_both_ways_find_the_same() -> None:
    chance = np.random.default_rng(3)
    prints = chance.integers(0, 2**64, (20_000, 2), np.uint64)
    table = FingerprintTable()
    for start in range(0, 20_000, 3000):
        table.put(prints[start : start + 3000], np.arange(start, min(start + 3000, 20_000)))

    assert list(range(20_000)) == table.find(prints).tolist()
    strange = chance.integers(0, 2**64, (2000, 2), np.uint64)
    assert {STRANGER} == set(table.find(strange).tolist())
    both = np.concatenate([prints[::7], strange])
    assert table.find(both).tolist() == find_python(table._slots, both).tolist()


def test_keys_are_cut_out_of_the_body_they_lie_in() -> None:
    keys = KeySpans(b"abcdef", np.array([1, 4, 2]), np.array([3, 4, 6]))

    assert [b"bc", b"", b"cdef"] == list(keys) == keys[:]
    assert [b"cdef", b"bc"] == keys[::-2]
    assert (b"cdef", 3, True) == (keys[-1], len(keys), b"bc" in keys)
    assert [b"x", b"", b"yz"] == list(KeySpans.of([b"x", b"", b"yz"]))
    assert 0 == len(KeySpans.of([]))
    with pytest.raises(IndexError):
        keys[3]
