"""What only one room may do: speak SQL, read the environment, decide an HTTP status."""

import ast
import re

import pytest

from tests.house.source import dotted, nodes, place, room_of, service_files

# The beginning of a statement, as our own are written.
STATEMENT = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+(\w+\s+)?SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s"
    r"|(CREATE|ALTER|DROP|TRUNCATE|LOCK)\s+(TABLE|INDEX|EXTENSION|ROLE)\s)"
)
ENVIRONMENT = ("os.environ", "os.environb", "os.getenv", "os.putenv", "environ", "getenv")


def is_statement(text: str) -> bool:
    return STATEMENT.match(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "\n        SELECT id FROM project",
        "INSERT INTO entry VALUES (1)",
        "WITH due AS (SELECT 1) SELECT 2",
        "UPDATE project p SET name = $1",
        "DELETE FROM batch",
        "LOCK TABLE meter",
    ],
)
def test_a_statement_is_recognised(text: str) -> None:
    assert is_statement(text)


@pytest.mark.parametrize("text", ["Select a flavor", "WITH love", "UPDATE now", "update", "LOCK"])
def test_a_sentence_is_no_statement(text: str) -> None:
    assert not is_statement(text)


def texts_of_advice() -> set[str]:
    """Give what doctor tells people to type; it is never executed."""
    return {
        "CREATE EXTENSION timescaledb in the database; os-credits migrate tries to",
        "ALTER TABLE entry ENABLE TRIGGER entry_is_append_only, and find out who did it",
    }


def test_sql_stands_in_store_only() -> None:
    found = [
        place(path, node)
        for path in service_files()
        if room_of(path) != "store"
        for node in nodes(path)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and is_statement(node.value)
        and node.value not in texts_of_advice()
    ]

    assert found == []


def test_store_has_sql() -> None:
    """The rule above would also hold if it could not see any."""
    found = [
        node
        for path in service_files()
        if room_of(path) == "store"
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_statement(node.value)
    ]

    assert len(found) > len(service_files()) / 10


def test_no_statement_is_put_together_from_pieces() -> None:
    """A statement is one static text: nothing that came from outside can become a part of it."""
    found = []
    for path in service_files():
        for node in nodes(path):
            match node:
                case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                    pieces = [text]
                case ast.BinOp(left=ast.Constant(value=str(text))):
                    pieces = [text]
                case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr=method)):
                    pieces = [text] if method in ("format", "join", "replace") else []
                case _:
                    continue
            found += [place(path, node) for text in pieces if is_statement(text)]

    assert found == []


def test_the_environment_is_read_in_settings_only() -> None:
    found = [
        place(path, node)
        for path in service_files()
        if room_of(path) != "settings"
        for node in nodes(path)
        if (isinstance(node, ast.Attribute | ast.Name) and dotted(node) in ENVIRONMENT)
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {name.name for name in node.names} & {"environ", "getenv", "putenv"}
        )
    ]

    assert found == []


def test_settings_are_known_to_app_and_cli_only() -> None:
    """Other rooms get plain values, so that a test needs no environment."""
    found = [
        place(path, node)
        for path in service_files()
        if room_of(path) not in ("app", "cli", "jobs", "server", "settings")
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.module == "os_credits.settings"
    ]

    assert found == []


def test_pure_rooms_know_no_clock_no_chance_no_log_and_no_coroutine() -> None:
    pure = ("domain", "decode", "rating", "ledger", "forecast")
    forbidden = {"asyncio", "logging", "random", "secrets", "structlog", "time"}
    found = []
    for path in service_files():
        if room_of(path) not in pure:
            continue
        for node in nodes(path):
            match node:
                case ast.AsyncFunctionDef():
                    found.append(place(path, node))
                case ast.Import(names=names):
                    found += [place(path, node) for name in names if name.name in forbidden]
                case ast.ImportFrom(module=str(module)):
                    found += [place(path, node)] if module.split(".")[0] in forbidden else []
                case _:
                    pass

    assert found == []
