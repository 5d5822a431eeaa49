"""Fixtures every test may ask for; a test that asks for no database needs no server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import database


@pytest.fixture(scope="session")
def migrated_template() -> Iterator[str]:
    """Give the name of a migrated database that is made once per run and only cloned."""
    from os_credits.store.migrate import migrate

    with database.database(database.server_url(), as_template=True) as url:
        migrate(url, database.as_service(url))
        database.close_to_sessions(url)
        yield database.name_of(url)


@pytest.fixture
def owner_database_url(migrated_template: str) -> Iterator[str]:
    """Give the URL of the test's database for the owner of its tables, who may change them."""
    with database.database(database.server_url(), template=migrated_template) as url:
        yield url


@pytest.fixture
def database_url(owner_database_url: str) -> str:
    """Give the URL of a fresh migrated database for the service's role, as the service has it."""
    return database.as_service(owner_database_url)


@pytest.fixture
def empty_database_url() -> Iterator[str]:
    """Give the URL of a database with the extension and nothing else, for migration tests."""
    with database.database(database.server_url()) as url:
        yield url


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this process has counted to the one that reports, where tests run in several."""
    from tests.checker import Runs

    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["verified"] = [Runs.count, Runs.different, Runs.seconds]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up what a process that ran tests has counted."""
    from tests.checker import Runs

    count, different, seconds = getattr(node, "workeroutput", {}).get("verified", (0, 0, 0.0))
    Runs.count += count
    Runs.different += different
    Runs.seconds += seconds


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how often the databases of tests were recomputed (invariant I-6)."""
    from tests.checker import Runs

    if Runs.count:
        terminalreporter.write_line(
            f"verify: {Runs.count} databases recomputed in {Runs.seconds:.1f} s, "
            f"differences in {Runs.different}"
        )
