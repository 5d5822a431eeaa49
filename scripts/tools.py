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

    What the running release does not have is taken from the next release that has it. A tool
    `with_needs` brings along those libraries and fonts that the system lacks.
    """

    package: str
    program: str
    version_min: tuple[int, ...] = ()
    folder: str = "bin"
    with_needs: bool = False

    @property
    def name(self) -> str:
        """Name the package and its version; the folder that it is unpacked in is called so."""
        return "-".join([self.package, *([_written(self.version_min)] if self.version_min else [])])

    @property
    def place(self) -> Path:
        """Say where it is unpacked."""
        return places.tools_dir() / self.name / "usr" / self.folder / self.program


TOOLS = {
    # Without windows; the system's Chromium with them does as well.
    "chromium": Tool(
        "chromium-headless-shell",
        "chromium-headless-shell",
        folder="lib/chromium",
        with_needs=True,
    ),
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
# Other names by which the system may have a program.
ALSO = {"chromium-headless-shell": ("chromium", "chromium-headless-shell", "chromium-browser")}
# What a page is written with where the system has no font at all.
FONT_PACKAGE = "fonts-dejavu-core"
FONTS = "fonts.conf"
SYSTEM_FONTS = Path("/usr/share/fonts")


def find(name: str) -> Path | None:
    """Return the program of the system, else the one unpacked before.

    The system's may be of any version, so it is not asked where a version is wanted.
    """
    tool = TOOLS[name]
    installed = None if tool.version_min else _installed(tool)
    if installed:
        return Path(installed)
    return tool.place if tool.place.exists() else None


def _installed(tool: Tool) -> str | None:
    return next(filter(None, map(shutil.which, ALSO.get(tool.program, (tool.program,)))), None)


def environment_of(name: str) -> dict[str, str]:
    """Give the variables under which a tool finds what was unpacked beside it."""
    tool = TOOLS[name]
    if find(name) != tool.place or not tool.with_needs:
        return {}
    root = places.tools_dir() / tool.name
    libraries = [*root.glob("lib/*-linux-gnu*"), *root.glob("usr/lib/*-linux-gnu*")]
    # The sound server's own library, which it finds by its absolute place else.
    libraries += [path / "pulseaudio" for path in libraries]
    return {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "FONTCONFIG_FILE": str(root / FONTS),
    }


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
        tool = next(tool for tool in TOOLS.values() if tool.name == name)
        if tool.with_needs:
            apt.unpack(apt.missing_for([package, FONT_PACKAGE]), folder)
            _write_fonts(folder, target)
            return
        apt.unpack([package], folder)
        _leave_what_is_used(name, folder / "usr" / "bin")


def _write_fonts(folder: Path, target: Path) -> None:
    """Let a program find the fonts that were unpacked beside it, once all is in its place."""
    dirs = "".join(f"<dir>{path}</dir>" for path in (target / "usr/share/fonts", SYSTEM_FONTS))
    cache = f"<cachedir>{target / 'fontcache'}</cachedir>"
    (folder / FONTS).write_text(
        f'<?xml version="1.0"?>\n<fontconfig>{dirs}{cache}</fontconfig>\n', encoding="utf-8"
    )


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
