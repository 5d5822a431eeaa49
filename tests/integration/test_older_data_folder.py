"""A data folder that `make run` made when one role did everything is handed over by itself."""

import json
from collections.abc import Iterator

import psycopg
import pytest

from os_credits.store.ledger_guard import read_ledger_guard
from os_credits.store.migrate import migrate
from os_credits.store.pool import connection, open_pool
from scripts import databases, places, timescaledb
from scripts.cluster import OWNER_ROLE, SERVICE_ROLE, SUPERUSER, Cluster
from scripts.run import DATABASE
from scripts.with_server import temporary_cluster

OWNERS = """
SELECT DISTINCT relowner::regrole::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'S', 'v')
   OR relname LIKE '_hyper%chunk'
UNION SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'drop_samples'
UNION SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()
"""
BLOCK = "INSERT INTO sample_block VALUES (1, {0}, {0}, 1, '{{0}}', '{{1}}')"


@pytest.fixture
def older_cluster() -> Iterator[Cluster]:
    """Give a running cluster as it was left by an earlier version, with a sample in it."""
    if timescaledb.find() is None:
        pytest.skip("there is no TimescaleDB on this machine to make a cluster with")
    with temporary_cluster() as cluster:
        cluster.make()
        secrets = cluster.folder / "cluster.json"
        settings = json.loads(secrets.read_text())
        del settings[OWNER_ROLE]
        places.write_secret(secrets, json.dumps(settings))
        with cluster.running():
            administrator = cluster.url("postgres", SUPERUSER)
            databases.make_role(
                administrator, SERVICE_ROLE, settings[SERVICE_ROLE], may_create=False
            )
            databases.make_database(administrator, DATABASE, SERVICE_ROLE)
            databases.make_extension(cluster.url(DATABASE, SUPERUSER))
            migrate(cluster.url(DATABASE))
            with psycopg.connect(cluster.url(DATABASE)) as conn:
                conn.execute(BLOCK.format("now()"))
                assert conn.execute(OWNERS.encode()).fetchall() == [(SERVICE_ROLE,)]
            yield cluster


async def test_an_older_data_folder_is_handed_over_to_the_owner(older_cluster: Cluster) -> None:
    for _ in range(2):  # each start does it again
        older_cluster.make()
        older_cluster.make_roles(may_create=False)
        older_cluster.make_database(DATABASE)
        migrate(older_cluster.url(DATABASE, OWNER_ROLE), older_cluster.url(DATABASE))

    with psycopg.connect(older_cluster.url(DATABASE)) as conn:
        conn.execute(BLOCK.format("now() - interval '9 days'"))
        assert conn.execute("SELECT count(*) FROM sample").fetchone() == (2,)
        assert conn.execute(OWNERS.encode()).fetchall() == [(OWNER_ROLE,)]
    pool = await open_pool(
        older_cluster.url(DATABASE), connections_max=1, statement_timeout_seconds=5
    )
    try:
        async with connection(pool) as conn:
            guard = await read_ledger_guard(conn)
    finally:
        await pool.close()
    assert (guard.role, guard.has_triggers, guard.problems) == (SERVICE_ROLE, True, [])
