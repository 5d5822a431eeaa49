"""What the tests of decoders share."""

from collections.abc import Iterator

import pytest

from os_credits.decode.scan import Scan
from tests.scanners import SCANNERS, reading_by


@pytest.fixture(scope="module", params=SCANNERS)
def scan(request: pytest.FixtureRequest) -> Iterator[Scan]:
    """Let remote write 1.0 be read by one scanner, then by the other."""
    with reading_by(request.param) as chosen:
        yield chosen
