"""The running service, as the acceptance tests have it, and one that a whole file shares."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests import database
from tests.acceptance.conftest import Service, running, service, settings_for
from tests.scanners import scan

__all__ = ["scan", "service"]


@pytest.fixture(scope="module")
def shared_database_url(migrated_template: str) -> Iterator[str]:
    """Give the URL of a migrated database that the tests of one file share."""
    with database.database(database.server_url(), template=migrated_template) as url:
        yield database.as_service(url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_database_url: str) -> AsyncIterator[Service]:
    """Give a service that the tests of one file share; each has projects of its own.

    Such a file says `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
    """
    async with running(settings_for(shared_database_url)) as one:
        yield one
