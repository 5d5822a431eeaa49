"""Tries every mutation on a copy of the checkout: its test must fail, and pass without it.

    python -m tests.mutations.run [--jobs 2] [NAME ...]

Run under `scripts.with_server`. The last line is `mutants N, killed N`.
"""

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutations.listed import CHECKOUT, Edit, Mutation, mutations

LEFT_OUT = (".*", "__pycache__", "dist", "node_modules", "*.egg-info")
TEST_SECONDS_MAX = 60
RUN_SECONDS_MAX = 300
FAILED = 1
WHERE = "import os_credits, tests.core; print(os_credits.__file__); print(tests.core.__file__)"


class ControlError(Exception):
    """The tests do not pass, or do not run on the copy, while nothing is mutated."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the checkout, in which one mutation after the other is tried."""

    folder: Path

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python so that it finds the copy's modules before any installed ones."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(self.folder / "src"), str(self.folder))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )

    def pytest(self, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run tests of the copy, always with the same random choices."""
        fixed = ("-p", "no:cacheprovider", "--hypothesis-seed=0")
        limit = ("-o", f"timeout={TEST_SECONDS_MAX}")
        return self.python("-m", "pytest", "-q", "-x", "--tb=line", *fixed, *limit, *tests)

    @contextmanager
    def mutated(self, edits: Sequence[Edit]) -> Iterator[None]:
        """Make the edits for now; each old text must stand in its file exactly once."""
        before = {edit.file: (self.folder / edit.file).read_text() for edit in edits}
        try:
            for edit in edits:
                path = self.folder / edit.file
                text = path.read_text()
                if text.count(edit.old) != 1:
                    message = f"{edit.file} holds {text.count(edit.old)} times: {edit.old!r}"
                    raise ControlError(message)
                path.write_text(text.replace(edit.old, edit.new))
            yield
        finally:
            for file, text in before.items():
                (self.folder / file).write_text(text)


@contextmanager
def copied() -> Iterator[Copy]:
    """Copy the checkout, and see that its modules are the ones that Python finds."""
    with tempfile.TemporaryDirectory(
        prefix="os_credits-mutant-", ignore_cleanup_errors=True
    ) as parent:
        folder = Path(parent) / "checkout"
        shutil.copytree(CHECKOUT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        copy = Copy(folder)
        found = copy.python("-c", WHERE).stdout.split()
        if len(found) != 2 or not all(Path(one).is_relative_to(folder) for one in found):
            message = f"the copy's modules are not the ones that are imported: {found}"
            raise ControlError(message)
        yield copy


def control(copy: Copy, chosen: Sequence[Mutation]) -> None:
    """See that every mutation can be made, and run all named tests unmutated."""
    for mutation in chosen:
        with copy.mutated(mutation.edits):
            pass
    result = copy.pytest(sorted({one.test for one in chosen}))
    _say(f"control   {_summary(result.stdout)}")
    if result.returncode != 0:
        raise ControlError(result.stdout[-4000:] + result.stderr[-1000:])


def is_killed(copy: Copy, mutation: Mutation) -> bool:
    """Try one mutation; a test that breaks before it can judge has not failed."""
    started = time.monotonic()
    with copy.mutated(mutation.edits):
        try:
            result = copy.pytest([mutation.test])
        except subprocess.TimeoutExpired:
            killed, summary = True, f"no end after {RUN_SECONDS_MAX} s"
        else:
            summary = _summary(result.stdout)
            killed = result.returncode == FAILED and re.search(r"\d+ failed", summary) is not None
    word = "killed" if killed else "SURVIVED"
    seconds = time.monotonic() - started
    _say(f"{word:9} {mutation.name:40} {seconds:5.1f} s  {summary}")
    return killed


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - talks to a person at a terminal


def _summary(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "no output"


def main() -> None:
    """Try the named mutations, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    chosen = [one for one in mutations() if not arguments.names or one.name in arguments.names]
    with ExitStack() as stack:
        copies = [stack.enter_context(copied()) for _ in range(arguments.jobs)]
        try:
            control(copies[0], chosen)
            killed = _try_all(copies, chosen)
        except ControlError as error:
            sys.exit(f"no mutant was judged fairly: {error}")
    _say(f"mutants {len(chosen)}, killed {killed}")
    sys.exit(0 if chosen and killed == len(chosen) else 1)


def _try_all(copies: Sequence[Copy], chosen: Sequence[Mutation]) -> int:
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def tried(mutation: Mutation) -> bool:
        copy = free.get()
        try:
            return is_killed(copy, mutation)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        return sum(pool.map(tried, chosen))


if __name__ == "__main__":
    main()
