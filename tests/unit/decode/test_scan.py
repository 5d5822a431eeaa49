"""The compiled scanner and the one of Python cut alike, and as the parser reads."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.decode import remote_write, snappy
from os_credits.decode.columns import PIECES_MAX
from os_credits.decode.remote_write_encode import encode_v1
from os_credits.decode.scan import Scan, scan_fastest
from os_credits.decode.varint import framed, varint
from os_credits.errors import TooLarge
from tests.fuzz.properties import same_whichever_way
from tests.fuzz.usual_bodies import body
from tests.scanners import compiled

CAPTURES = Path(__file__).resolve().parents[2] / "data" / "remote_write"
SEEDS = 20
BODIES_PER_SEED = 100
LABELS = (("__name__", "up"), ("job", "node"))
TIME_MS = 1_795_311_049_127
SAMPLE = b"\x12\x10\x09abcdefgh\x10" + varint(TIME_MS)
ZERO = b"\x12\x07\x10" + varint(TIME_MS)


def written(*series: bytes) -> bytes:
    return b"".join(b"\x0a" + framed(one) for one in series)


def test_the_compiled_scanner_is_taken_where_there_is_one() -> None:
    assert scan_fastest is compiled()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_usual_odd_and_damaged_bodies_are_read_alike_whichever_way(seed: int) -> None:
    compiled()
    chance = random.Random(seed)
    for _ in range(BODIES_PER_SEED):
        one = body(chance)
        same_whichever_way(one, PIECES_MAX)
        same_whichever_way(one, chance.randrange(60))


def test_of_these_bodies_a_good_part_is_scanned(scan: Scan) -> None:
    chance = random.Random(0)
    found = [scan(body(chance), PIECES_MAX) for _ in range(500)]

    assert 100 < sum(one is not None for one in found) < 400


@settings(deadline=None)
@given(st.integers(0, 2**64), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4))
def test_any_damage_of_any_body_is_read_alike(seed: int, damages: list[tuple[int, int]]) -> None:
    damaged = bytearray(body(random.Random(seed)))
    for place, byte in damages:
        if damaged:
            damaged[place % len(damaged)] = byte
    same_whichever_way(bytes(damaged), PIECES_MAX)


@given(st.binary())
def test_any_bytes_are_read_alike(one: bytes) -> None:
    same_whichever_way(one, PIECES_MAX)
    same_whichever_way(written(one), PIECES_MAX)


def test_every_cut_of_a_usual_body_is_read_alike() -> None:
    one = snappy.decompress(encode_v1([(LABELS, [(TIME_MS, 1.5), (TIME_MS, 0.0)])] * 3), 10_000)
    for end in range(len(one)):
        same_whichever_way(one[:end], PIECES_MAX)
        same_whichever_way(one[end:], PIECES_MAX)


def test_zeros_alone_and_among_others_are_scanned(scan: Scan) -> None:
    found = scan(written(SAMPLE + ZERO + ZERO, ZERO, ZERO + ZERO, SAMPLE), PIECES_MAX)
    push = remote_write.decode_v1(written(SAMPLE + ZERO, ZERO), scan=scan)

    assert found is not None
    assert found[2] == b"".join(count.to_bytes(4, "little") for count in (3, 1, 2, 1))
    assert push.values.tolist()[1:] == [0.0, 0.0]
    assert push.times_ms.tolist() == [TIME_MS] * 3
    assert push.positions.tolist() == [1, 1, 2]


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.glob("*-1.0-*")))
def test_bodies_of_real_senders_are_scanned(name: str, scan: Scan) -> None:
    assert scan(snappy.decompress((CAPTURES / name).read_bytes(), 100_000), PIECES_MAX) is not None


def test_nothing_beyond_the_bounds_is_scanned(scan: Scan) -> None:
    lone, several = written(*[SAMPLE] * 10), written(SAMPLE * 6, ZERO * 4, SAMPLE)

    assert [scan(lone, 10) is None, scan(lone, 9) is None] == [False, True]
    assert [scan(several, 10) is None, scan(several, 9) is None] == [False, True]
    with pytest.raises(TooLarge):
        remote_write.decode_v1(several, 9, scan=scan)


def test_a_label_that_begins_too_late_is_not_scanned(scan: Scan) -> None:
    labels = [b"\x0a" + framed(bytes(length)) for length in (1000, 991)]
    assert len(b"".join(labels)) == 1997

    last, late = (b"".join(labels) + b"\x0a" + framed(bytes(n)) for n in (99, 99))
    assert scan(written(last + SAMPLE), PIECES_MAX) is not None
    assert scan(written(b"\x0a\0" + late + SAMPLE), PIECES_MAX) is None


def test_labels_of_a_longer_length_than_needed_have_the_same_key(scan: Scan) -> None:
    usual = b"\x0a\x0e\x0a\x08__name__\x12\x02up"
    longer = b"\x0a\x8e\x00" + usual[2:]
    push = remote_write.decode_v1(written(usual + SAMPLE, longer + SAMPLE), scan=scan)

    assert set(push.keys) == {usual}


@pytest.mark.parametrize("words", [(), (b"",), ("", 1), (bytearray(), 1), (b"", 1, 2)])
def test_the_compiled_scanner_takes_bytes_and_a_number(words: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        compiled()(*words)  # type: ignore[arg-type]


def test_the_compiled_scanner_takes_no_negative_bound() -> None:
    with pytest.raises(OverflowError):
        compiled()(b"", -1)
