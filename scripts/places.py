"""Where things lie: the checkout, the tools shared by all checkouts, the data of this one."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
VENV = CHECKOUT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"


def tools_dir() -> Path:
    """Return the folder of what is built once per machine (variable TOOLS_DIR)."""
    named = os.environ.get("TOOLS_DIR")
    if named:
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/os_credits")
    return Path.home() / ".local" / "share" / "os_credits"


def checkout_name() -> str:
    """Return a name for this checkout that no other one on the machine has."""
    return f"{CHECKOUT.name}-{hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]}"


def data_dir() -> Path:
    """Return the folder of the private database and of demo.env (variable DATA_DIR)."""
    named = os.environ.get("DATA_DIR")
    return Path(named).absolute() if named else tools_dir() / "data" / checkout_name()


def log_dir() -> Path:
    """Return the folder of the logs of this checkout's steps."""
    return tools_dir() / "logs" / checkout_name()


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Let one process at a time do this on the machine; the others wait."""
    folder = tools_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"    waiting for another make to be done with: {name}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """Give a folder to fill, and put it in its place only when it is complete.

    What a killed process left unfinished goes; the caller sees to it that it is the only one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_over in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True
    ) as unfinished:
        content = Path(unfinished) / "content"
        content.mkdir()
        yield content
        content.rename(target)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)
