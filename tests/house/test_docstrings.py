"""Whoever opens a file is told what it is for."""

import ast
import re

import pytest

from os_credits import errors
from tests.house.source import CHECKOUT, parsed, place, python_files, service_files

# A line of the drawn tree: how deep it stands, and the class it names.
TREE_LINE = re.compile(r"^    ((?:\|   |    )*(?:\|-- |`-- )?)([A-Z]\w+)", re.MULTILINE)


def test_every_file_begins_with_a_docstring() -> None:
    silent = [
        place(path)
        for path in python_files()
        if parsed(path).body and not ast.get_docstring(parsed(path))
    ]

    assert silent == []


def test_every_public_name_of_the_service_has_a_docstring() -> None:
    silent = [
        f"{place(path, node)} {node.name}"
        for path in service_files()
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]

    assert silent == []


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """Each exception stands under the class it comes from."""
    drawn: dict[str, str] = {}
    stack: list[str] = []
    for branch, name in TREE_LINE.findall(errors.__doc__ or ""):
        depth = len(branch) // 4
        stack[depth:] = [name]
        drawn[name] = stack[depth - 1] if depth else "Exception"
    real = {
        name: one.__bases__[0].__name__
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, Exception)
    }

    assert drawn == real


def test_the_map_says_what_is_absent() -> None:
    page = (CHECKOUT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")

    assert re.search(r"^#+ .*absent", page, re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize(
    "module",
    [path.stem for path in service_files() if path.parent.name == "domain" and path.stem[0] != "_"],
)
def test_every_module_of_the_domain_is_named_after_a_word_of_the_glossary(module: str) -> None:
    page = (CHECKOUT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = {word.lower() for word in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)}

    assert module.replace("_", " ") in words
