"""All that is stored in a database, as text: where something must stand nowhere."""

from __future__ import annotations

import psycopg
from psycopg import sql

from tests.database import as_owner


def holding(database_url: str, needle: str) -> dict[str, list[str]]:
    """Give the rows of every table of ours that hold a text, in any case, as text by table."""
    with psycopg.connect(as_owner(database_url)) as conn:
        tables = conn.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        ).fetchall()
        found = {}
        for (table,) in tables:
            statement = sql.SQL(
                "SELECT t::text FROM {} t WHERE position(lower(%s) IN lower(t::text)) > 0"
            ).format(sql.Identifier(table))
            rows = [str(row[0]) for row in conn.execute(statement, [needle])]
            if rows:
                found[table] = rows
    return found
