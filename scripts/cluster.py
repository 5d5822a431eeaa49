"""A private PostgreSQL cluster in one folder: made, started as our child, stopped with us.

It listens on 127.0.0.1 only and asks for passwords; those and the port lie in `cluster.json`,
which only its owner may read. What durability needs stays at PostgreSQL's defaults: on.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scripts import account, databases, places, ports
from scripts.children import start_child, stop_child
from scripts.progress import StepError, quietly
from scripts.timescaledb import Server

OWNER_ROLE = "os_credits_owner"
SERVICE_ROLE = "os_credits"
SUPERUSER = "postgres"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
SETTINGS = """
# Written by os_credits when it made this cluster.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
max_worker_processes = 32
jit = off
"""


class Cluster:
    """One cluster; `folder` holds its data, its log and its passwords."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.data = folder / "cluster"
        self.log = folder / "postgresql.log"
        self.as_user = account.as_server_user([folder, server.programs])

    def make(self) -> None:
        """Make the data folder if there is none."""
        version = self.data / "PG_VERSION"
        if not version.exists():
            self._remember(
                {
                    "port": 0,
                    SUPERUSER: secrets.token_urlsafe(),
                    OWNER_ROLE: secrets.token_urlsafe(),
                    SERVICE_ROLE: secrets.token_urlsafe(),
                }
            )
            with places.made_whole(self.data) as data:
                self._initialise(data)
        major = version.read_text().strip()
        if major != self.server.major:
            raise StepError(
                f"{self.data} was made by PostgreSQL {major}, here is {self.server.major}. "
                f"Install PostgreSQL {major} with TimescaleDB, or name another DATA_DIR."
            )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the server as a child of ours."""
        self._end_left_over()
        settings = self._settings()
        if not settings["port"] or not ports.is_free(settings["port"]):
            self._remember({**settings, "port": ports.free_port()})
        port = self._settings()["port"]
        programs = self.server.programs
        with self.log.open("ab") as log:
            process = start_child(
                [programs / "postgres", "-D", self.data, f"--port={port}"],
                stops_at=signal.SIGINT,
                as_user=self.as_user,
                output=log,
                cwd="/",
            )
        try:
            self._wait_until_it_answers(process)
            yield
        finally:
            # SIGINT is PostgreSQL's "fast" shutdown: it ends all sessions and is clean.
            stop_child(process, signal.SIGINT, STOP_SECONDS_MAX)

    def url(self, database: str, role: str = SERVICE_ROLE) -> str:
        """Return the URL with which a role opens a database."""
        settings = self._settings()
        return f"postgresql://{role}:{settings[role]}@127.0.0.1:{settings['port']}/{database}"

    def make_roles(self, *, may_create: bool) -> None:
        """Make the role that owns the tables, which alone may create, and the service's own."""
        administrator = self.url("postgres", SUPERUSER)
        settings = self._settings()
        if OWNER_ROLE not in settings:  # made when one role did everything
            settings[OWNER_ROLE] = secrets.token_urlsafe()
            self._remember(settings)
        for role in (OWNER_ROLE, SERVICE_ROLE):
            may = may_create and role == OWNER_ROLE
            databases.make_role(administrator, role, settings[role], may_create=may)
        if may_create:
            databases.join_role(administrator, SERVICE_ROLE, OWNER_ROLE)

    def make_database(self, name: str) -> None:
        """Make a database for the service, with the extension; all in it is the owner's."""
        databases.make_database(self.url("postgres", SUPERUSER), name, OWNER_ROLE)
        administrator = self.url(name, SUPERUSER)
        databases.make_extension(administrator)
        databases.hand_over(administrator, SERVICE_ROLE, OWNER_ROLE)

    def _initialise(self, data: Path) -> None:
        """Fill the data folder; PostgreSQL demands that it is its user's own and closed."""
        data.parent.chmod(0o755)
        data.chmod(0o700)
        password_file = data.parent / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._settings()[SUPERUSER])
        for path in (data, password_file):
            account.give(path)
        quietly(
            [
                *self.as_user,
                self.server.programs / "initdb",
                f"--pgdata={data}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--data-checksums",
            ],
            cwd=Path("/"),
        )
        with (data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not databases.answers(self.url("postgres", SUPERUSER)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StepError(f"PostgreSQL did not start; its log says why: {self.log}")
            time.sleep(0.05)

    def _end_left_over(self) -> None:
        """End what a killed `make` left running in this folder, and forget a stale pid file."""
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().split()[0])
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while self._is_ours(pid):
            if time.monotonic() > deadline:
                raise StepError(f"PostgreSQL (process {pid}) of an earlier make does not end.")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            time.sleep(0.2)
        pid_file.unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """Tell whether a process is a PostgreSQL that works in our data folder."""
        try:
            return Path(f"/proc/{pid}/cwd").samefile(self.data)
        except OSError:
            return False

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads((self.folder / "cluster.json").read_text())
        return settings

    def _remember(self, settings: dict[str, Any]) -> None:
        places.write_secret(self.folder / "cluster.json", json.dumps(settings))
