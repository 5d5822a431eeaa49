"""Find PostgreSQL with TimescaleDB on this machine, or make it: once, in one private folder.

PostgreSQL finds its files relative to its programs, so an unpacked package works anywhere.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts import places
from scripts.apt import Apt, private_apt
from scripts.progress import StepError, quietly, step

# What TimescaleDB 2.19 works with, the newest first.
POSTGRESQL_MAJORS = ("17", "16", "15")
BUILD_PACKAGES = ["gcc", "libc6-dev", "make", "cmake", "dpkg-dev"]
# Headers only, of the versions that the server was built with: unpacked beside it.
HEADER_PACKAGES = ["libpq-dev", "libssl-dev"]
# Not for an unpacked server: its keepers, the choice of languages, and the compiler of queries.
NEEDLESS = ("postgresql", "ssl-cert", "debconf", "locales", "libllvm", "sensible-utils")


@dataclass(frozen=True)
class Server:
    """The programs of a PostgreSQL that has the extension."""

    programs: Path
    major: str


def find() -> Server | None:
    """Return a PostgreSQL of this machine that has TimescaleDB, else the one made before."""
    return _installed_by_debian() or _installed_elsewhere() or _made_before()


def make() -> Server:
    """Return what `find` finds, and make it first if there is nothing."""
    server = find()
    if server:
        return server
    with places.only_one("timescaledb"):
        if not find():
            with places.made_whole(_home()) as folder, private_apt() as apt:
                _fill(folder, apt)
    server = find()
    if not server:
        raise StepError(f"{_home()} was made and holds no server: please report this.")
    return server


def _home() -> Path:
    return places.tools_dir() / "timescaledb"


def _installed_by_debian() -> Server | None:
    """Look where Debian keeps its servers, of which several can be installed."""
    for major in POSTGRESQL_MAJORS:
        if Path(f"/usr/share/postgresql/{major}/extension/timescaledb.control").exists():
            return Server(Path(f"/usr/lib/postgresql/{major}/bin"), major)
    return None


def _installed_elsewhere() -> Server | None:
    """Ask the pg_config of the PATH."""
    if not shutil.which("pg_config"):
        return None
    answer = subprocess.run(
        ["pg_config", "--bindir", "--sharedir", "--version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).stdout.splitlines()
    if len(answer) != 3:  # noqa: PLR2004 - one line for each thing asked
        return None
    programs, shared, version = answer
    has_extension = Path(shared, "extension", "timescaledb.control").exists()
    if not has_extension or not Path(programs, "initdb").exists():
        return None
    return Server(Path(programs), version.split()[1].split(".")[0])


def _made_before() -> Server | None:
    """Look in the private folder."""
    for programs in (_home() / "usr/lib/postgresql").glob("*/bin"):
        return Server(programs, programs.parent.name)
    return None


def _fill(folder: Path, apt: Apt) -> None:
    """Unpack PostgreSQL with Debian's own TimescaleDB, or build TimescaleDB for it."""
    packaged = [m for m in POSTGRESQL_MAJORS if apt.candidate(f"postgresql-{m}-timescaledb")]
    possible = [m for m in POSTGRESQL_MAJORS if apt.candidate(f"postgresql-{m}")]
    if packaged:
        major = packaged[0]
        _unpack(folder, apt, major, [f"postgresql-{major}-timescaledb"])
    elif possible:
        major = possible[0]
        _unpack(folder, apt, major, [f"postgresql-server-dev-{major}", *HEADER_PACKAGES])
        with step("Installing what builds TimescaleDB"):
            apt.install(BUILD_PACKAGES)
        _build(folder, apt, major)
    else:
        raise StepError(
            f"apt knows no PostgreSQL {' or '.join(POSTGRESQL_MAJORS)}. "
            "Name a server with TimescaleDB instead: OS_CREDITS_DATABASE_URL=postgresql://..."
        )


def _unpack(folder: Path, apt: Apt, major: str, more: list[str]) -> None:
    """Unpack a server in the folder, and install the libraries that it needs."""
    servers = [f"postgresql-{major}", f"postgresql-client-{major}"]
    with step(f"Unpacking PostgreSQL {major} in {_home()}"):
        apt.unpack([*servers, *more], folder)
    needs = [need for server in servers for need in apt.depends(server)]
    with step("Installing the libraries that PostgreSQL needs"):
        apt.install([need for need in needs if not need.startswith(NEEDLESS)])


def _build(folder: Path, apt: Apt, major: str) -> None:
    """Build the Apache edition of TimescaleDB from Debian's next release for the server."""
    with step("Fetching the source package of TimescaleDB"):
        source = apt.source("timescaledb")
    build = source / "private-build"
    headers = [folder / "usr/include", *(folder / "usr/include").glob("*-linux-gnu*")]
    with step("Building TimescaleDB (about half a minute on two cores)"):
        quietly(
            [
                *("cmake", "-S", source, "-B", build),
                f"-DPG_CONFIG={folder}/usr/lib/postgresql/{major}/bin/pg_config",
                f"-DCMAKE_C_FLAGS={' '.join(f'-isystem {path}' for path in headers)}",
                *("-DAPACHE_ONLY=1", "-DREGRESS_CHECKS=OFF", "-DTAP_CHECKS=OFF"),
                *("-DWARNINGS_AS_ERRORS=OFF", "-DCMAKE_BUILD_TYPE=Release"),
            ]
        )
        quietly(["make", "-C", build, f"-j{os.cpu_count() or 1}"])
        # pg_config finds its own folder, so this installs beside the private server.
        quietly(["make", "-C", build, "install"])
