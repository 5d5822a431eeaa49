"""The meters, prices and samples on which paths are walked that are to fail somewhere."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from os_credits.domain.meter import MeterDefinition
from os_credits.flows.meters import FilePrice, MeterFile

USUAL: dict[str, Any] = {
    "project_id": "project",
    "project_name": "name",
    "resource": "server",
    "flavor": "flavor",
}
FILE = MeterFile(
    (
        MeterDefinition(name="vcpu", metric="vcpu", kind="counter", unit="vCPU-hour", **USUAL),
        MeterDefinition(
            name="ram", metric="ram", kind="gauge", unit="GiB", match={"status": ["ACTIVE"]},
            **USUAL,
        ),
    ),
    (
        FilePrice("vcpu", None, Decimal(2)),
        FilePrice("vcpu", "big", Decimal(5)),
        FilePrice("ram", None, Decimal("0.3")),
    ),
)  # fmt: skip
# Labels but the project's, minutes after the first hour, value.
Wave = Sequence[tuple[dict[str, str], int, float]]


def _of(metric: str, server: str, flavor: str, name: str, **more: str) -> dict[str, str]:
    return {"__name__": metric, "server": server, "flavor": flavor, "name": name, **more}


VCPU, RAM = (_of("vcpu", "a", "small", "unlisted"),
               _of("ram", "a", "small", "unlisted", status="ACTIVE"))  # fmt: skip
_LISTED = _of("vcpu", "a", "small", "listed")
RAM_LISTED = _of("ram", "a", "small", "listed", status="ACTIVE")
FIRST: Wave = [(VCPU, 0, 10), (VCPU, 20, 12), (VCPU, 80, 15), (RAM, 0, 4), (RAM, 30, 4)]
# Duplicates, ties that replace and one that does not, late ones before, between and after a
# gap, a series and a flavor seen for the first time, and a name that the whitelist knows.
SECOND: Wave = [
    *FIRST[1:4],
    (_LISTED, 80, 16),
    (_of("vcpu", "a", "tiny", "listed"), 20, 12),
    (_of("ram", "a", "small", "listed", status="SHUTOFF"), 30, 9),
    (_LISTED, -30, 9),
    (_LISTED, 40, 13),
    (_LISTED, 200, 30),
    (RAM_LISTED, 15, 6),
    (RAM_LISTED, 150, 6),
    (_of("vcpu", "b", "big", "listed"), 5, 1),
    (_of("vcpu", "b", "big", "listed"), 65, 4),
]
THIRD: Wave = [(_LISTED, 50, 13.5), (_LISTED, 210, 31), (RAM_LISTED, 170, 7)]
LATER: Wave = [
    (_LISTED, 100, 17),
    (_LISTED, 220, 32.25),
    (_LISTED, 250, 33),
    (RAM_LISTED, 190, 1),
    (_of("vcpu", "b", "big", "listed"), 230, 9),
]
