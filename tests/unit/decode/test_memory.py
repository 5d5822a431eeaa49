"""No body of the largest size takes more memory or time than there is."""

import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
# The body itself is 64 of it, the interpreter with its libraries 50.
PEAK_MIB_MAX = 400
# Of the processor's time, also on a busy machine.
SECONDS_MAX = 20


def test_the_worst_bodies_of_64_mib_are_decoded_in_bounded_memory_and_time() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.decode.hostile_bodies"],
        cwd=CHECKOUT,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    figures = json.loads(ended.stdout)

    assert figures["peak_mib"] < PEAK_MIB_MAX, ended.stderr.decode()
    assert figures["slowest_seconds"] < SECONDS_MAX, ended.stderr.decode()
