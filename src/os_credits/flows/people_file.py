"""Reads lists of people: rows of a CSV file, or of JSON, each with all that is wrong with it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from os_credits.domain.mail import mail_address
from os_credits.domain.person import (
    PersonChange,
    address_key,
    digest_of,
    language_of,
    name_of,
    role_of,
    wants_of,
)
from os_credits.domain.text import legible
from os_credits.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

FILE_BYTES_MAX = 4 * 1024 * 1024
ROWS_MAX = 10_000
CELL_LENGTH_MAX = 1024
# How many of the columns that a file has too many of are named.
NAMED_MAX = 5
NEEDED = ("project", "email")
_READERS: Mapping[str, Callable[[str], Any]] = {
    "name": name_of,
    "role": role_of,
    "language": language_of,
    "wants": wants_of,
    "digest": digest_of,
}
COLUMNS = ("project", "site", "domain", "email", *_READERS)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it came: its line in the file (or its number in a list, from 1), and its cells."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field of a row; `candidates` are what an ambiguous name could mean."""

    line: int
    field: str
    message: str
    candidates: Sequence[Mapping[str, str]] = ()

    def __str__(self) -> str:
        """Say it in one line."""
        return f"line {self.line}, {self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class NamedProject:
    """How a row names its project; None narrows nothing."""

    name: str
    site: str | None
    domain: str | None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row that is well written: whether its project exists is yet to be seen."""

    line: int
    project: NamedProject
    change: PersonChange


@dataclass(slots=True)
class ReadRows:
    """Well-written rows, and the problems of all others, in the order of their lines."""

    rows: list[ReadRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_people_file(path: Path) -> list[Row]:
    """Read a CSV file. Raises InvalidInput for one that is no table of people."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise TooLarge(f"holds more than {FILE_BYTES_MAX} bytes", where=str(path))
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    return read_csv(content)


def read_csv(content: bytes) -> list[Row]:
    """Read the rows of a CSV file in UTF-8, with commas or semicolons, below a line of names.

    Lines without any text are left out. Raises InvalidInput that names the line for what is no
    such table at all, TooLarge beyond `ROWS_MAX` rows.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput("is not written in UTF-8", where=f"line {line}") from None
    head = text.lstrip().partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if names:
                    rows.append(_row(line, names, cells))
                else:
                    names = _names(cells, line)
            if len(rows) > ROWS_MAX:
                raise TooLarge(f"a list has at most {ROWS_MAX} rows", where=f"line {line}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(f"is no CSV: {error}", where=f"line {line}") from None
    if not names:
        raise InvalidInput(f"needs a first line with the names {', '.join(NEEDED)}", where="line 1")
    return rows


def _names(cells: Sequence[str], line: int) -> list[str]:
    """Read the first line. Raises InvalidInput for names that are unknown, missing or twice."""
    names = [cell.strip().lower() for cell in cells]
    where = f"line {line}"
    if unknown := [name for name in names if name not in COLUMNS]:
        told = ", ".join(repr(legible(name[:40])) for name in unknown[:NAMED_MAX])
        raise InvalidInput(f"{told} is none of the columns {', '.join(COLUMNS)}", where=where)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"names the column {twice} twice", where=where)
    if missing := [name for name in NEEDED if name not in names]:
        raise InvalidInput(f"lacks the column {', '.join(missing)}", where=where)
    return names


def _row(line: int, names: Sequence[str], cells: Sequence[str]) -> Row:
    """Give the cells their names; those that are too many or too few are found by `read_rows`."""
    named = dict(zip(names, cells, strict=False))
    if len(cells) != len(names):
        named["row"] = f"has {len(cells)} cells, not {len(names)}"
    return Row(line, named)


def read_rows(rows: Sequence[Row]) -> ReadRows:
    """Read every row; none is left out silently. The same person twice is a mistake."""
    result = ReadRows()
    seen: dict[tuple[NamedProject, str], int] = {}
    for row in rows:
        problems, read = _read_row(row)
        if read is not None:
            key = (read.project, address_key(read.change.email))
            before = seen.setdefault(key, row.line)
            if before != row.line:
                problems = [Problem(row.line, "email", f"stands in line {before} already")]
            else:
                result.rows.append(read)
        result.problems += problems
    return result


def _read_row(row: Row) -> tuple[list[Problem], ReadRow | None]:
    if "row" in row.cells:
        return [Problem(row.line, "row", row.cells["row"])], None
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for column, cell in row.cells.items():
        try:
            values[column] = _value(column, cell)
        except (ValueError, InvalidInput) as error:
            message = error.message if isinstance(error, InvalidInput) else str(error)
            problems.append(Problem(row.line, column, message))
    if problems:
        return problems, None
    project = NamedProject(values["project"], values.get("site"), values.get("domain"))
    fields = {column: values[column] for column in _READERS if column in values}
    return [], ReadRow(row.line, project, PersonChange(values["email"], fields))


def _value(column: str, cell: str) -> Any:
    """Read one cell; what people leave around a text is cut off."""
    if len(cell) > CELL_LENGTH_MAX:
        raise ValueError(f"holds more than {CELL_LENGTH_MAX} characters")
    if "\0" in cell:
        raise ValueError("must not contain the character NUL")
    if column in _READERS:
        return _READERS[column](cell)
    if column == "email":
        return mail_address(cell.strip())
    if column == "project" and not cell.strip():
        raise ValueError("must not be empty")
    return cell if column == "project" else cell or None
