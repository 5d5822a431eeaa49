"""The program `os-credits`, as people and scripts use it.

A few tests run the installed program as a process of its own; the others call it in this one,
which is quicker and the same but for the process.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from os_credits import __version__
from os_credits.cli import main
from os_credits.domain.project import ProjectKey
from os_credits.settings import BUILT_IN_METERS
from os_credits.store.pool import Pool, connection, open_pool
from os_credits.store.projects import ensure_projects
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.program import Program

PROGRAM = Path(sys.executable).parent / "os-credits"
SECONDS_MAX = 60
GROUPS = (
    "allowance",
    "budget",
    "exclusion",
    "flavor",
    "import",
    "key",
    "login",
    "manager",
    "meter",
    "notices",
    "organisation",
    "owner",
    "people",
    "price",
    "project",
)
SERVERS = "openstack_nova_server_status"
VCPU = "project_vcpu_usage"
Value = TypeVar("Value")


@pytest.fixture
def meters(program: Program) -> Program:
    """Give the program on a database that has the shipped meters."""
    program("meter", "load", str(BUILT_IN_METERS))
    return program


def in_pool(database_url: str, work: Callable[[Pool], Awaitable[Value]]) -> Value:
    async def do() -> Value:
        pool = await open_pool(database_url, connections_max=2, statement_timeout_seconds=30)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(do())


def make_projects(database_url: str, *keys: ProjectKey) -> None:
    async def work(pool: Pool) -> None:
        async with connection(pool) as conn:
            await ensure_projects(conn, keys)

    in_pool(database_url, work)


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


# --- As a process of its own


def test_a_new_database_gets_tables_then_a_key_that_opens_the_service(
    empty_database_url: str,
) -> None:
    """This is what `make run` does."""
    here = {"OS_CREDITS_DATABASE_URL": empty_database_url}

    early = run(PROGRAM, "key", "add", "early", "--scope", "admin", **here)
    migrated = run(PROGRAM, "migrate", **here)
    made = run(
        PROGRAM,
        *("key", "add", "make run", "--scope", "ingest", "--scope", "read", "--scope", "admin"),
        "--json",
        **here,
    )

    assert (early.returncode, early.stdout) == (1, "")
    assert early.stderr == "error: the database has no tables yet: run os-credits migrate\n"
    assert (migrated.returncode, migrated.stderr) == (0, "")
    assert (made.returncode, made.stderr) == (0, "")
    key = json.loads(made.stdout)
    assert (key["id"], key["name"]) == (1, "make run")
    assert 200 == asyncio.run(status_of_stats(empty_database_url, key["key"]))


async def status_of_stats(database_url: str, key: str) -> int:
    async with (
        running(settings_for(database_url)) as service,
        service.request("GET", "/stats", key=key) as answer,
    ):
        return answer.status


def test_a_database_that_is_away_is_one_line_and_not_a_traceback() -> None:
    url = "postgresql://me:very-secret@127.0.0.1:1/credits"

    for words in (["key", "list"], ["migrate"]):
        result = run(PROGRAM, *words, OS_CREDITS_DATABASE_URL=url)

        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("error: ")
        assert "127.0.0.1" in result.stderr
        assert "very-secret" not in result.stderr


def test_a_bad_setting_is_one_line_and_keeps_the_service_from_starting(tmp_path: Path) -> None:
    here = {"OS_CREDITS_PORT": "many"}

    served = run(PROGRAM, "serve", **here)
    listed = run(sys.executable, "-m", "os_credits", "key", "list", **here)

    assert (served.returncode, served.stdout) == (os.EX_CONFIG, "")
    assert served.stderr.startswith("cannot start: OS_CREDITS_PORT: ")
    assert (listed.returncode, listed.stdout) == (1, "")
    assert listed.stderr.startswith("error: OS_CREDITS_PORT: ")
    assert (1, 1) == (served.stderr.count("\n"), listed.stderr.count("\n"))


# --- Help, versions, wrong use


def commands_of(program: typer.Typer, *before: str) -> list[tuple[str, ...]]:
    """Give every command and group as the words that lead to it."""
    found = [
        (*before, command.name or getattr(command.callback, "__name__", "").rstrip("_"))
        for command in program.registered_commands
    ]
    for group in program.registered_groups:
        assert group.name is not None
        assert group.typer_instance is not None
        found.append((*before, group.name))
        found += commands_of(group.typer_instance, *before, group.name)
    return found


@pytest.mark.parametrize("words", [(), *commands_of(main)], ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"], env={"COLUMNS": "100"})

    assert result.exit_code == 0
    assert f"Usage: os-credits {' '.join(words)}".rstrip() in result.stdout
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    assert lines[1].strip().endswith((".", ","))


@pytest.mark.parametrize(
    "words",
    [words for words in commands_of(main) if words[-1] not in GROUPS],
    ids=" ".join,
)
def test_every_command_shows_examples_of_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"], env={"COLUMNS": "100"})

    assert f"os-credits {' '.join(words)}" in result.stdout.partition("Examples:")[2]


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"os_credits {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("key", "add"),
        ("key", "add", "x", "--scope", "everything"),
        ("key", "add", "x", "--scope", "read", "--site", "berlin"),
        ("key", "add", "", "--scope", "read"),
        ("key", "revoke", "one"),
        ("price", "set", VCPU, "1,5"),
        ("price", "set", VCPU, "-1"),
        ("price", "set", VCPU, "1", "--from", "yesterday"),
        ("price", "set", VCPU, "1", "--from", "2026-01-01T00:30Z"),
        ("price", "set", VCPU, "1", "--flavor", ""),
        ("grant", "alpha", "10"),
        ("grant", "alpha", "0", "--reason", "x"),
        ("grant", "alpha", "1.0000001", "--reason", "x"),
        ("grant", "alpha", "much", "--reason", "x"),
        ("grant", "alpha", "1", "--reason", " "),
        ("grant", "alpha", "1", "--reason", "x", "--idempotency-key", ""),
        ("project", "add", " "),
        ("project", "add", "a\nb"),
        ("project", "add", "alpha", "--site", "a\x1bb"),
        ("project", "owner", "add", "alpha", "nobody"),
        ("project", "owner", "add", "alpha", "a@example.org", "--name", "a\nb"),
    ],
    ids=" ".join,
)
def test_wrong_use_has_its_own_status(program: Program, words: tuple[str, ...]) -> None:
    assert program.refuse(*words, status=2)


def test_warnings_of_settings_go_to_standard_error(program: Program) -> None:
    result = program("key", "list", "--json", ENDPOINTS_ONLY="False")

    assert json.loads(result.stdout) == {"keys": []}
    assert result.stderr.startswith("warning: ENDPOINTS_ONLY: set OS_CREDITS_ENDPOINTS_ONLY")


def test_a_schema_that_is_too_old_is_named(empty_database_url: str) -> None:
    message = Program(empty_database_url).refuse("project", "list")

    assert message == "error: the database has no tables yet: run os-credits migrate"


# --- Keys


def test_a_key_is_shown_once_listed_and_revoked(program: Program) -> None:
    made = program("key", "add", "berlin", "--scope", "ingest", "--site", "berlin")
    key = made.stdout.strip()

    listed = program("key", "list")
    stored = program.json("key", "list")["keys"]
    program("key", "revoke", "1")

    assert key.startswith("osc_")
    assert key not in made.stderr
    assert key not in listed.stdout
    assert "berlin" in listed.stdout
    assert [(one["scopes"], one["sites"], one["revoked_at"]) for one in stored] == [
        (["ingest"], ["berlin"], None)
    ]
    assert program.json("key", "list")["keys"][0]["revoked_at"] is not None
    assert program.json("key", "revoke", "1")["id"] == 1


def test_a_key_that_is_not_there_cannot_be_revoked(program: Program) -> None:
    assert program.refuse("key", "revoke", "7") == "error: there is no key 7"


def test_no_key_is_said_in_words(program: Program) -> None:
    assert program("key", "list").stdout == "There is no key yet: os-credits key add\n"


async def test_the_key_of_the_settings_opens_the_service_until_it_is_revoked(
    database_url: str,
) -> None:
    settings = settings_for(database_url, admin_key="chosen-by-an-operator-0123456789")

    async def status() -> int:
        async with running(settings) as service:
            key = settings.admin_key.get_secret_value()
            async with service.request("GET", "/stats", key=key) as answer:
                return answer.status

    assert [200, 200] == [await status(), await status()]
    with psycopg.connect(database_url) as conn:
        named = "FROM api_key WHERE name = 'OS_CREDITS_ADMIN_KEY'"
        assert conn.execute(f"SELECT count(*) {named}".encode()).fetchone() == (1,)
        conn.execute("UPDATE api_key SET revoked_at = now() WHERE name = 'OS_CREDITS_ADMIN_KEY'")
    assert await status() == 401


# --- Meters and prices


def test_a_meter_file_is_checked_without_a_database(tmp_path: Path) -> None:
    nowhere = Program("postgresql://nobody@127.0.0.1:1/nothing")
    bad = tmp_path / "bad.toml"
    bad.write_text('[[meter]]\nname = "a"\nmetric = "a"\nkind = "gage"\nunit = "x"\n')

    good = nowhere("meter", "check", str(BUILT_IN_METERS))
    message = nowhere.refuse("meter", "check", str(bad))

    assert VCPU in good.stdout
    assert message.startswith(f"error: meter file {bad}: meter a: kind: ")


def test_a_meter_file_is_loaded_once(program: Program) -> None:
    first = program("meter", "load", str(BUILT_IN_METERS)).stdout
    second = program("meter", "load", str(BUILT_IN_METERS)).stdout
    third = program.json("meter", "load", str(BUILT_IN_METERS))
    listed = program.json("meter", "list")["meters"]

    assert f"{VCPU} is new\n" in first
    assert second == "no meter changes\n0 prices seeded\n"
    assert third == {"new_meters": [], "new_versions": {}, "seeded_prices": 0}
    assert {(one["name"], one["credits_per_unit"]) for one in listed} >= {(VCPU, "1")}
    assert VCPU in program("meter", "list").stdout


def test_a_changed_meter_says_from_when(meters: Program, tmp_path: Path) -> None:
    changed = tmp_path / "changed.toml"
    changed.write_text(
        BUILT_IN_METERS.read_text().replace("max_gap_seconds = 7200", "max_gap_seconds = 9000")
    )

    said = meters("meter", "load", str(changed)).stdout

    assert "openstack_server_disk_gb changes at 2" in said


def test_the_api_and_the_program_print_the_same_meters_and_prices(meters: Program) -> None:
    meters("price", "set", VCPU, "2", "--from", "2030-01-01T00:00Z")

    async def ask(path: str) -> Any:
        async with (
            running(settings_for(meters.database_url)) as service,
            service.request("GET", path, key="admin") as answer,
        ):
            return await answer.json()

    assert meters.json("meter", "list") == asyncio.run(ask("/api/v1/meters"))
    assert meters.json("price", "list", "--all") == asyncio.run(ask("/api/v1/prices"))


def test_a_price_is_set_from_a_full_hour_on(meters: Program) -> None:
    said = meters("price", "set", VCPU, "1.25", "--from", "2026-01-31T23:00Z").stdout
    change = meters.json("price", "set", SERVERS, "7", "--flavor", "m1.large")

    assert said.startswith(f"{VCPU} costs 1.25 credits from 2026-01-31 23:00 UTC on\n")
    assert (change["hour_count"], change["project_count"]) == (0, 0)
    prices = meters.json("price", "list", "--meter", VCPU)["prices"]
    assert [("1.25", True)] == [(one["credits_per_unit"], one["in_effect"]) for one in prices]
    assert prices[0]["author"].startswith("cli:")
    flavored = meters.json("price", "list", "--flavor", "m1.large")["prices"]
    assert [("6.4", True), ("7", False)] == [
        (one["credits_per_unit"], one["in_effect"]) for one in flavored
    ]


def test_a_dry_run_sets_no_price(meters: Program) -> None:
    said = meters("price", "set", VCPU, "none", "--from", "2026-01-31", "--dry-run").stdout

    assert said.startswith(f"{VCPU} would have no price from 2026-01-31 00:00 UTC on\n")
    prices = meters.json("price", "list", "--meter", VCPU, "--all")["prices"]
    assert ["1"] == [one["credits_per_unit"] for one in prices]


def test_a_price_is_ended_by_none(meters: Program) -> None:
    meters("price", "set", VCPU, "none", "--from", "2026-01-31")

    assert "none" in meters("price", "list", "--meter", VCPU).stdout


def test_an_unknown_meter_has_no_price(program: Program) -> None:
    assert program.refuse("price", "set", "nonsense", "1") == "error: there is no meter 'nonsense'"


# --- Projects, owners, grants

TWINS = (ProjectKey("a", "", "", "twin"), ProjectKey("b", "id-2", "elixir", "twin"))


def test_a_project_is_created_before_its_first_sample(program: Program) -> None:
    first = program("project", "add", "alpha", "--site", "a", "--id", "77").stdout
    second = program("project", "add", "alpha", "--site", "a", "--id", "77").stdout

    assert (first, second) == (
        "alpha is project #1\n",
        "alpha is project #1, as it was before\n",
    )
    (listed,) = program.json("project", "list")["projects"]
    assert (listed["name"], listed["site"], listed["external_id"]) == ("alpha", "a", "77")
    assert listed == program.json("project", "add", "alpha", "--site", "a", "--id", "77") | {
        "balance": listed["balance"]
    }


def test_an_ambiguous_name_lists_what_it_could_mean(program: Program) -> None:
    make_projects(program.database_url, *TWINS)

    first, *candidates = program.refuse("grant", "twin", "5", "--reason", "x").splitlines()

    assert first.startswith("error: 'twin' could mean 2 projects: ")
    assert ["  could be number='#", "  could be number='#"] == [one[:20] for one in candidates]
    assert candidates[1].endswith("site='b' external_id='id-2' domain='elixir' name='twin'")


def test_a_site_a_domain_a_number_or_a_cloud_id_tells_twins_apart(program: Program) -> None:
    make_projects(program.database_url, *TWINS)
    numbers = {one["site"]: one["id"] for one in program.json("project", "list")["projects"]}

    found = [
        program.json("project", "show", *words)["site"]
        for words in (
            ("twin", "--site", "a"),
            ("twin", "--domain", "elixir"),
            (f"#{numbers['b']}",),
            ("id-2",),
        )
    ]

    assert found == ["a", "b", "b", "b"]


def test_a_grant_raises_the_balance_once_per_key(program: Program) -> None:
    program("project", "add", "alpha")
    words = ("grant", "alpha", "12.5", "--reason", "Budget", "--idempotency-key", "k1")

    first = program.json(*words)
    again = program(*words).stdout
    other = program.refuse("grant", "alpha", "13", "--reason", "Budget", "--idempotency-key", "k1")

    assert (first["created"], first["idempotency_key"]) == (True, "k1")
    assert first["balance"]["current"] == "12.500000"
    assert "nothing was added, 12.50 are left" in again
    assert other == "error: idempotency key 'k1' was used for something else"


def test_a_grant_without_a_key_is_made_each_time_and_names_who_made_it(program: Program) -> None:
    program("project", "add", "alpha")

    program("grant", "alpha", "1", "--reason", "Budget")
    said = program("grant", "alpha", "1", "--reason", "Budget", OS_CREDITS_PRECISION="0").stdout

    assert said == "alpha got 1.000000 credits (grant 2, entry 2); 2 are left\n"
    with psycopg.connect(program.database_url) as conn:
        authors = conn.execute("SELECT DISTINCT author, reason FROM entry").fetchall()
    (author,) = {author for author, _ in authors}
    assert author.startswith("cli:")
    assert len(author) > len("cli:")


def test_a_project_that_is_not_there_gets_nothing(program: Program) -> None:
    message = program.refuse("grant", "nobody", "1", "--reason", "x")

    assert message == ("error: there is no project 'nobody'; os-credits project list shows all")


def test_owners_are_added_renamed_listed_and_removed(program: Program) -> None:
    program("project", "add", "alpha")
    owner = ("project", "owner")

    program(*owner, "add", "alpha", "Alice@Example.ORG")
    named = program.json(*owner, "add", "alpha", "Alice@example.org", "--name", "Alice Adams")
    program(*owner, "add", "alpha", "bob@example.org")
    left = program.json(*owner, "remove", "alpha", "bob@example.org")
    gone = program.refuse(*owner, "remove", "alpha", "bob@example.org")

    [alice] = named["owners"]
    assert (alice["email"], alice["name"]) == ("Alice@example.org", "Alice Adams")
    assert left == named
    assert gone == "error: this address does not hear of this project"
    assert "Alice Adams" in program(*owner, "list", "alpha").stdout
    assert program.json("project", "show", "alpha")["owners"] == named["owners"]


def test_an_address_in_another_case_is_the_same_owner(program: Program) -> None:
    program("project", "add", "alpha")
    owner = ("project", "owner")
    program(*owner, "add", "alpha", "Alice@Example.ORG", "--name", "Alice")

    spelled = program.json(*owner, "add", "alpha", "aLICE@example.org", "--name", "Alice Adams")
    left = program.json(*owner, "remove", "alpha", "ALICE@EXAMPLE.ORG")

    [alice] = spelled["owners"]
    assert (alice["email"], alice["name"]) == ("aLICE@example.org", "Alice Adams")
    assert left == {"owners": []}


def test_a_project_has_a_bounded_number_of_owners(program: Program) -> None:
    program("project", "add", "alpha")
    with psycopg.connect(program.database_url) as conn:
        conn.execute(
            "INSERT INTO project_owner (project_id, email)"
            " SELECT 1, n || '@example.org' FROM generate_series(1, 100) AS n"
        )

    message = program.refuse("project", "owner", "add", "alpha", "x@example.org")

    assert message == "error: a project has at most 100 people who hear of it"
    program("project", "owner", "add", "alpha", "100@example.org", "--name", "same")


def test_names_cannot_steer_the_terminal(program: Program) -> None:
    make_projects(program.database_url, ProjectKey("a", "", "", "evil\x1b[2J[red]"))

    shown = program("project", "list").stdout

    assert "\x1b" not in shown
    assert r"evil\x1b[2J[red]" in shown
