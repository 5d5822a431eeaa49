"""Fixtures every test may ask for; a test that asks for no database needs no server."""

from collections.abc import Iterator

import pytest

from tests import database


@pytest.fixture(scope="session")
def migrated_template() -> Iterator[str]:
    """Give the name of a migrated database that is made once per run and only cloned."""
    from os_credits.store.migrate import migrate

    with database.database(database.server_url(), as_template=True) as url:
        migrate(url)
        database.close_to_sessions(url)
        yield database.name_of(url)


@pytest.fixture
def database_url(migrated_template: str) -> Iterator[str]:
    """Give the URL of a fresh migrated database, dropped after the test."""
    with database.database(database.server_url(), template=migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url() -> Iterator[str]:
    """Give the URL of a database with the extension and nothing else, for migration tests."""
    with database.database(database.server_url()) as url:
        yield url
