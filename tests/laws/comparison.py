"""What the service has charged and booked for a set, held against the oracle and against itself."""

import json
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

from os_credits.domain.amount import to_micro
from os_credits.store.pool import connection, snapshot
from tests.laws.mismatch import MismatchError
from tests.laws.scene import Place, Scene

BOOKINGS_MAX = 20
SHOWN_MAX = 6


async def compare(scene: Scene, chance: Random) -> None:
    """Hold charges and the balances that the doors tell against the oracle; entries may follow."""
    await scene.rated()
    expected = scene.expected()
    rows = await _charges(scene)
    _equal("charges", expected, {place: to_micro(row["charged"]) for place, row in rows.items()})
    for place, row in rows.items():
        if row["booked"] != -row["entered"] or not row["is_chained"]:
            raise MismatchError(f"{place}: booked {row['booked']}, but its entries are {dict(row)}")
    for project in scene.projects:
        path = f"/api/v1/projects/{scene.names.project(project)}"
        status, text = await scene.copies.request("GET", path, chance.randrange(2))
        if status != 200:
            raise MismatchError(f"{path} answered {status}: {text}")
        used = sum(micro for place, micro in expected.items() if place[0] == project)
        balance = to_micro(Decimal(json.loads(text)["balance"]["current"]))
        left = scene.granted.get(project, 0) - used
        if balance != left:
            raise MismatchError(f"{path}: the balance is {balance}, not {left}")


async def conclude(scene: Scene, chance: Random) -> None:
    """Book everything; then the entries alone are what the oracle says."""
    for _ in range(BOOKINGS_MAX):
        await scene.rated()
        await scene.copies.book()
        rows = await _charges(scene)
        if all(row["booked"] == row["charged"] for row in rows.values()):
            break
    await compare(scene, chance)
    entered = {place: -to_micro(row["entered"]) for place, row in (await _charges(scene)).items()}
    _equal("entries", scene.expected(), entered)
    async with connection(scene.copies.core.pool) as conn:
        broken = await conn.fetch(BROKEN_LINKS, _project_names(scene))
    if broken:
        raise MismatchError(f"the chain of entries is broken: {broken}")


def _equal(what: str, expected: Mapping[Place, int], found: Mapping[Place, int]) -> None:
    found = {place: micro for place, micro in found.items() if micro}
    wrong = [
        f"{place}: {found.get(place, 0)}, not {expected.get(place, 0)}"
        for place in sorted({*expected, *found})
        if expected.get(place, 0) != found.get(place, 0)
    ]
    if wrong:
        shown = "; ".join(wrong[:SHOWN_MAX])
        raise MismatchError(f"{what} of (project, meter, flavor, hour) differ: {shown}")


def _project_names(scene: Scene) -> list[str]:
    return [scene.names.project(project) for project in scene.projects]


async def _charges(scene: Scene) -> dict[Place, Any]:
    """Read all charges of the set with the sums of their entries."""
    meters = {scene.names.meter(number): number for number in range(len(scene.meters))}
    projects = {scene.names.project(project): project for project in scene.projects}
    async with snapshot(scene.copies.core.pool) as conn:
        rows = await conn.fetch(CHARGES, list(projects))
    return {
        (projects[row["project"]], meters[row["meter"]], row["flavor"], row["hour"]): row
        for row in rows
    }


CHARGES = """
SELECT p.external_id AS project, m.name AS meter, f.name AS flavor,
       extract(epoch FROM c.hour)::bigint / 3600 AS hour,
       c.charged, c.booked, coalesce(sum(e.amount), 0) AS entered,
       count(e.id) FILTER (WHERE e.kind = 'usage') AS usages,
       count(e.id) FILTER (WHERE e.kind = 'correction') AS corrections,
       -- One entry of usage, and every other one corrects that.
       count(e.id) FILTER (WHERE e.kind = 'usage') = (count(e.id) > 0)::int
           AND coalesce(bool_and(e.kind = 'usage' OR e.corrects = c.entry_id), true)
           AND c.correction_count = count(e.id) FILTER (WHERE e.kind = 'correction')
           AS is_chained
FROM charge c
JOIN project p ON p.id = c.project_id
JOIN meter m ON m.id = c.meter_id
JOIN flavor f ON f.id = c.flavor_id
LEFT JOIN entry e ON (e.project_id, e.hour, e.meter_id, e.flavor_id)
                   = (c.project_id, c.hour, c.meter_id, c.flavor_id)
WHERE p.external_id = ANY($1)
GROUP BY p.external_id, m.name, f.name, c.project_id, c.hour, c.meter_id, c.flavor_id
"""
BROKEN_LINKS = """
SELECT e.project_id, e.sequence
FROM entry e
JOIN project p ON p.id = e.project_id
LEFT JOIN entry b ON b.project_id = e.project_id AND b.sequence = e.sequence - 1
WHERE p.external_id = ANY($1)
  AND (e.balance <> e.amount + coalesce(b.balance, 0)
       OR (e.sequence > 1 AND e.previous_hash IS DISTINCT FROM b.hash))
"""
