"""Fuzz every decoder for a while: python -m tests.fuzz SECONDS SEED [TARGET...].

What was found lies in `.fuzz/TARGET/findings`, and becomes a case of tests/unit/decode; the
corpus that coverage has gathered stays in `.fuzz/TARGET/corpus` for the next time. At the end
inputs that invite square time are tried. The exit status is 1 if anything was found.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.fuzz.one_target import PLAIN, atheris_or_none
from tests.fuzz.scaling import slow_inputs
from tests.fuzz.targets import TARGETS

SECONDS = 60
SEED = 1
CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / ".fuzz"
# What a process may need beyond its time: to start, and to notice a hang.
GRACE_SECONDS = 90


def main() -> None:
    """Fuzz one target after the other and say what came of it."""
    words = sys.argv[1:]
    seconds = int(words[0]) if words else SECONDS
    seed = int(words[1]) if len(words) > 1 else SEED
    names = words[2:] or list(TARGETS)
    if atheris_or_none() is None:
        _say(PLAIN)
    found = sum(_fuzz(name, seconds, seed) for name in names)
    for slow in slow_inputs(names):
        _say(f"slow: {slow}")
        found += 1
    raise SystemExit(1 if found else 0)


def _fuzz(name: str, seconds: int, seed: int) -> int:
    """Fuzz one target; give how much was found."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    words = [sys.executable, "-m", "tests.fuzz.one_target", name, str(seconds), str(seed)]
    with log.open("wb") as errors:
        ended = subprocess.run(
            [*words, str(folder)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=seconds + GRACE_SECONDS,
            check=False,
        )
    last = ended.stdout.decode().strip().rpartition("\n")[2]
    if ended.returncode or not last.startswith("{"):
        _say(f"{name:20} ended by itself with {ended.returncode}, see {log}")
        return 1
    figures = json.loads(last)
    coverage = [word for word in log.read_text(errors="replace").split("\n") if " cov: " in word]
    reached = coverage[-1].split(" cov: ")[1].split()[0] if coverage else "?"
    _say(
        f"{name:20}{figures['executions']:>9} executions, {reached:>5} edges, slowest "
        f"{figures['slowest_seconds']:.3f} s, {len(figures['findings'])} findings"
    )
    for kind, path in figures["findings"].items():
        _say(f"    {kind}: {path}")
    return len(figures["findings"])


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
