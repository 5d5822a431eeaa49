"""What the database holds of one project, without ids and times of our own: to be compared."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg

from tests.batch_rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tests.core import Written

MISCHARGED = "charged for other than its usage"
# $1 is the project's external id; each query gives its rows in an order of their own.
_TABLES = {
    "project": "SELECT name, named_at FROM project WHERE external_id = $1",
    "label_set": """
        SELECT m.name AS meter, l.labels - 'project', s.resource, f.name, l.fits
        FROM label_set l JOIN series s ON s.id = l.series_id JOIN flavor f ON f.id = l.flavor_id
        JOIN meter m ON m.id = s.meter_id JOIN project p ON p.id = s.project_id
        WHERE p.external_id = $1 ORDER BY l.labels::text""",
    "sample": """
        SELECT l.labels - 'project' AS labels,
               (extract(epoch FROM x.measured_at) * 1000)::bigint AS time_ms, x.value
        FROM sample x JOIN series s ON s.id = x.series_id JOIN project p ON p.id = s.project_id
        JOIN label_set l ON l.id = x.label_set_id
        WHERE p.external_id = $1 ORDER BY s.meter_id, s.resource, x.measured_at""",
    "excluded_sample": """
        SELECT l.labels - 'project' AS labels,
               (extract(epoch FROM x.measured_at) * 1000)::bigint AS time_ms, x.value
        FROM excluded_sample x JOIN label_set l ON l.id = x.label_set_id
        JOIN series s ON s.id = x.series_id JOIN project p ON p.id = s.project_id
        WHERE p.external_id = $1 ORDER BY x.measured_at, (l.labels - 'project')::text""",
    "exclusion": """
        SELECT e.starts_at, e.ends_at, left(e.reason, 16) FROM exclusion e
        JOIN project p ON p.id = e.project_id WHERE p.external_id = $1 ORDER BY e.id""",
    "usage": """
        SELECT m.name AS meter, s.resource, u.hour, f.name AS flavor, u.kind, u.quantity, u.credits
        FROM usage u JOIN series s ON s.id = u.series_id JOIN project p ON p.id = s.project_id
        JOIN meter m ON m.id = s.meter_id JOIN flavor f ON f.id = u.flavor_id
        WHERE p.external_id = $1 ORDER BY 1, 2, 3, 4, 5""",
    "charge": """
        SELECT m.name AS meter, f.name AS flavor, c.hour, c.charged, c.booked, c.correction_count,
               (SELECT sequence FROM entry e WHERE e.id = c.entry_id)
        FROM charge c JOIN project p ON p.id = c.project_id
        JOIN meter m ON m.id = c.meter_id JOIN flavor f ON f.id = c.flavor_id
        WHERE p.external_id = $1 ORDER BY 1, 2, 3""",
    "grant": """
        SELECT g.amount, g.reason FROM project_grant g JOIN project p ON p.id = g.project_id
        WHERE p.external_id = $1 ORDER BY 1""",
    "entry": """
        SELECT e.sequence, e.kind, e.amount, e.balance, m.name AS meter, f.name AS flavor,
               CASE WHEN e.kind <> 'grant' THEN e.hour END AS hour, c.sequence AS corrects, e.reason
        FROM entry e JOIN project p ON p.id = e.project_id LEFT JOIN meter m ON m.id = e.meter_id
        LEFT JOIN flavor f ON f.id = e.flavor_id LEFT JOIN entry c ON c.id = e.corrects
        WHERE p.external_id = $1 ORDER BY 1""",
    "told_line": """
        SELECT t.kind, t.line, t.rearmed_at IS NULL AS is_told
        FROM told_line t JOIN project p ON p.id = t.project_id
        WHERE p.external_id = $1 ORDER BY 1, 2""",
    "notice": """
        SELECT n.kind, n.line, n.from_line, n.balance, n.granted
        FROM notice n JOIN project p ON p.id = n.project_id
        WHERE p.external_id = $1 ORDER BY n.id""",
    "mail": """
        SELECT split_part(a.recipient, '@', 2) AS host, a.state
        FROM mail a JOIN notice n ON n.id = a.notice_id JOIN project p ON p.id = n.project_id
        WHERE p.external_id = $1 ORDER BY a.id""",
    "attempts": """
        SELECT a.attempt_count
        FROM mail a JOIN notice n ON n.id = a.notice_id JOIN project p ON p.id = n.project_id
        WHERE p.external_id = $1 ORDER BY a.id""",
    MISCHARGED: """
        SELECT c.charged, u.credits
        FROM (SELECT c.* FROM charge c JOIN project p ON p.id = c.project_id
              WHERE p.external_id = $1) c
        FULL JOIN (
            SELECT s.project_id, u.hour, s.meter_id, u.flavor_id, sum(u.credits) AS credits
            FROM usage u JOIN series s ON s.id = u.series_id JOIN project p ON p.id = s.project_id
            WHERE p.external_id = $1 GROUP BY 1, 2, 3, 4
        ) u USING (project_id, hour, meter_id, flavor_id)
        WHERE coalesce(c.charged, 0) <> coalesce(u.credits, 0)""",
}
_EVERYTHING = " UNION ALL ".join(
    f"SELECT '{table}', to_jsonb(t)::text FROM ({query}) t" for table, query in _TABLES.items()
)
# By table, each row as JSON.
State = dict[str, list[str]]


def lacking(state: State, acknowledged: Iterable[Written]) -> list[str]:
    """Give the acknowledged samples in whose place nothing waits and nothing is stored."""
    held = {
        _place(row["labels"], row["time_ms"])
        for table in ("batch", "sample", "excluded_sample")
        for row in map(json.loads, state[table])
    }
    return [
        f"lost: {labels} at {time_ms}"
        for labels, time_ms, _ in acknowledged
        if _place(labels, time_ms) not in held
    ]


def _place(labels: Mapping[str, str], time_ms: int) -> tuple[str, str, int]:
    return labels["__name__"], labels["server"], time_ms


class Observer:
    """A session of its own that looks at what is committed."""

    def __init__(self, conn: asyncpg.Connection[asyncpg.Record]) -> None:
        self._conn = conn

    async def stored(self, project: str) -> State:
        """Give everything that is stored of a project, and its samples that wait."""
        state: State = {table: [] for table in _TABLES}
        for table, row in await self._conn.fetch(_EVERYTHING, project):
            state[table].append(row)
        return {**state, "batch": await self._waiting(project)}

    async def _waiting(self, project: str) -> list[str]:
        rows = await self._conn.fetch("SELECT sample_count, columns FROM batch ORDER BY id")
        if not rows:
            return []
        known = await self._conn.fetch(
            "SELECT id, labels - 'project' AS labels FROM label_set WHERE labels->>'project' = $1",
            project,
        )
        labels = {row["id"]: row["labels"] for row in known}
        return [
            json.dumps({"labels": json.loads(labels[id_]), "time_ms": time_ms, "value": value})
            for row in rows
            for id_, time_ms, value in rows_of(row["columns"], row["sample_count"])
            if id_ in labels
        ]

    async def sessions(self) -> set[int]:
        """Give the server processes that work for others in this database."""
        rows = await self._conn.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return {row[0] for row in rows}

    async def wait_for_end(self, pids: Collection[int]) -> None:
        """Wait until these server processes are gone: till then they may commit."""
        async with asyncio.timeout(20):
            while (await self.sessions()).intersection(pids):
                await asyncio.sleep(0.002)
