"""Fuzz one target in a process of its own.

    python -m tests.fuzz.one_target NAME SECONDS SEED FOLDER

Guided by coverage where atheris is installed; else by chance alone, which is said. The last line
is a JSON object with the figures.
"""

import importlib
import json
import os
import pkgutil
import random
import sys
import time
from pathlib import Path
from typing import Any

PLAIN = "atheris is not installed here: fuzzing by chance, not guided by coverage"
# Beyond any slow input: libFuzzer then ends the process and keeps the body.
HANG_SECONDS = 30
MEMORY_MIB_MAX = 2048
INPUT_BYTES_MAX = 64 * 1024


def atheris_or_none() -> Any:
    """Give the module atheris, or None where it does not exist."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def main() -> None:
    """Fuzz the target until its time is over."""
    name, seconds, seed, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    atheris = atheris_or_none()
    if atheris is None:
        sys.stderr.write(f"{PLAIN}\n")
        _by_chance(name, seconds, seed, folder)
        return
    with atheris.instrument_imports(include=["os_credits.decode"]):
        decode = importlib.import_module("os_credits.decode")
        for module in pkgutil.walk_packages(decode.__path__, "os_credits.decode."):
            importlib.import_module(module.name)
    _guided(atheris, name, seconds, seed, folder)


def _guided(atheris: Any, name: str, seconds: int, seed: int, folder: Path) -> None:
    from tests.fuzz.findings import Findings
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    findings = Findings(target, folder / "findings")
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, body in enumerate(target.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(body)
    ends = time.monotonic() + seconds

    def judge(body: bytes) -> None:
        findings.judge(body)
        if time.monotonic() > ends:
            _tell(findings)
            sys.stdout.flush()
            os._exit(0)  # there is no other way out of libFuzzer that leaves the status to us

    def mutate(body: bytes, size_max: int, number: int) -> bytes:
        def plain(part: bytes) -> bytes:
            return bytes(atheris.Mutate(part, max(len(part) + 64, 64)))

        return target.mutation(body, plain, random.Random(number))[:size_max]

    arguments = [
        sys.argv[0],
        str(corpus),
        f"-seed={seed}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={HANG_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB_MAX}",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup(arguments, judge, custom_mutator=mutate, internal_libfuzzer=True)
    atheris.Fuzz()


def _by_chance(name: str, seconds: int, seed: int, folder: Path) -> None:
    from tests.fuzz.findings import Findings
    from tests.fuzz.mutations import bytes_mutator
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    findings = Findings(target, folder / "findings")
    chance = random.Random(seed)
    mutate = bytes_mutator(chance)
    bodies = target.seeds()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        body = chance.choice(bodies)
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            body = target.mutation(body, mutate, chance)[:INPUT_BYTES_MAX]
        findings.judge(body)
    _tell(findings)


def _tell(findings: Any) -> None:
    figures = {
        "executions": findings.executions,
        "slowest_seconds": round(findings.slowest_seconds, 3),
        "findings": {kind: str(path) for kind, path in findings.kinds.items()},
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
