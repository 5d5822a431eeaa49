"""The program makes logins and managers, and shows who changed what."""

import asyncio
import re

import pytest
from typer.testing import CliRunner, Result

from os_credits.cli import main
from os_credits.cli.operator import author
from os_credits.errors import Unauthenticated
from os_credits.flows.logins import log_in, set_password
from os_credits.store.pool import open_pool
from tests.acceptance.program import Program

PASSWORD = "a lake of violins"
LINK = re.compile(r"http://127\.0\.0\.1:8080/password/([\w-]{43})")


def choose(program: Program, token: str) -> None:
    async def work() -> None:
        pool = await open_pool(
            program.database_url, connections_max=1, statement_timeout_seconds=20
        )
        try:
            await set_password(pool, token, PASSWORD, "192.0.2.1")
        finally:
            await pool.close()

    asyncio.run(work())


def comes_in(program: Program, password: str = PASSWORD) -> bool:
    async def work() -> bool:
        pool = await open_pool(
            program.database_url, connections_max=1, statement_timeout_seconds=20
        )
        try:
            await log_in(pool, "ada@example.org", password, "192.0.2.1", "test")
        except Unauthenticated:
            return False
        finally:
            await pool.close()
        return True

    return asyncio.run(work())


def typed(program: Program, password: str) -> Result:
    """Type a password twice."""
    environment = {"OS_CREDITS_DATABASE_URL": program.database_url}
    words = ["login", "password", "#1"]
    return CliRunner().invoke(main, words, env=environment, input=f"{password}\n" * 2)


def test_the_first_administrator_is_made_and_looked_after(program: Program) -> None:
    made = program("login", "add", "ada@example.org", "--administrator", "--name", "Ada Krause")
    found = LINK.match(made.stdout)
    assert found is not None
    assert "login 1 (ada@example.org)" in made.stderr
    assert "invited (shown)" in program("login", "list").stdout
    choose(program, found[1])
    assert comes_in(program)

    shown = program.json("login", "show", "#1")
    assert (shown["is_administrator"], shown["has_password"]) == (True, True)
    sessions = program.json("login", "sessions", "ADA@example.org")["sessions"]
    assert [one["address"] for one in sessions] == ["192.0.2.1"]
    assert program("login", "end", "#1").stdout == "1 session ended\n"
    last = program.refuse("login", "disable", "#1")
    assert last == "error: nobody could administer the service any more: this is the last one"
    program("key", "add", "root", "--scope", "admin")
    assert program("login", "disable", "#1").stdout == "login 1 (ada@example.org) is disabled\n"
    assert not comes_in(program)
    program("login", "enable", "#1")
    assert program("login", "administrator", "#1", "--no").stdout.endswith("no administrator\n")
    assert program.json("login", "list", "krause")["logins"][0]["is_administrator"] is False
    assert program.refuse("login", "show", "#9") == (
        "error: there is no login #9; os-credits login list shows all"
    )


def test_a_password_is_chosen_at_the_terminal(program: Program) -> None:
    program("login", "add", "ada@example.org")

    weak = typed(program, "short")
    good = typed(program, PASSWORD)

    assert (weak.exit_code, good.exit_code) == (2, 0)
    assert "at least 12 characters" in weak.stderr
    assert PASSWORD not in good.output
    assert comes_in(program)


def test_a_link_that_cannot_be_mailed_says_what_is_missing(program: Program) -> None:
    message = program.refuse("login", "add", "ada@example.org", "--mail", status=2)

    assert "OS_CREDITS_MAIL_HOST and OS_CREDITS_PUBLIC_URL" in message
    assert program.json("login", "list")["logins"] == []


def test_managers_are_named_and_every_change_stands_in_the_log(program: Program) -> None:
    program("organisation", "add", "Sciences")
    program("project", "add", "biobank")
    added = program.json("manager", "add", "Sciences", "mia@example.org", "--name", "Mia")
    assert [(one["email"], one["author"]) for one in added["managers"]] == [
        ("mia@example.org", author())
    ]
    program("grant", "biobank", "5", "--reason", "why not")
    assert program.json("manager", "remove", "Sciences", "MIA@example.org") == {"managers": []}

    lines = program.json("audit")["lines"]
    assert {(one["actor"], one["via"]) for one in lines} == {(author(), "command")}
    assert [(one["action"], one["subject"]) for one in lines] == [
        ("delete", "manager"), ("insert", "project_grant"), ("insert", "manager"),
        ("insert", "organisation"),
    ]  # fmt: skip
    of_project = program.json("audit", "--project", "biobank")["lines"]
    assert [one["details"]["reason"] for one in of_project] == ["why not"]
    assert "insert project_grant" in program("audit", "--subject", "project_grant").stdout
    assert program("audit", "--since", "2999-01-01").stdout == "Nothing was changed.\n"


@pytest.mark.parametrize("words", [["login", "add", "nobody"], ["login", "show", "<x@y.z>"]])
def test_what_is_no_address_is_refused(program: Program, words: list[str]) -> None:
    assert "is no mail address" in program.refuse(*words, status=2)
