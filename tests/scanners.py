"""Both scanners of remote write 1.0, for tests that must hold for either."""

import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from os_credits.decode import remote_write
from os_credits.decode.scan import Scan, scan_compiled
from os_credits.decode.scan_python import scan_python

SCANNERS = ("compiled", "python")
HEADER = Path(sysconfig.get_path("include")) / "Python.h"


def has_compiler() -> bool:
    """Tell whether what is written in C can have been compiled."""
    return shutil.which("cc") is not None and HEADER.is_file()


def compiled() -> Scan:
    """Give the compiled scanner; a test fails without it where it could have been compiled."""
    if scan_compiled is None and not has_compiler():
        pytest.skip("there is no compiler of C, or no header of Python")
    assert scan_compiled is not None, "not compiled yet, or broken: run make install or build.py"
    return scan_compiled


@contextmanager
def reading_by(name: str) -> Iterator[Scan]:
    """Let remote write 1.0 be read by one of the scanners."""
    chosen = compiled() if name == "compiled" else scan_python
    defaults = remote_write.decode_v1.__kwdefaults__ or {}
    before = defaults["scan"]
    defaults["scan"] = chosen
    try:
        yield chosen
    finally:
        defaults["scan"] = before
