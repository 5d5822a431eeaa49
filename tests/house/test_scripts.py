"""What `make` runs before there is a virtual environment or a database to test it with."""

import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from psycopg import connect

from scripts import children, databases, demo_env, known, places, ports, roles, tools
from scripts.apt import Apt
from scripts.apt_sources import Archive, archives_of, stanzas
from scripts.progress import StepError

STANZAS = """\
# The archives of the system
Types: deb deb-src
URIs: mirror://one/debian mirror://two/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb
URIs: mirror://one/security
Suites: bookworm-security
Components: main

Types: deb
URIs: mirror://inline/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Enabled: no
Types: deb
URIs: mirror://switched-off/debian
Suites: bookworm
"""
LINES = """\
# deb mirror://commented/debian bookworm main
deb mirror://plain/debian bookworm main contrib
deb [arch=amd64 signed-by=/etc/key.gpg] mirror://signed/debian bookworm main
deb mirror://plain/debian bookworm-updates main
deb-src mirror://sources/debian bookworm main
"""


@pytest.fixture
def etc_apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_stanzas_give_the_archives_of_the_running_release(etc_apt: Path) -> None:
    (etc_apt / "sources.list.d" / "debian.sources").write_text(STANZAS)

    archives = archives_of("bookworm", etc_apt)

    assert [
        "mirror://one/debian",
        "mirror://two/debian",
        "mirror://inline/debian",
    ] == [archive.uri for archive in archives]
    assert archives[0].signed_by == "/usr/share/keyrings/archive.gpg"


def test_a_key_written_into_the_stanza_is_handed_on(etc_apt: Path) -> None:
    (etc_apt / "sources.list.d" / "debian.sources").write_text(STANZAS)

    text = stanzas("deb-src", archives_of("bookworm", etc_apt)[2:], "trixie")

    assert text.endswith("Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n")


def test_one_line_entries_give_the_archives_of_the_running_release(etc_apt: Path) -> None:
    (etc_apt / "sources.list").write_text(LINES)
    (etc_apt / "sources.list.d" / "other.list.disabled").write_text(LINES)

    assert [
        Archive("mirror://plain/debian", None),
        Archive("mirror://signed/debian", "/etc/key.gpg"),
    ] == archives_of("bookworm", etc_apt)


def test_sources_of_the_next_release_come_from_the_same_archives() -> None:
    expected = """\
Types: deb-src
URIs: mirror://plain/debian
Suites: trixie
Components: main
Signed-By: /newer.gpg
"""

    assert expected == stanzas(
        "deb-src", [Archive("mirror://plain/debian", "/older.gpg")], "trixie", Path("/newer.gpg")
    )


class Offer(Apt):
    """An apt that knows one version of every package."""

    def __init__(self, version: str | None) -> None:
        self.version = version

    def candidate(self, package: str) -> str | None:
        return self.version


@pytest.mark.parametrize(
    "offered, wanted, expected",
    [
        ("2.53.3+ds1-2", (3,), False),
        ("3.5.3+ds1-6", (3,), True),
        ("1:1.145.0+ds1-2", (1, 145), True),
        ("1.79.5+ds1-2+b5", (1, 145), False),
        ("1.6.7~rc0-1+b13", (), True),
        (None, (), False),
    ],
)
def test_a_package_must_be_new_enough(
    offered: str | None, wanted: tuple[int, ...], *, expected: bool
) -> None:
    assert Offer(offered).has("any", wanted) == expected


def test_a_program_of_the_system_is_taken_unless_a_version_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TOOLS_DIR", str(tmp_path / "tools"))
    installed = tmp_path / "prometheus"
    installed.touch(mode=0o755)
    assert [installed, None] == [tools.find(name) for name in ("prometheus", "prometheus-3")]

    unpacked = tools.TOOLS["prometheus-3"].place
    unpacked.parent.mkdir(parents=True)
    unpacked.touch()

    assert unpacked.is_relative_to(tmp_path / "tools" / "prometheus-3")
    assert tools.find("prometheus-3") == unpacked


def test_where_no_program_can_be_unpacked_each_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TOOLS_DIR", str(tmp_path))

    tools.main()

    said = capsys.readouterr().out
    assert "This is no Debian" in said
    assert [name for name in tools.TOOLS if f"a real {name} will fail" not in said] == []


def test_demo_env_can_be_sourced_and_is_its_owners_only(tmp_path: Path) -> None:
    file = demo_env.EnvFile(
        tmp_path, "http://127.0.0.1:8080", "postgresql://u:p'$@h/d?a=1&b=2", "postgresql://o@h/d"
    )

    file.write("the key", "a password")

    urls = "$OS_CREDITS_DATABASE_URL|$OS_CREDITS_OWNER_DATABASE_URL"
    names = f"$OS_CREDITS_URL|$OS_CREDITS_KEY|$OS_CREDITS_DEMO_PASSWORD|{urls}"
    printed = subprocess.run(
        ["sh", "-c", f'. {file.path}; printf %s "{names}"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    named = "postgresql://u:p'$@h/d?a=1&b=2|postgresql://o@h/d"
    assert printed == f"http://127.0.0.1:8080|the key|a password|{named}"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert demo_env.read(tmp_path, demo_env.KEY) == "the key"
    assert demo_env.read(tmp_path, demo_env.PASSWORD) == "a password"
    assert demo_env.read(tmp_path, "OS_CREDITS_NOTHING") is None


def test_passwords_of_the_demo_are_long_enough_and_never_the_same() -> None:
    made = {demo_env.new_password() for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"([a-z2-9]{4}-){2}[a-z2-9]{4}", one) for one in made)


def test_a_folder_takes_its_place_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "server"
    with pytest.raises(KeyboardInterrupt), places.made_whole(target):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []

    with places.made_whole(target) as folder:
        (folder / "all").touch()

    assert [target / "all"] == list(target.iterdir())


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    port = ports.free_port()
    assert ports.is_free(port)

    with socket.create_server((ports.LOOPBACK, port)):
        assert not ports.is_free(port)


def test_a_child_that_does_not_stop_is_killed() -> None:
    child = children.start_child(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])

    assert children.stop_child(child, signal.SIGTERM, seconds_max=1) < 0


def test_the_simulated_cloud_comes_only_to_a_database_that_it_found_new(
    tmp_path: Path, empty_database_url: str
) -> None:
    def look(*, demo: bool) -> bool:
        return known.Known(tmp_path, empty_database_url, is_private=False, demo=demo).with_demo

    assert not look(demo=False)
    assert look(demo=True)
    with connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE sample (id int)")

    assert look(demo=True)
    assert not look(demo=False)
    assert not databases.is_new(empty_database_url)


def test_the_simulated_cloud_keeps_away_from_usage_that_is_not_its_own(
    tmp_path: Path, empty_database_url: str
) -> None:
    with connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE sample (id int)")

    assert not known.Known(tmp_path, empty_database_url, is_private=False, demo=True).with_demo


@pytest.mark.parametrize(
    "url, expected",
    [
        ("postgresql://me:secret@h:5433/d?sslmode=require", "//r:p%25@h:5433/d?sslmode=require"),
        ("postgresql://h/d", "//r:p%25@h/d"),
        ("postgresql:///d?host=%2Frun%2Fpg&user=me&password=x", "//r:p%25@/d?host=%2Frun%2Fpg"),
    ],
)
def test_a_url_is_given_another_role(url: str, expected: str) -> None:
    assert databases.as_role(url, "r", "p%") == f"postgresql:{expected}"


def test_a_named_database_gets_a_role_for_the_service_that_is_remembered(
    tmp_path: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OS_CREDITS_OWNER_DATABASE_URL", raising=False)

    urls = [roles.of_named(empty_database_url, tmp_path) for _ in range(2)]

    try:
        assert urls[0] == urls[1]
        assert urls[0].owner == empty_database_url
        with connect(urls[0].service) as connection:
            statement = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles"
            row = connection.execute(f"{statement} WHERE rolname = current_user").fetchone()
            (role,) = connection.execute("SELECT current_user").fetchone() or ("",)
        assert row == (False,)
        with pytest.raises(StepError, match="may not create another"):
            roles.of_named(urls[0].service, tmp_path)
    finally:
        databases.drop_role(empty_database_url, str(role))


def test_two_named_roles_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CREDITS_OWNER_DATABASE_URL", "postgresql://owner@nowhere/d")

    urls = roles.of_named("postgresql://me@nowhere/d", tmp_path)

    assert urls == roles.Urls("postgresql://me@nowhere/d", "postgresql://owner@nowhere/d")
