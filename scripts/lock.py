"""Write `poetry.lock` anew; `make lock` runs it after a change of pyproject.toml."""

import os

from scripts import python_environment
from scripts.progress import StepError, give_up, start_log


def main() -> None:
    """Lock with Poetry, installed first if it is missing."""
    os.umask(0o022)
    try:
        start_log()
        python_environment.lock()
    except StepError as error:
        give_up(error)


if __name__ == "__main__":
    main()
