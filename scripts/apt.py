"""Debian packages by a private apt: own lists and cache, so that the system's stay as they are.

What must be known to the dynamic linker or the compiler is installed as the package it is; the
servers themselves are only unpacked in a private folder, so that no cluster of the distribution
is made, started or touched.
"""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts import apt_sources
from scripts.progress import StepError, quietly, step

NEXT_SUITES = ("trixie", "sid")


class Apt:
    """apt-get with its own state; use it in `private_apt()`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = folder / "sources"
        shutil.copytree(apt_sources.ETC_APT / "sources.list.d", self.sources)
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        self.options = [
            f"-oDir::Etc::SourceParts={self.sources}",
            f"-oDir::State::Lists={folder / 'lists'}",
            f"-oDir::Cache={folder / 'cache'}",
            "-oAPT::Sandbox::User=root",
            "-oAPT::Install-Recommends=false",
            "-oDPkg::Lock::Timeout=300",
            "-q",
        ]

    def update(self) -> None:
        """Fetch the lists of packages; an archive that is away is left out."""
        quietly(["apt-get", *self.options, "update"], hint="Is the network there?")

    def candidate(self, package: str) -> str | None:
        """Return the version that would be installed, None if there is none."""
        for line in self._ask("apt-cache", "policy", package).splitlines():
            name, _, value = line.strip().partition(": ")
            if name == "Candidate" and value != "(none)":
                return value
        return None

    def depends(self, package: str) -> list[str]:
        """Return the names of what the candidate of a package depends on, first choices only."""
        for line in self._ask("apt-cache", "show", "--no-all-versions", package).splitlines():
            name, _, value = line.partition(": ")
            if name == "Depends":
                return [re.split(r"[ :(|]", choice)[0] for choice in value.split(", ")]
        return []

    def install(self, packages: Sequence[str]) -> None:
        """Install the packages that are missing; none that is there is asked to be newer.

        An upgrade could restart a server of the distribution, which is not ours to do.
        """
        missing = [package for package in dict.fromkeys(packages) if not _is_installed(package)]
        if not missing:
            return
        command = ["install", "--no-install-recommends", *missing]
        if os.geteuid() != 0:
            raise StepError(f"Packages are missing. As root, run: apt-get {' '.join(command)}")
        plan = self._ask("apt-get", "--simulate", *command)
        if re.search(r"^(Inst postgresql\S* \[|Remv )", plan, re.MULTILINE):
            raise StepError(
                "Installing this would upgrade the PostgreSQL of the system or remove packages, "
                f"which is yours to decide: apt-get {' '.join(command)}"
            )
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        quietly(["apt-get", *self.options, "--yes", *command], env=environment)

    def unpack(self, packages: Sequence[str], target: Path) -> None:
        """Download packages and unpack them in a folder, without installing them."""
        downloads = Path(tempfile.mkdtemp(dir=self.folder))
        quietly(["apt-get", *self.options, "download", *packages], cwd=downloads)
        for archive in sorted(downloads.glob("*.deb")):
            quietly(["dpkg-deb", "--extract", archive, target])

    def missing_for(self, packages: Sequence[str]) -> list[str]:
        """Name these packages, and what they need that the system does not have."""
        plan = self._ask("apt-get", "--simulate", "install", *packages)
        return sorted({*packages, *re.findall(r"^Inst (\S+)", plan, re.MULTILINE)})

    def has(self, package: str, version_min: Sequence[int] = ()) -> bool:
        """Tell whether a package is known, and not older than this version."""
        version = self.candidate(package)
        return version is not None and _numbers(version) >= tuple(version_min)

    def source(self, package: str) -> Path:
        """Return the unpacked source package, as the next release of Debian has it."""
        for _ in self.next_releases("deb-src"):
            try:
                quietly(["apt-get", *self.options, "source", package], cwd=self.folder)
            except StepError:
                continue
            return next(path for path in self.folder.glob(f"{package}-*") if path.is_dir())
        raise StepError(
            f"No archive of this machine has the source package {package} of "
            f"{' or '.join(NEXT_SUITES)}. Name a server instead: OS_CREDITS_DATABASE_URL=..."
        )

    def next_releases(self, types: str) -> Iterator[str]:
        """Know one next suite after the other beside this release's (`deb` or `deb-src`)."""
        archives = apt_sources.archives_of(codename())
        entries = self.sources / "next-release.sources"
        for suite in NEXT_SUITES:
            # Signed as this release is, or by a key that only the newest keyring has.
            for keyring in (None, self._newest_keyring):
                entries.write_text(
                    apt_sources.stanzas(types, archives, suite, keyring and keyring())
                )
                with suppress(StepError):
                    self.update()
                if any((self.folder / "lists").glob(f"*_dists_{suite}_*Release")):
                    yield suite
                    break
        entries.unlink()

    def _newest_keyring(self) -> Path:
        """Return this release's newest keyring; an older one does not know the next release."""
        target = self.folder / "keyring"
        self.unpack(["debian-archive-keyring"], target)
        return target / "usr/share/keyrings/debian-archive-keyring.gpg"

    def _ask(self, program: str, *words: str) -> str:
        """Return what apt says, in its plain English."""
        return subprocess.run(
            [program, *self.options, *words],
            env=dict(os.environ, LC_ALL="C"),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        ).stdout


@contextmanager
def private_apt() -> Iterator[Apt]:
    """Give an apt with fresh lists, and leave nothing of it behind."""
    if not shutil.which("apt-get"):
        raise StepError(
            "There is no TimescaleDB here, and this is no Debian. Install PostgreSQL with the "
            "timescaledb extension, or name a server: OS_CREDITS_DATABASE_URL=postgresql://..."
        )
    with tempfile.TemporaryDirectory(prefix="os_credits-apt-") as folder:
        apt = Apt(Path(folder))
        with step("Fetching the lists of Debian packages"):
            apt.update()
        yield apt


def _is_installed(package: str) -> bool:
    """Ask dpkg, which knows nothing of packages it never saw."""
    state = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status} ", package],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return "installed" in state.split()


def _numbers(version: str) -> tuple[int, ...]:
    """Read the numbers that a version of Debian's begins with, after the epoch."""
    upstream = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)
    return tuple(int(number) for number in upstream[1].split(".")) if upstream else ()


def codename() -> str:
    """Return the name of the release that runs here."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
