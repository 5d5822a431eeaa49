"""Functions, lines and packages stay small enough to be read at once."""

import ast
import re

from tests.house.source import nodes, parsed, place, python_files, service_files

FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
# What only tools read, at the end of a line.
PRAGMA = re.compile(r"\s+# (type: ignore|noqa).*")


def test_no_function_is_longer_than_seventy_lines() -> None:
    long = [
        place(path, node)
        for path in python_files()
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert long == []


def test_no_line_is_wider_than_a_hundred_columns() -> None:
    wide = [
        f"{place(path)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(PRAGMA.sub("", line)) > COLUMNS_MAX
    ]

    assert wide == []


def test_no_file_is_a_place_for_everything() -> None:
    forbidden = {"base", "common", "helpers", "manager", "misc", "models", "util", "utils"}

    assert [place(path) for path in service_files() if path.stem in forbidden] == []


def test_a_package_begins_with_a_docstring_and_little_else() -> None:
    """`cli` hands out its program, as `pyproject.toml` names it; the top knows its version."""
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    more = [
        place(path, node)
        for path in service_files()
        if path.name == "__init__.py"
        for node in parsed(path).body
        if not isinstance(node, allowed)
    ]

    assert more == []
