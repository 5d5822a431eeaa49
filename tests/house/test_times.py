"""Every moment knows its time zone."""

import ast

import pytest

from tests.house.source import dotted, parsed, place, python_files

# Makers of moments, and where among their arguments the time zone stands (None: nowhere).
MAKERS = {
    "datetime": 7,
    "datetime.now": 0,
    "datetime.fromtimestamp": 1,
    "datetime.combine": 2,
    "datetime.strptime": None,
    "datetime.today": None,
    "datetime.utcfromtimestamp": None,
    "datetime.utcnow": None,
}
# What gives a moment its zone right after it was made.
ZONE_GIVERS = ("replace", "astimezone")


def naive(source: ast.AST) -> list[ast.Call]:
    """Give the calls that make a moment without a time zone."""
    zoned = {
        id(node.value)
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute) and node.attr in ZONE_GIVERS
    }
    return [
        node
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and id(node) not in zoned and lacks_zone(node)
    ]


def lacks_zone(call: ast.Call) -> bool:
    """Tell whether a call makes a moment, and names no zone for it."""
    maker = dotted(call.func)
    if maker.startswith("datetime.datetime"):  # import datetime
        maker = maker.removeprefix("datetime.")
    if maker not in MAKERS:
        return False
    position = MAKERS[maker]
    if position is None:
        return True
    named = {keyword.arg for keyword in call.keywords} & {"tz", "tzinfo", None}
    starred = any(isinstance(one, ast.Starred) for one in call.args)
    return not (named or starred or len(call.args) > position)


@pytest.mark.parametrize(
    "source",
    [
        "datetime.now()",
        "datetime.datetime.now()",
        "datetime.utcnow()",
        "datetime.today()",
        "datetime.fromtimestamp(0)",
        "datetime(2026, 1, 1)",
        "datetime.datetime(2026, 1, 1, 12)",
        "datetime.strptime(text, form)",
        "datetime.combine(day, time)",
    ],
)
def test_a_moment_without_a_zone_is_recognised(source: str) -> None:
    assert len(naive(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "datetime.now(UTC)",
        "datetime.now(tz=UTC)",
        "datetime.fromtimestamp(0, UTC)",
        "datetime(2026, 1, 1, tzinfo=UTC)",
        "datetime(*parts)",
        "datetime.strptime(text, form).replace(tzinfo=UTC)",
        "datetime.fromisoformat(text)",
        "now()",
    ],
)
def test_a_moment_with_a_zone_pleases(source: str) -> None:
    assert naive(ast.parse(source)) == []


def test_no_moment_is_made_without_a_zone() -> None:
    found = [place(path, node) for path in python_files() for node in naive(parsed(path))]

    assert found == []
