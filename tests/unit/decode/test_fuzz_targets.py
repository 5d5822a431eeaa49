"""What fuzzing checks holds for its seeds, and for some thousand bodies made from them by chance.

`make fuzz` goes on from here, for as long as one likes.
"""

import random
from pathlib import Path

import pytest

from os_credits.decode import line_protocol
from os_credits.domain.sample import Push
from tests.fuzz.findings import Findings
from tests.fuzz.mutations import bytes_mutator
from tests.fuzz.properties import Broken, lines_all_found, rows_of, samples_all_found_1
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.usefixtures("scan")

DAMAGED_BODIES = 250
NOTHING_AT_ALL = b""


@pytest.mark.parametrize("name", TARGETS)
def test_properties_hold_for_seeds_and_damaged_bodies(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    findings = Findings(target, tmp_path)
    chance = random.Random(1)
    mutate = bytes_mutator(chance)
    seeds = target.seeds()

    for body in [*seeds, NOTHING_AT_ALL]:
        findings.judge(body)
    for _ in range(DAMAGED_BODIES):
        body = chance.choice(seeds)
        for _ in range(chance.choice((1, 2, 8))):
            body = target.mutation(body, mutate, chance)
        findings.judge(body)

    assert findings.kinds == {}
    assert findings.executions == len(seeds) + 1 + DAMAGED_BODIES


def test_a_sample_that_is_dropped_silently_is_noticed() -> None:
    body = b"m v=1 1\nm v=2 2"
    push = line_protocol.decode(body, "ns")
    assert len(push) == 2
    lines_all_found(body, push, "ns")

    with pytest.raises(Broken):
        lines_all_found(body, _without_last(push), "ns")


def test_a_sample_of_remote_write_that_is_dropped_silently_is_noticed() -> None:
    body = TARGETS["remote_write_1"].seeds()[-1]
    push = line_protocol.decode(b"", "ns")

    with pytest.raises(Broken):
        samples_all_found_1(body, push)


def test_what_is_raised_by_mistake_is_kept_with_the_body_that_did_it(tmp_path: Path) -> None:
    def check(body: bytes) -> None:
        raise IndexError(body)

    findings = Findings(
        TARGETS["snappy"].__class__(check, TARGETS["snappy"].mutation, list), tmp_path
    )
    findings.judge(b"one")
    findings.judge(b"two")

    [path] = findings.kinds.values()
    assert path.read_bytes() == b"one"
    assert "IndexError" in path.with_suffix(".txt").read_text()


def _without_last(push: Push) -> Push:
    rows = rows_of(push)[:-1]
    return Push(
        unit=push.unit,
        keys=push.keys,
        key_index=push.key_index[: len(rows)],
        times_ms=push.times_ms[: len(rows)],
        values=push.values[: len(rows)],
        positions=push.positions[: len(rows)],
        untimed=push.untimed[: len(rows)],
    )
