"""Every worked example of docs/rating-rules.md, rated by the real code."""

from __future__ import annotations

import random
import re
import tomllib
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from os_credits.domain.meter import MeterDefinition
from os_credits.domain.sample import STALE_MARKER_BITS
from os_credits.domain.usage import UsageKind
from os_credits.rating.charge import charge_of, units_of
from os_credits.rating.merge import merge
from os_credits.rating.usage import SampleColumns, usage_of

PAGE = Path(__file__).parents[3] / "docs" / "rating-rules.md"
STALE = float(np.array([STALE_MARKER_BITS], np.int64).view(np.float64)[0])
WINDOW_MS = 35 * 86_400_000
Row = dict[str, str]


def rows_of(table: str) -> list[Row]:
    """Read a Markdown table."""
    lines = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in table.strip().splitlines()
    ]
    return [dict(zip(lines[0], line, strict=False)) for line in lines[2:]]


def examples() -> list[Any]:
    """Read all examples of the page: name, meter, samples, expected usage."""
    form = re.compile(
        r"### Example: (?P<name>[^\n]+)\n\n```toml\n(?P<meter>[^`]+)```\n\n"
        r"(?P<samples>(?:\|[^\n]*\n)+)\n(?P<usage>(?:\|[^\n]*\n)+)"
    )
    return [
        pytest.param(
            tomllib.loads(found["meter"]),
            rows_of(found["samples"]),
            rows_of(found["usage"]),
            id=found["name"],
        )
        for found in form.finditer(PAGE.read_text(encoding="utf-8"))
    ]


def milliseconds(text: str) -> int:
    """Read a time of day."""
    hours, minutes, *seconds = text.split(":")
    rest = Decimal(seconds[0]) if seconds else Decimal(0)
    return int((int(hours) * 3600 + int(minutes) * 60 + rest) * 1000)


def rated(meter: dict[str, Any], samples: list[Row]) -> set[tuple[str, ...]]:
    """Rate an example, its samples in random order, and write the result as the page does."""
    own, by_flavor = meter.pop("price", None), meter.pop("prices", {})
    definition = MeterDefinition(name="example", metric="example", project_id="p", **meter)
    samples = random.Random(len(samples)).sample(samples, len(samples))
    flavors = sorted({sample["flavor"] for sample in samples})
    values = [STALE if s["value"] == "stale" else float(s["value"]) for s in samples]
    fits = [
        definition.fits({"status": s.get("status", "")}) and s["value"] != "stale" for s in samples
    ]
    columns = SampleColumns(
        np.zeros(len(samples), np.int64),
        np.array([milliseconds(sample["time"]) for sample in samples], np.int64),
        np.array(values, np.float64),
        np.array(fits, np.bool_),
        np.array([flavors.index(sample["flavor"]) for sample in samples], np.int64),
    )
    merged = merge(
        columns.series_ids, columns.times_ms, columns.values, columns.fits, columns.flavor_ids,
        len(samples),
    )  # fmt: skip
    usage = usage_of(columns.where(merged.after), definition, window_ms=WINDOW_MS)
    quantities: dict[tuple[int, int, int], int] = defaultdict(int)
    for hour, flavor, kind, quantity in zip(
        usage.hours_ms.tolist(), usage.flavor_ids.tolist(), usage.kinds.tolist(),
        usage.quantities.tolist(), strict=True,
    ):  # fmt: skip
        quantities[hour, flavor, kind] += quantity
    result: set[tuple[str, ...]] = set()
    for (hour, flavor, kind), quantity in quantities.items():
        price = by_flavor.get(flavors[flavor], own)
        credits = ""
        if kind == UsageKind.BILLED and price is not None:
            credits = str(charge_of(quantity, Decimal(price), definition))
        result.add(
            (
                f"{hour // 3_600_000:02d}:00",
                flavors[flavor],
                units_of(quantity, definition),
                credits,
                UsageKind(kind).name.lower(),
            )
        )
    return result


@pytest.mark.parametrize("meter,samples,usage", examples())
def test_the_page_says_what_the_code_does(
    meter: dict[str, Any], samples: list[Row], usage: list[Row]
) -> None:
    expected = {
        (row["hour"], row["flavor"], row["quantity"], row["credits"], row.get("kind", "billed"))
        for row in usage
    }

    assert expected == rated(meter, samples)


def test_the_page_holds_all_its_examples() -> None:
    written = PAGE.read_text(encoding="utf-8").count("### Example:")

    assert written == len(examples())
    assert written >= 13
