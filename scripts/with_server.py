"""Run a command with a TimescaleDB server that is thrown away afterwards.

    python -m scripts.with_server [--on-disk] COMMAND...

The command finds it in OS_CREDITS_TEST_DATABASE_URL, with a role that may create databases and
owns what is in them, and in OS_CREDITS_TEST_SERVICE_DATABASE_URL, with a role that owns nothing.
With OS_CREDITS_DATABASE_URL set, that server is used instead: databases are made beside the named
one, and a role for the service that is dropped afterwards.
The server's files lie in memory where there is room: the settings that durability needs stay on,
as the service demands, and cost next to nothing there.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scripts import databases, places, timescaledb
from scripts.cluster import OWNER_ROLE, Cluster
from scripts.progress import StepError, give_up, step

MEMORY = Path("/dev/shm")  # noqa: S108 - room to work in, below it a folder of our own
PREFIX = "os_credits-"
ROOM_BYTES_MIN = 2 * 1024**3


def main() -> None:
    """Run the command and end with its exit status."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, _stop)
    words = sys.argv[1:]
    on_disk = words[:1] == ["--on-disk"]
    try:
        with _server(on_disk=on_disk) as (owner_url, service_url):
            status = _run(words[1:] if on_disk else words, owner_url, service_url)
    except StepError as error:
        give_up(error)
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    raise SystemExit(status)


def _stop(_signal: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _run(words: Sequence[str], owner_url: str, service_url: str) -> int:
    """Run the command from the virtual environment, free of the settings of any service."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OS_CREDITS_")
    }
    environment["OS_CREDITS_TEST_DATABASE_URL"] = owner_url
    environment["OS_CREDITS_TEST_SERVICE_DATABASE_URL"] = service_url
    environment["PATH"] = f"{places.VENV / 'bin'}:{environment['PATH']}"
    process = subprocess.Popen(words, cwd=places.CHECKOUT, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()  # Ctrl-C has reached the command too
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # which pytest ends at cleanly
            process.wait()


@contextmanager
def _server(*, on_disk: bool) -> Iterator[tuple[str, str]]:
    """Give the URLs of the owner and of the service on the named server, or on one made for now."""
    named = os.environ.get("OS_CREDITS_DATABASE_URL")
    if named:
        reason = databases.why_unfit_for_tests(named)
        if reason:
            raise StepError(f"The server of OS_CREDITS_DATABASE_URL is unfit for tests: {reason}.")
        with _role_for_now(named) as service_url:
            yield named, service_url
        return
    with temporary_cluster(on_disk=on_disk) as cluster, ExitStack() as stack:
        with step("Making a TimescaleDB server for the moment"):
            cluster.make()
            stack.enter_context(cluster.running())
            cluster.make_roles(may_create=True)
        yield cluster.url("postgres", OWNER_ROLE), cluster.url("postgres")


@contextmanager
def _role_for_now(url: str) -> Iterator[str]:
    """Make a role beside the one of the URL, give its own URL, and drop it afterwards."""
    role, password = f"os_credits_test_{secrets.token_hex(8)}", secrets.token_urlsafe()
    databases.make_role(url, role, password, may_create=False)
    try:
        databases.join_role(url, role)
        yield databases.as_role(url, role, password)
    finally:
        databases.drop_role(url, role)


@contextmanager
def temporary_cluster(*, on_disk: bool = False) -> Iterator[Cluster]:
    """Give a cluster that is still to be made and started; its folder is removed afterwards."""
    _remove_left_overs()
    server = timescaledb.make()
    in_memory = not on_disk and MEMORY.is_dir() and _has_room(MEMORY)
    with tempfile.TemporaryDirectory(
        prefix=f"{PREFIX}{os.getpid()}-",
        dir=MEMORY if in_memory else None,
        ignore_cleanup_errors=True,
    ) as folder:
        Path(folder).chmod(0o755)
        yield Cluster(server, Path(folder))


def _remove_left_overs() -> None:
    """Remove the folders of processes that were killed; memory is too good for them."""
    for folder in MEMORY.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    return shutil.disk_usage(folder).free > ROOM_BYTES_MIN


if __name__ == "__main__":
    main()
