"""The decoder of line protocol against bodies generated from the published grammar."""

import time
from collections import Counter

import pytest

from os_credits.decode import line_protocol
from os_credits.decode.line_protocol import POINT_BYTES_MAX
from os_credits.domain.sample import Push
from tests.conformance.line_bodies import FAULTS, NANOSECONDS, Body, Row, write_body
from tests.conformance.line_writer import LineWriter

BODIES_PER_PRECISION = 25
LINES_PER_BODY = 12


def rows_of(push: Push) -> Counter[Row]:
    labels = [frozenset(line_protocol.labels_of(key)) for key in push.keys]
    columns = zip(
        push.positions.tolist(),
        push.key_index.tolist(),
        push.times_ms.tolist(),
        push.untimed.tolist(),
        push.values.tolist(),
        strict=True,
    )
    return Counter(
        Row(line, labels[key], None if untimed else time_ms, value)
        for line, key, time_ms, untimed, value in columns
    )


def check(body: Body) -> None:
    """Read a body: exactly its samples and texts, and each bad line by number and fault."""
    whole = body.whole()
    push = line_protocol.decode(whole, body.precision)
    told = [rejected.reason for rejected in push.rejected]

    assert rows_of(push) == body.rows, whole
    assert push.texts == body.texts, whole
    assert [rejected.where for rejected in push.rejected] == [
        f"line {line}" for line, _ in body.refused
    ], whole
    for reason, (_, words) in zip(told, body.refused, strict=True):
        assert words in reason.rpartition("': ")[2], whole


@pytest.mark.parametrize("precision", NANOSECONDS)
def test_generated_bodies_are_read_to_the_last_digit(precision: str) -> None:
    for number in range(BODIES_PER_PRECISION):
        check(write_body(f"{precision} {number}", precision, LINES_PER_BODY))


@pytest.mark.parametrize("place", range(5))
def test_every_kind_of_bad_line_costs_one_line_wherever_it_stands(place: int) -> None:
    for number, add_fault in enumerate(FAULTS):
        body = Body(LineWriter(f"{place} {number}"), "ms")
        for position in range(5):
            if position == place:
                add_fault(body)
            else:
                body.add_point(body.writer.point(), body.time())
        check(body)


def test_a_point_of_a_mebibyte_is_read_and_a_longer_one_costs_one_line() -> None:
    room = POINT_BYTES_MAX - len('m t="",value=1\n')
    fitting = f'm t="{"x" * room}",value=1\n'
    longer = f'm t="{"x" * (room + 1)}",value=2\n'
    push = line_protocol.decode(f"{longer}{fitting}{longer}m value=3".encode(), "ns")

    assert push.values.tolist() == [1.0, 3.0]
    assert [rejected.where for rejected in push.rejected] == ["line 1", "line 3"]
    assert all("longer than 1048576 bytes" in rejected.reason for rejected in push.rejected)


def test_many_points_of_a_mebibyte_are_read_in_linear_time() -> None:
    point = b'm t="' + b"x\n" * 200_000 + b'",value=1\n'
    started = time.process_time()
    push = line_protocol.decode(point * 20, "ns")

    assert push.positions.tolist() == [1 + 200_001 * number for number in range(20)]
    assert time.process_time() - started < 5
