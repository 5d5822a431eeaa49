"""Find the programs that tests run, or unpack Debian's: once, in the private folder.

    python -m scripts.tools

Nothing is installed, and no service of the system is made or started.
"""

import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from scripts import places
from scripts.apt import Apt, private_apt
from scripts.progress import StepError, note, step


@dataclass(frozen=True)
class Tool:
    """A program in a package of Debian's, of at least a version if one is given.

    What the running release does not have is taken from the next release that has it.
    """

    package: str
    program: str
    version_min: tuple[int, ...] = ()
    folder: str = "bin"

    @property
    def name(self) -> str:
        """Name the package and its version; the folder that it is unpacked in is called so."""
        return "-".join([self.package, *([_written(self.version_min)] if self.version_min else [])])

    @property
    def place(self) -> Path:
        """Say where it is unpacked."""
        return places.tools_dir() / self.name / "usr" / self.folder / self.program


TOOLS = {
    "prometheus": Tool("prometheus", "prometheus"),
    # The first that speaks remote write 2.0 as it was released.
    "prometheus-3": Tool("prometheus", "prometheus", (3,)),
    "nginx": Tool("nginx", "nginx", folder="sbin"),
    "influxd": Tool("influxdb", "influxd"),
    "influx": Tool("influxdb-client", "influx"),
    "vmagent": Tool("victoria-metrics", "vmagent"),
    # Newer ones try a protocol of their own before they speak remote write.
    "vmagent-1.145": Tool("victoria-metrics", "vmagent", (1, 145)),
    "victoria-metrics": Tool("victoria-metrics", "victoria-metrics"),
}


def find(name: str) -> Path | None:
    """Return the program of the system, else the one unpacked before.

    The system's may be of any version, so it is not asked where a version is wanted.
    """
    tool = TOOLS[name]
    installed = None if tool.version_min else shutil.which(tool.program)
    if installed:
        return Path(installed)
    return tool.place if tool.place.exists() else None


def what_to_do(name: str) -> str:
    """Say in half a sentence how a person gets a tool that `find` does not find."""
    tool = TOOLS[name]
    if tool.version_min:
        return (
            f"let apt reach a Debian with {tool.package} {_written(tool.version_min)} or newer, "
            "and run make test again"
        )
    return f"install {tool.program} (Debian's package is called {tool.package})"


def make() -> None:
    """Unpack what `find` does not find; what cannot be had is left out."""
    if all(find(name) for name in TOOLS):
        return
    if not shutil.which("apt-get"):
        raise StepError("This is no Debian: the real senders are not unpacked.")
    with places.only_one("tools"):
        missing = {TOOLS[name].name: TOOLS[name] for name in TOOLS if not find(name)}
        if missing:
            with private_apt() as apt:
                _unpack(apt, missing)


def _unpack(apt: Apt, missing: dict[str, Tool]) -> None:
    """Take each package from the first release that has it."""
    for _ in chain(["this one"], apt.next_releases("deb")):
        for name, tool in list(missing.items()):
            if apt.has(tool.package, tool.version_min):
                try:
                    _unpack_one(apt, name, tool.package)
                except StepError as error:
                    note(str(error))
                else:
                    del missing[name]
        if not missing:
            return


def _unpack_one(apt: Apt, name: str, package: str) -> None:
    target = places.tools_dir() / name
    with step(f"Unpacking {target}"), places.made_whole(target) as folder:
        apt.unpack([package], folder)
        _leave_what_is_used(name, folder / "usr" / "bin")


def _leave_what_is_used(name: str, programs: Path) -> None:
    """Drop the other programs of a package, which can take hundreds of megabytes."""
    used = {tool.program for tool in TOOLS.values() if tool.name == name}
    for path in programs.glob("*"):
        if path.name not in used:
            path.unlink()


def main() -> None:
    """Make them for `make test`; without one its tests fail, which is no reason to run none."""
    try:
        make()
    except StepError as error:
        note(str(error))
    for name in TOOLS:
        if not find(name):
            note(f"Tests with a real {name} will fail: {what_to_do(name)}.")


def _written(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)


if __name__ == "__main__":
    main()
