"""Fixtures every test may ask for; a test that asks for no database needs no server."""

from collections.abc import Iterator

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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how often the databases of tests were recomputed (invariant I-6)."""
    from tests.checker import Runs

    if Runs.count:
        terminalreporter.write_line(
            f"verify: {Runs.count} databases recomputed in {Runs.seconds:.1f} s, "
            f"differences in {Runs.different}"
        )
