"""The source files that the rules of the house are about, parsed."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SERVICE = CHECKOUT / "src" / "os_credits"
FOLDERS = ("benchmarks", "migrations", "scripts", "src", "tests")
GENERATED = ("_pb2.py",)


@cache
def python_files() -> tuple[Path, ...]:
    """Give every Python file that people write."""
    found = sorted(path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py"))
    assert found
    return tuple(path for path in found if not path.name.endswith(GENERATED))


def service_files() -> list[Path]:
    """Give the files of the service itself."""
    return [path for path in python_files() if path.is_relative_to(SERVICE)]


@cache
def parsed(path: Path) -> ast.Module:
    """Read a file as Python does."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def nodes(path: Path) -> Iterator[ast.AST]:
    """Give every piece of a file."""
    return ast.walk(parsed(path))


def place(path: Path, node: ast.stmt | ast.expr | None = None) -> str:
    """Name a place as editors understand it."""
    name = path.relative_to(CHECKOUT)
    return f"{name}:{node.lineno}" if node is not None else str(name)


def room_of(path: Path) -> str:
    """Name the room that a file of the service is in."""
    return path.relative_to(SERVICE).parts[0].removesuffix(".py")


def dotted(node: ast.expr) -> str:
    """Write a name as the source does: `datetime.now`; '' for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name) if inner := dotted(value):
            return f"{inner}.{name}"
        case _:
            return ""
