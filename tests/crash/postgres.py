"""A PostgreSQL of its own whose processes are killed, at once or one of them, and start again."""

import json
import os
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg

from scripts import databases, places
from scripts.cluster import OWNER_ROLE, SERVICE_ROLE, START_SECONDS_MAX, Cluster
from tests.acceptance.own_process import unused_port

DATABASE = "credits"
DYING_SECONDS_MAX = 10


class Postgres:
    """One cluster; its port stays the same over a restart."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """Name the database as the service does."""
        return self._cluster.url(DATABASE, SERVICE_ROLE)

    @property
    def owner_url(self) -> str:
        """Name the database as the owner of its tables does."""
        return self._cluster.url(DATABASE, OWNER_ROLE)

    def make(self) -> None:
        """Make the cluster and the service's database, and let it run."""
        self._cluster.make()
        secrets = self._cluster.folder / "cluster.json"
        # Not one of the ports that the kernel gives to clients, as the cluster itself takes.
        kept = {**json.loads(secrets.read_text()), "port": unused_port()}
        places.write_secret(secrets, json.dumps(kept))
        self.start()
        self._cluster.make_roles(may_create=False)
        self._cluster.make_database(DATABASE)

    def start(self) -> None:
        """Start the server and wait until it answers, so after its recovery."""
        self._running.enter_context(self._cluster.running())

    def close(self) -> None:
        """End the server well."""
        self._running.close()

    def kill(self) -> None:
        """Kill all of its processes: the first is halted before, so that it starts no more."""
        first = int((self._cluster.data / "postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGSTOP)
        processes = [first, *_children_of(first)]
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._running.close()
        deadline = time.monotonic() + DYING_SECONDS_MAX
        while any(_is_alive(process) for process in processes):
            assert time.monotonic() < deadline, "a killed PostgreSQL does not die"
            time.sleep(0.005)

    def kill_session(self) -> None:
        """Kill a session of the service, upon which the server ends all and recovers by itself.

        One in the midst of its work is preferred.
        """
        deadline = time.monotonic() + DYING_SECONDS_MAX
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not (
                found := connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'os_credits'"
                    " AND datname = current_database() ORDER BY state = 'idle', random() LIMIT 1"
                ).fetchone()
            ):
                assert time.monotonic() < deadline, "the service has no session"
                time.sleep(0.01)
        os.kill(found[0], signal.SIGKILL)
        while _fields_of(found[0]):  # until its parent has seen its end
            assert time.monotonic() < deadline, "a killed session does not die"
            time.sleep(0.001)
        self._wait()

    def cut_sessions(self) -> int:
        """End all sessions that the service has; gives how many."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'os_credits'"
            ).rowcount

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not databases.answers(self.url):
            assert time.monotonic() < deadline, "PostgreSQL does not recover"
            time.sleep(0.02)

    def times_logged(self, text: str) -> int:
        """Count how often its log has a text."""
        return self._cluster.log.read_text(errors="replace").count(text)


def _children_of(parent: int) -> list[int]:
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if _fields_of(int(folder.name))[1:2] == [str(parent)]
    ]


def _is_alive(process: int) -> bool:
    return _fields_of(process)[:1] not in ([], ["Z"])


def _fields_of(process: int) -> list[str]:
    """Give state, parent and so on; nothing if there is no such process."""
    try:
        # What stands in brackets before is the program's name, which may hold anything.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
