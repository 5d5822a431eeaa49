"""Reads what a database really holds, as texts that two databases can be compared by."""

import psycopg

# Every relation of ours; TimescaleDB keeps its own in other schemas.
TABLES = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"

COLUMNS = f"""
    SELECT c.relname || '.' || a.attname,
           format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
           || CASE a.attidentity WHEN 'a' THEN ' always identity'
                                 WHEN 'd' THEN ' default identity' ELSE '' END
           || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM ({TABLES} AND relkind = 'r') c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
"""
CONSTRAINTS = f"""
    SELECT c.relname || ': ' || k.conname, pg_get_constraintdef(k.oid)
    FROM ({TABLES}) c JOIN pg_constraint k ON k.conrelid = c.oid
"""
INDEXES = f"""
    SELECT c.relname, pg_get_indexdef(c.oid) FROM ({TABLES} AND relkind = 'i') c
"""
TRIGGERS = f"""
    SELECT t.tgname, pg_get_triggerdef(t.oid) FROM ({TABLES}) c
    JOIN pg_trigger t ON t.tgrelid = c.oid
    WHERE NOT t.tgisinternal AND t.tgname <> 'ts_insert_blocker'
"""
STORAGE = f"""
    SELECT c.relname, a.attname FROM ({TABLES} AND relkind = 'r') c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attstorage = 'e'
"""
HYPERTABLES = """
    SELECT hypertable_name, column_name || ' ' || extract(epoch FROM time_interval)
    FROM timescaledb_information.dimensions WHERE hypertable_schema = 'public'
"""
VIEWS = "SELECT viewname, viewowner FROM pg_views WHERE schemaname = 'public'"


def rows(database_url: str, statement: str) -> dict[str, str]:
    """Give the two columns of a statement as a dictionary."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(statement.encode()).fetchall()
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def fingerprint(database_url: str) -> dict[str, dict[str, str]]:
    """Give everything that this module can read."""
    statements = {
        "columns": COLUMNS,
        "constraints": CONSTRAINTS,
        "indexes": INDEXES,
        "triggers": TRIGGERS,
        "storage": STORAGE,
        "hypertables": HYPERTABLES,
        "views": VIEWS,
    }
    return {name: rows(database_url, statement) for name, statement in statements.items()}
