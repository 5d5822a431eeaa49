"""`make run`: database, migrations, key, service, simulated cloud; and all of it down again.

Whatever stops us (Ctrl-C, SIGTERM, the end of the service), the simulated cloud is stopped
first, then the service, then PostgreSQL. Data and key stay for the next run.
"""

import fcntl
import os
import shlex
import signal
from contextlib import ExitStack
from pathlib import Path

import psycopg

from os_credits.demo.logins import LOGINS
from scripts import demo_env, places, ports, roles, timescaledb
from scripts.cluster import OWNER_ROLE, Cluster
from scripts.known import Known
from scripts.progress import StepError, give_up, note, step
from scripts.roles import Urls
from scripts.service import PROGRAM, Service

DATABASE = "os_credits"
PORT_MAX = 65535
# Beyond this the history goes on beside what we say.
HISTORY_SECONDS_MAX = 90.0


class StopRequested(BaseException):
    """A signal asked us to stop."""


def main() -> None:
    """Run until stopped; end with the service's status if it ended by itself."""
    os.umask(0o022)
    _stop_on_signals()
    status = 0
    try:
        with ExitStack() as stack:
            status = _run(stack)
            note(f"The service has ended with status {status}; stopping the rest.")
    except StopRequested:
        note("Everything is stopped; the data stays.")
    except StepError as error:
        give_up(error)
    raise SystemExit(status if status >= 0 else 128 - status)


def _run(stack: ExitStack) -> int:
    """Start everything in its order; return when the service has ended."""
    port = _free_port_for_service()
    folder = _data_folder(stack)
    named = os.environ.get("OS_CREDITS_DATABASE_URL")
    urls = roles.of_named(named, folder) if named else _start_private_database(stack, folder)
    service = Service(port, urls.service, urls.owner)
    with step("Migrating the database"):
        known = _look_at(folder, named or urls.service, is_private=not named)
        service.migrate()
    env_file = demo_env.EnvFile(folder, service.url, urls.service, urls.owner)
    key = known.key or service.make_key()
    password = known.password or demo_env.new_password()
    env_file.write(key, password)
    known.remember_key()
    if known.with_demo:
        service.prepare_demo(folder)
    process = stack.enter_context(service.running())
    with step(f"Starting the service on {service.url}", others_write=True):
        if not service.wait_until_ready(process):
            return process.returncode
    if not service.takes(key):
        key = service.make_key()
        env_file.write(key, password)
    if known.with_demo:
        with step("Simulating a cloud: two weeks of history, then live", others_write=True):
            demo = stack.enter_context(service.demo(key, password))
            demo.wait_until_live(HISTORY_SECONDS_MAX)
        _say_what_to_do(service.url, key, env_file.path, people=_people(password))
    else:
        _say_what_to_do(service.url, key, env_file.path, people=_how_to_begin(env_file.path))
    return process.wait()


def _free_port_for_service() -> int:
    """Return the port that was asked for, if it can be had."""
    text = os.environ.get("PORT", "8080")
    if not text.isdecimal() or not 0 < int(text) <= PORT_MAX:
        raise StepError(f"PORT={text} is no port; say make run PORT=8080, for instance.")
    if not ports.is_free(int(text)):
        raise StepError(
            f"Port {text} of {ports.LOOPBACK} is in use. Stop what uses it, or say: "
            f"make run PORT={ports.free_port()}"
        )
    return int(text)


def _data_folder(stack: ExitStack) -> Path:
    """Return the data folder, ours alone as long as we run."""
    folder = places.data_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = stack.enter_context((folder / "run.lock").open("w"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StepError(
            f"Another make run uses {folder}. Stop that one, or name another folder: "
            "make run DATA_DIR=... PORT=..."
        ) from None
    except OSError as error:
        raise StepError(f"DATA_DIR {folder} cannot be used: {error}") from error
    return folder


def _start_private_database(stack: ExitStack, folder: Path) -> Urls:
    """Start the private TimescaleDB and return how its two roles open the database."""
    cluster = Cluster(timescaledb.make(), folder)
    with step(f"Starting the private TimescaleDB in {folder}"):
        cluster.make()
        stack.enter_context(cluster.running())
        cluster.make_roles(may_create=False)
        cluster.make_database(DATABASE)
    return Urls(cluster.url(DATABASE), cluster.url(DATABASE, OWNER_ROLE))


def _look_at(folder: Path, database_url: str, *, is_private: bool) -> Known:
    """Look what earlier runs did with the database, and whether it answers at all."""
    demo = os.environ.get("DEMO") != "0"
    try:
        return Known(folder, database_url, is_private=is_private, demo=demo)
    except psycopg.OperationalError as error:
        raise StepError(f"The database of OS_CREDITS_DATABASE_URL: {error}") from error


def _say_what_to_do(url: str, key: str, env_file: Path, *, people: str) -> None:
    """Print what to open and what to try."""
    print(f"""
os_credits is ready (Ctrl-C stops it):  {url}/

{people}
  the API  {url}/api/doc
  try      curl -H 'Authorization: Bearer {key}' '{url}/cost_per_hour?flavor=m1.large'
  scripts  . {shlex.quote(str(env_file))}
""")


def _people(password: str) -> str:
    """Say who can log in to the simulated cloud, and what each sees."""
    lines = [f"           {login.person.email:22}{login.role}" for login in LOGINS]
    return "\n".join([f"  log in   each with the password  {password}", *lines])


def _how_to_begin(env_file: Path) -> str:
    """Say how the first administrator comes to a login."""
    return (
        f"  log in   . {shlex.quote(str(env_file))}; "
        f"{shlex.quote(str(PROGRAM))} login add YOU@EXAMPLE.ORG --administrator"
    )


def _stop_on_signals() -> None:
    """Turn the first signal into an exception; more of them change nothing."""
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, _frame: object) -> None:
        for each in stopping:
            signal.signal(each, signal.SIG_IGN)
        raise StopRequested(signal.Signals(number).name)

    for each in stopping:
        signal.signal(each, stop)


if __name__ == "__main__":
    main()
