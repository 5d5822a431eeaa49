"""The list of mutations (`make mutants`) does not rot: its texts and its tests still exist."""

import ast
import re
from collections import Counter

import pytest

from tests.house.source import CHECKOUT, parsed
from tests.mutations.listed import Mutation, mutations

PAGE = CHECKOUT / "docs" / "invariants.md"
ROW = re.compile(
    r"^\| `(?P<name>[\w-]+)` \| (?P<does>.+) \| `(?P<test>tests/[^`]+)` \|$", re.MULTILINE
)
MUTATIONS = mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_mutation_can_still_be_made(mutation: Mutation) -> None:
    """What it changes stands in its file once, and is other source of Python afterwards."""
    assert mutation.edits
    for edit in mutation.edits:
        text = (CHECKOUT / edit.file).read_text(encoding="utf-8")
        assert (edit.file, text.count(edit.old)) == (edit.file, 1), edit.old
        assert edit.new != edit.old
        if edit.file.endswith(".py"):
            ast.parse(text.replace(edit.old, edit.new))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_the_test_that_kills_it_exists(mutation: Mutation) -> None:
    functions = {
        node.name
        for node in ast.walk(parsed(CHECKOUT / mutation.test_file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert mutation.test_function in functions


def test_every_mutation_has_a_name_of_its_own() -> None:
    assert [
        name for name, count in Counter(one.name for one in MUTATIONS).items() if count > 1
    ] == []


def test_the_page_of_the_invariants_lists_every_mutation() -> None:
    rows = [found.groups() for found in ROW.finditer(PAGE.read_text(encoding="utf-8"))]

    assert rows == [(one.name, one.does, one.test) for one in MUTATIONS]


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"tests/[\w/]+(?:\.py|\.toml)?", PAGE.read_text(encoding="utf-8")))

    assert len(named) > 10
    assert sorted(one for one in named if not (CHECKOUT / one).exists()) == []
