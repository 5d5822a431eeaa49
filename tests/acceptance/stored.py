"""What the database itself says, read past the service: samples, charges, the ledger.

Amounts are whole millionths of a credit, as the oracle gives them; hours are numbered from the
epoch; a project is named by the cloud's id of it, or by its name where it has none.
"""

from operator import itemgetter
from typing import Any, LiteralString

import psycopg

from tests.batch_rows import rows_of

# Project, meter, flavor, hour.
Place = tuple[str, str, str, int]
# Meter, project, resource (and what else the meter tells series apart by), time (ms).
SamplePlace = tuple[str, str, str, int]


def shown(micro: int) -> str:
    """Write an amount as `/api/v1` does."""
    sign, micro = ("-", -micro) if micro < 0 else ("", micro)
    return f"{sign}{micro // 10**6}.{micro % 10**6:06d}"


async def query(url: str, statement: LiteralString, *arguments: Any) -> list[tuple[Any, ...]]:
    """Ask the database, as of one moment.

    READ COMMITTED would plan under one snapshot and read under a later one: what stands in a
    chunk that was made in between would be missed.
    """
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        return await (await connection.execute(statement, arguments or None)).fetchall()


async def charges(url: str) -> dict[Place, int]:
    """Give what is charged, without zeros."""
    rows = await query(
        url,
        """
        SELECT coalesce(nullif(p.external_id, ''), p.name), m.name, f.name,
               extract(epoch FROM c.hour)::bigint / 3600, (c.charged * 1000000)::bigint
        FROM charge c JOIN project p ON p.id = c.project_id
        JOIN meter m ON m.id = c.meter_id JOIN flavor f ON f.id = c.flavor_id
        WHERE c.charged <> 0
        """,
    )
    return {row[:4]: row[4] for row in rows}


async def ledger(url: str) -> dict[Place, int]:
    """Give what the entries of usage and their corrections add up to, without zeros."""
    rows = await query(
        url,
        """
        SELECT coalesce(nullif(p.external_id, ''), p.name), m.name, f.name,
               extract(epoch FROM e.hour)::bigint / 3600, -(sum(e.amount) * 1000000)::bigint
        FROM entry e JOIN project p ON p.id = e.project_id
        JOIN meter m ON m.id = e.meter_id JOIN flavor f ON f.id = e.flavor_id
        GROUP BY 1, 2, 3, 4 HAVING sum(e.amount) <> 0
        """,
    )
    return {row[:4]: row[4] for row in rows}


async def broken_links(url: str) -> list[tuple[Any, ...]]:
    """Give project and sequence of entries that do not follow from the entry before them."""
    return await query(
        url,
        """
        SELECT e.project_id, e.sequence
        FROM entry e
        LEFT JOIN entry b ON b.project_id = e.project_id AND b.sequence = e.sequence - 1
        WHERE e.balance <> e.amount + coalesce(b.balance, 0)
           OR (e.sequence > 1 AND e.previous_hash IS DISTINCT FROM b.hash)
        """,
    )


async def unbalanced(url: str) -> list[tuple[Any, ...]]:
    """Give projects for which, in one snapshot, the steps from usage to balance do not add up.

    These are equal: credits of usage, charges, and entries of usage together with the tally.
    """
    return await query(
        url,
        """
        SELECT p.name, coalesce(u.credits, 0) AS of_usage, coalesce(c.charged, 0) AS of_charges,
               coalesce(c.tally, 0) - coalesce(e.amount, 0) AS of_entries
        FROM project p
        LEFT JOIN (SELECT s.project_id, sum(u.credits) AS credits FROM usage u
                   JOIN series s ON s.id = u.series_id GROUP BY 1) u ON u.project_id = p.id
        LEFT JOIN (SELECT project_id, sum(charged) AS charged, sum(charged - booked) AS tally
                   FROM charge GROUP BY 1) c ON c.project_id = p.id
        LEFT JOIN (SELECT project_id, sum(amount) AS amount FROM entry
                   WHERE kind IN ('usage', 'correction') GROUP BY 1) e ON e.project_id = p.id
        WHERE coalesce(u.credits, 0) <> coalesce(c.charged, 0)
           OR coalesce(c.charged, 0) <> coalesce(c.tally, 0) - coalesce(e.amount, 0)
        """,
    )


async def samples(url: str, *projects: str) -> dict[SamplePlace, float]:
    """Give every sample that is rated, of all projects or of these, with the value that counts."""
    rows = await query(
        url,
        """
        SELECT m.name, coalesce(nullif(p.external_id, ''), p.name),
               s.resource || coalesce((SELECT string_agg(value, '' ORDER BY key)
                                       FROM jsonb_each_text(s.identity)), ''),
               (extract(epoch FROM sample.measured_at) * 1000)::bigint, sample.value
        FROM sample JOIN series s ON s.id = sample.series_id
        JOIN project p ON p.id = s.project_id JOIN meter m ON m.id = s.meter_id
        WHERE cardinality(%s::text[]) = 0 OR coalesce(nullif(p.external_id, ''), p.name) = ANY(%s)
        """,
        list(projects),
        list(projects),
    )
    return {row[:4]: row[4] for row in rows}


async def waiting(url: str) -> dict[SamplePlace, float]:
    """Give every sample that is acknowledged and not rated yet; the largest value of each time."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        batches = await (
            await connection.execute("SELECT columns, sample_count FROM batch")
        ).fetchall()
        rows = await (
            await connection.execute(
                """
                SELECT l.id, m.name, coalesce(nullif(p.external_id, ''), p.name),
                       s.resource || coalesce((SELECT string_agg(value, '' ORDER BY key)
                                               FROM jsonb_each_text(s.identity)), '')
                FROM label_set l JOIN series s ON s.id = l.series_id
                JOIN project p ON p.id = s.project_id JOIN meter m ON m.id = s.meter_id
                """
            )
        ).fetchall()
    means = {row[0]: row[1:] for row in rows}
    samples = [sample for columns, count in batches for sample in rows_of(columns, count)]
    samples.sort(key=itemgetter(2))
    return {(*means[one], time_ms): value for one, time_ms, value in samples}
