"""One line per step on the terminal; the output of what a step runs goes to a log file."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from scripts import places

LOG_LINES_SHOWN = 15


class StepError(Exception):
    """A step failed; the message says why and what to do."""


def log_file() -> Path:
    """Return the file that holds the output of quiet commands."""
    return places.log_dir() / "make.log"


def start_log() -> None:
    """Begin the log anew."""
    log_file().parent.mkdir(parents=True, exist_ok=True)
    log_file().write_text("")


@contextmanager
def step(title: str, *, others_write: bool = False) -> Iterator[None]:
    """Print one line with the seconds that the step took, two where others write meanwhile."""
    print(f"==> {title} ... ", end="\n" if others_write else "", flush=True)
    started = time.monotonic()
    result = "stopped"
    try:
        yield
        result = f"{time.monotonic() - started:.1f} s"
    except Exception:
        result = "failed"
        raise
    finally:
        print(f"==> {title}: {result}" if others_write else result, flush=True)


def quietly(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    hint: str = "",
) -> None:
    """Run a command with its output in the log, and show the log's end if it fails."""
    path = log_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    with path.open("a") as log:
        print(f"$ {' '.join(words)}", file=log, flush=True)
        try:
            status = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=env,
                check=False,
            ).returncode
        except FileNotFoundError as error:
            raise StepError(f"{words[0]} is not installed. {hint}") from error
    if status:
        end = path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        raise StepError(
            f"'{' '.join(words[:4])} ...' ended with status {status}. Its last lines:\n"
            + "\n".join(f"    {line}" for line in end)
            + f"\nAll of it: {path}\n{hint}"
        )


def note(message: str) -> None:
    """Print a line that is no step."""
    print(f"    {message}", flush=True)


def give_up(error: StepError) -> NoReturn:
    """Say why `make` stops, and stop."""
    print(f"\nos_credits: {error}", file=sys.stderr, flush=True)
    raise SystemExit(1)
