"""Says of a difference where it is, in names and moments as people read them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from os_credits.domain.period import from_ms
from os_credits.store import accounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.domain.difference import Findings
    from os_credits.store.pool import Connection

_NAMED = ("project", "meter", "flavor")


async def name_places(conn: Connection, findings: Findings) -> None:
    """Write names and moments into the places that will be shown."""
    wheres = [one.where for one in findings.first.values()]
    numbers = {noun: sorted({int(w[noun]) for w in wheres if noun in w}) for noun in _NAMED}
    names = await accounts.read_names(
        conn, projects=numbers["project"], meters=numbers["meter"], flavors=numbers["flavor"]
    )
    findings.first = {
        layer: replace(
            one, where={noun: _shown(noun, value, names) for noun, value in one.where.items()}
        )
        for layer, one in findings.first.items()
    }


def _shown(noun: str, value: int | str, names: Mapping[tuple[str, int], str]) -> int | str:
    match noun, value:
        case ("project", int()):
            return f"#{value} {names.get((noun, value), '')}".rstrip()
        case ("meter" | "flavor", int()):
            return names.get((noun, value), f"#{value}") or "none"
        case ("hour" | "day" | "month" | "time", int()):
            return from_ms(value).isoformat().replace("+00:00", "Z")
    return value
