"""The service as our child, and the commands of its program `os-credits`."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import places, ports
from scripts.children import start_child, stop_child
from scripts.progress import StepError, log_file, quietly

PROGRAM = places.VENV / "bin" / "os-credits"
READY_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
DEMO_GRACE_SECONDS = "60"
SCOPES = ("ingest", "read", "admin")


class Demo:
    """The simulated cloud as our child; what it says goes where our words go."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._is_live = threading.Event()
        threading.Thread(target=self._pass_on, name="demo", daemon=True).start()

    def wait_until_live(self, seconds_max: float) -> None:
        """Wait until the history is pushed, or for so long."""
        self._is_live.wait(seconds_max)

    def _pass_on(self) -> None:
        output = self._process.stdout
        assert output is not None  # noqa: S101 - it was started with a pipe
        for line in output:
            print(f"    {line.decode(errors='replace').rstrip()}", flush=True)
            if line.startswith(b"live"):
                self._is_live.set()
        self._is_live.set()


class Service:
    """One copy of the service on one port of the loopback address."""

    def __init__(self, port: int, database_url: str, owner_url: str) -> None:
        self._owner_url = owner_url
        self.port = port
        self.url = f"http://{ports.LOOPBACK}:{port}"
        self.environment = {
            **os.environ,
            "OS_CREDITS_DATABASE_URL": database_url,
            "OS_CREDITS_HOST": ports.LOOPBACK,
            "OS_CREDITS_PORT": str(port),
            # Only `migrate` works as the owner of the tables.
            "OS_CREDITS_OWNER_DATABASE_URL": "",
        }

    def migrate(self) -> None:
        """Bring the database to the newest schema, and grant the service its rights in it."""
        environment = {**self.environment, "OS_CREDITS_OWNER_DATABASE_URL": self._owner_url}
        quietly([PROGRAM, "migrate"], env=environment, cwd=places.CHECKOUT)

    def make_key(self) -> str:
        """Make a key that may do everything, for a person who tries the service."""
        scopes = [word for scope in SCOPES for word in ("--scope", scope)]
        with log_file().open("a") as log:
            answer = subprocess.run(
                [PROGRAM, "key", "add", "make run", *scopes, "--json"],
                env=self.environment,
                cwd=places.CHECKOUT,
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
            )
        if answer.returncode:
            raise StepError(f"os-credits key add failed; its log says why: {log_file()}")
        key: str = json.loads(answer.stdout)["key"]
        return key

    def prepare_demo(self, folder: Path) -> None:
        """Let the service know the simulated cloud's meters, and book soon, so that people see it.

        What somebody has set stays.
        """
        self.environment.setdefault("OS_CREDITS_GRACE_PERIOD_SECONDS", DEMO_GRACE_SECONDS)
        if self.environment.get("OS_CREDITS_METER_FILE"):
            return
        package = places.CHECKOUT / "src" / "os_credits"
        parts = [package / "meters.toml", package / "demo" / "meters.toml"]
        file = folder / "meters.toml"
        file.write_text("\n".join(part.read_text() for part in parts))
        self.environment["OS_CREDITS_METER_FILE"] = str(file)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the service; its log goes where ours goes."""
        process = start_child([PROGRAM, "serve"], env=self.environment, cwd=places.CHECKOUT)
        try:
            yield process
        finally:
            stop_child(process, signal.SIGTERM, STOP_SECONDS_MAX)

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for /readyz; tell whether it came, and not the end of the process."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while process.poll() is None:
            if self._status("/readyz") == http.client.OK:
                return True
            if time.monotonic() > deadline:
                raise StepError(f"{self.url}/readyz did not answer 200 in {READY_SECONDS_MAX} s.")
            time.sleep(0.1)
        return False

    def takes(self, key: str) -> bool:
        """Tell whether a key still opens what an administrator's key opens."""
        refused = {http.client.UNAUTHORIZED, http.client.FORBIDDEN}
        return self._status("/stats", {"Authorization": f"Bearer {key}"}) not in refused

    @contextmanager
    def demo(self, key: str, password: str) -> Iterator[Demo]:
        """Run the simulated cloud, which knows the service by its URL and a key only."""
        environment = {
            **self.environment,
            "OS_CREDITS_URL": self.url,
            "OS_CREDITS_KEY": key,
            "OS_CREDITS_DEMO_PASSWORD": password,
        }
        process = start_child(
            [PROGRAM, "demo"], output=subprocess.PIPE, env=environment, cwd=places.CHECKOUT
        )
        try:
            yield Demo(process)
        finally:
            stop_child(process, signal.SIGTERM, STOP_SECONDS_MAX)

    def _status(self, path: str, headers: dict[str, str] | None = None) -> int | None:
        """Ask for a page and return the status, None if nobody answers."""
        connection = http.client.HTTPConnection(ports.LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", path, headers=headers or {})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
