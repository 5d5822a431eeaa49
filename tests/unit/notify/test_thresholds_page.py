"""Every worked example of docs/thresholds.md, played by the real step."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from os_credits.domain.threshold import Line, Lines, Told
from os_credits.notify.thresholds import NEVER, Facts, NoticeDraft, step

PAGE = Path(__file__).parents[3] / "docs" / "thresholds.md"
FIGURES = ("balance", "granted", "days", "burn")
Row = dict[str, str]


def rows_of(table: str) -> list[Row]:
    """Read a Markdown table."""
    lines = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in table.strip().splitlines()
    ]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def examples() -> list[Any]:
    """Read all examples of the page: name, lines, steps."""
    form = re.compile(
        r"### Example: (?P<name>[^\n]+)\n(?:\n[^`|\n]+\n)?\n```toml\n(?P<lines>[^`]+)```\n\n"
        r"(?P<steps>(?:\|[^\n]*\n)+)"
    )
    return [
        pytest.param(tomllib.loads(found["lines"]), rows_of(found["steps"]), id=found["name"])
        for found in form.finditer(PAGE.read_text(encoding="utf-8"))
    ]


def lines_of(settings: dict[str, Any]) -> Lines:
    values: dict[str, Any] = {
        name: tuple(map(Decimal, value)) if isinstance(value, list) else value
        for name, value in settings.items()
    }
    if "hysteresis_percent" in values:
        values["hysteresis_percent"] = Decimal(values["hysteresis_percent"])
    return Lines(**values)


def figure(text: str) -> Decimal | None:
    return {"unknown": None, "never": NEVER}.get(text) if text.isalpha() else Decimal(text)


def moment(text: str) -> datetime:
    day, _, clock = text.partition(" ")
    hour, minute = clock.split(":")
    return datetime(2026, 3, int(day), int(hour), int(minute), tzinfo=UTC)


def shown(line: Line) -> str:
    return f"{line.kind.value} {line.value.normalize():f}"


def written(draft: NoticeDraft | None) -> str:
    if draft is None:
        return ""
    also = ", ".join(map(shown, draft.also))
    return shown(draft.line) + (f" (also {also})" if also else "")


@pytest.mark.parametrize("settings,steps", examples())
def test_an_example_of_the_page_is_what_happens(settings: dict[str, Any], steps: list[Row]) -> None:
    lines = lines_of(settings)
    told: dict[Line, Told] = {}
    facts = dict.fromkeys(FIGURES, "unknown")
    notices = []
    for row in steps:
        facts |= {name: row[name] for name in FIGURES if row.get(name)}
        told, draft = step(
            lines,
            Facts(
                Decimal(facts["balance"]),
                Decimal(facts["granted"]),
                figure(facts["days"]),
                figure(facts["burn"]),
            ),
            told,
            moment(row["time"]),
            lifted=row["step"] == "lift",
        )
        notices.append(written(draft))

    assert [row["notice"] for row in steps] == notices


def test_the_page_has_examples() -> None:
    assert len(examples()) == PAGE.read_text(encoding="utf-8").count("### Example:") > 8
