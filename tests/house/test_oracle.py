"""The oracle stays small enough to be believed, and knows nothing of what it judges."""

import ast

from tests.house.source import CHECKOUT, nodes

ORACLE = CHECKOUT / "tests" / "laws" / "oracle.py"
LINES_MAX = 100


def test_the_oracle_has_at_most_a_hundred_lines() -> None:
    assert len(ORACLE.read_text(encoding="utf-8").splitlines()) <= LINES_MAX


def test_the_oracle_imports_the_standard_library_only() -> None:
    imported = {
        name
        for node in nodes(ORACLE)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported == {"collections", "collections.abc", "dataclasses", "fractions", "itertools",
                        "math", "typing"}  # fmt: skip
