"""What routes are asked about: values for the variable parts of paths, and queries."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmarks.big_cloud import ADMINISTRATOR, MANAGER, OWNER

# So many projects are visited, in turns.
VISITED = 50
ROLES = {"administrator": ADMINISTRATOR, "manager": MANAGER, "owner": OWNER}
# Bills of a project and of an organisation (500 projects at most), with and without a choice.
BILLS = (
    "",
    "?project=%23{project_id}",
    "?project=%23{project_id}&by=resource",
    "?organisation={organisation}",
    "?organisation={program}",
    "?organisation={program}&by=project&order=credits",
)
# Routes that need a query, or are worth another look with one: names stand for variable parts.
QUERIES: dict[str, tuple[str, ...]] = {
    "/": ("", "?search=atlas", "?sort=burn&order=desc", "?after=50"),
    "/api/v1/overview": ("", "?search=atlas"),
    "/api/v1/projects/{project}/explain": ("?hour={hour}&meter=openstack_nova_server_status",),
    "/credits_history/{project}": ("", "?range=7d", "?range=90d", "?range=1y"),
    "/cost_per_hour": ("?flavor=m1.large",),
    "/api/v1/people/{email}": ("",),
    "/api/v1/calculations": ("?flavor=m1.large&count=2",),
    "/bill": BILLS,
    "/api/v1/bill": BILLS[1:],
}
# Answers of the others are of no interest here: files, what needs a token, what is no page.
LEFT_OUT = re.compile(r"^/(static|login|password|ping|health$|query|openapi|api/doc|logconfig)")

Target = dict[str, str]


@dataclass(frozen=True, slots=True)
class Targets:
    """What each role asks about, in turns."""

    of_role: dict[str, Sequence[Target]]

    def paths(self, path: str, role: str) -> list[str]:
        """Give the addresses at which a role asks for a route."""
        found = []
        for number, target in enumerate(self.of_role[role]):
            queries = QUERIES.get(path, ("",))
            text = path + queries[number % len(queries)]
            for name, value in target.items():
                text = text.replace(f"{{{name}}}", value)
            if "{" not in text:
                found.append(text)
        return found


async def targets_in(conn: Any) -> Targets:
    """Choose what to ask about in a database: the same at every run."""
    ids = [row["id"] for row in await conn.fetch("SELECT id FROM project ORDER BY id")]
    owned = await conn.fetch("SELECT project_id FROM project_owner WHERE email = $1", OWNER)
    visited = random.Random(1).sample(ids, min(VISITED, len(ids)))
    of_all = [await _target(conn, project_id) for project_id in visited]
    of_owner = [await _target(conn, row["project_id"]) for row in owned]
    return Targets({role: of_owner if role == "owner" else of_all for role in ROLES})


async def _target(conn: Any, project_id: int) -> Target:
    row = await conn.fetchrow(
        """
        SELECT p.id, p.name, m.organisation_id, o.name AS organisation, pl.parent_id,
               (SELECT a.parent_id FROM organisation_place a
                WHERE a.organisation_id = pl.parent_id) AS program_id,
               (SELECT min(id) FROM series WHERE project_id = p.id) AS series,
               (SELECT max(id) FROM entry WHERE project_id = p.id AND kind = 'usage') AS entry,
               (SELECT max(id) FROM project_grant WHERE project_id = p.id) AS grant_id,
               (SELECT max(email) FROM project_owner WHERE project_id = p.id) AS email,
               (SELECT max(hour) FROM charge WHERE project_id = p.id) AS hour
        FROM project p JOIN membership m ON m.project_id = p.id
        JOIN organisation o ON o.id = m.organisation_id
        JOIN organisation_place pl ON pl.organisation_id = o.id
        WHERE p.id = $1
        """,
        project_id,
    )
    series = await conn.fetchrow("SELECT resource FROM series WHERE id = $1", row["series"])
    host = await conn.fetchval(
        "SELECT host_id FROM whereabouts WHERE series_id = $1 LIMIT 1", row["series"]
    )
    login = await conn.fetchval("SELECT id FROM login WHERE email = $1", row["email"])
    values = {
        "project": f"#{row['id']}",
        "project_id": row["id"],
        "project_name": row["name"],
        "series": row["series"],
        "resource": series["resource"],
        "entry_id": row["entry"],
        "organisation": f"#{row['parent_id']}",
        "program": f"#{row['program_id']}",
        "email": row["email"],
        "hour": row["hour"].strftime("%Y-%m-%dT%H:00:00Z"),
        # A month, a day and an hour, in turns.
        "when": row["hour"].strftime(("%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H")[project_id % 3]),
        "meter": "openstack_nova_server_status",
        "host": host,
        "login_id": login,
    }
    return {name: quote(str(value), safe="") for name, value in values.items()} | {
        "of_organisation": str(row["parent_id"]),
        "of_grant": str(row["grant_id"]),
    }
