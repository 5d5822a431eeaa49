"""The oracles stay small enough to be believed, and know nothing of what they judge."""

import ast
from pathlib import Path

import pytest

from tests.house.source import CHECKOUT, nodes

LAWS = CHECKOUT / "tests" / "laws"
ORACLES = [LAWS / "oracle.py", LAWS / "burn_oracle.py"]
LINES_MAX = 100
STANDARD = {"collections", "collections.abc", "dataclasses", "fractions", "itertools", "math",
            "typing"}  # fmt: skip


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda path: path.stem)
def test_an_oracle_has_at_most_a_hundred_lines(oracle: Path) -> None:
    assert len(oracle.read_text(encoding="utf-8").splitlines()) <= LINES_MAX


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda path: path.stem)
def test_an_oracle_imports_the_standard_library_only(oracle: Path) -> None:
    imported = {
        name
        for node in nodes(oracle)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported <= STANDARD
