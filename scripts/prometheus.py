"""Find Prometheus on this machine, or unpack Debian's: once, in the private folder, for tests.

    python -m scripts.prometheus

Nothing is installed, and no service of the system is made or started.
"""

import shutil
from pathlib import Path

from scripts import places
from scripts.apt import private_apt
from scripts.progress import StepError, note, step

PACKAGE = "prometheus"
WHAT_TO_DO = f"install Prometheus (Debian's package is called {PACKAGE})"


def find() -> Path | None:
    """Return the program of the system, else the one unpacked before."""
    installed = shutil.which("prometheus")
    if installed:
        return Path(installed)
    unpacked = _home() / "usr" / "bin" / "prometheus"
    return unpacked if unpacked.exists() else None


def make() -> Path:
    """Return what `find` finds, and unpack it first if there is nothing."""
    program = find()
    if program:
        return program
    if not shutil.which("apt-get"):
        raise StepError(f"There is no Prometheus here, and this is no Debian: {WHAT_TO_DO}.")
    with places.only_one(PACKAGE):
        if not find():
            with places.made_whole(_home()) as folder, private_apt() as apt:
                if not apt.candidate(PACKAGE):
                    raise StepError(f"apt knows no package {PACKAGE}: {WHAT_TO_DO}.")
                with step(f"Unpacking Prometheus in {_home()}"):
                    apt.unpack([PACKAGE], folder)
    program = find()
    if not program:
        raise StepError(f"{_home()} was made and holds no Prometheus: please report this.")
    return program


def main() -> None:
    """Make it for `make test`; without it one test fails, which is no reason to run none."""
    try:
        make()
    except StepError as error:
        note(f"The test with a real Prometheus will fail. {error}")


def _home() -> Path:
    return places.tools_dir() / "prometheus"


if __name__ == "__main__":
    main()
