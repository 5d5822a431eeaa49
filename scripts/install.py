"""Install what is missing: the private TimescaleDB and the virtual environment.

Needs only Python's standard library. Done again it takes a moment.
"""

import os
import signal
import sys

from scripts import python_environment, timescaledb
from scripts.progress import StepError, give_up, start_log

PYTHON_MIN = (3, 11)


def main() -> None:
    """Install for `make run` and `make test`; a named server needs no private one."""
    if sys.version_info < PYTHON_MIN:
        give_up(StepError("Python 3.11 or newer is needed: make PYTHON=python3.12 ..."))
    os.umask(0o022)
    # As Ctrl-C does: clean up what is half made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        start_log()
        python_environment.make()
        if not os.environ.get("OS_CREDITS_DATABASE_URL"):
            timescaledb.make()
    except StepError as error:
        give_up(error)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


if __name__ == "__main__":
    main()
