"""The running service, as the acceptance tests have it, and one that a whole file shares."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from os_credits.decode.scan import SCANNER
from tests import database
from tests.acceptance.conftest import Service, running, service, settings_for
from tests.scanners import SCANNERS, reading_by

__all__ = ["service"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a file that names the fixture `scan` with either scanner."""
    marks = metafunc.definition.iter_markers("usefixtures")
    if any("scan" in mark.args for mark in marks):
        metafunc.parametrize("scan", SCANNERS, indirect=True, scope="module")


@pytest.fixture(scope="module")
def scan(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let remote write 1.0 be read by one of the scanners."""
    with reading_by(getattr(request, "param", SCANNER)):
        yield


@pytest.fixture(scope="module")
def shared_database_url(migrated_template: str, scan: None) -> Iterator[str]:
    """Give the URL of a migrated database that the tests of one file share, with one scanner."""
    with database.database(database.server_url(), template=migrated_template) as url:
        yield database.as_service(url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_database_url: str) -> AsyncIterator[Service]:
    """Give a service that the tests of one file share; each has projects of its own.

    Such a file says `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
    """
    async with running(settings_for(shared_database_url)) as one:
        yield one
