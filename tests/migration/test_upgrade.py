"""Migrations: from an empty database to head, and head is what `migrations/schema.py` declares."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from migrations import schema
from os_credits.errors import Misconfigured, Unavailable
from os_credits.store.migrate import migrate, migrations_folder
from os_credits.store.server import expected_revisions
from tests import database
from tests.migration import catalog

MIGRATE = [sys.executable, "-m", "os_credits", "migrate"]
SECONDS_MAX = 60


def engine_of(database_url: str) -> Engine:
    return create_engine(
        urlsplit(database_url)._replace(scheme="postgresql+psycopg").geturl(), poolclass=NullPool
    )


@pytest.fixture(scope="module")
def head_url(migrated_template: str) -> Iterator[str]:
    """Give a database at head that no test of this module changes."""
    with database.database(database.server_url(), template=migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def declared_url() -> Iterator[str]:
    """Give a database that was made from the declared schema, without the migrations."""
    with database.database(database.server_url()) as url:
        engine = engine_of(url)
        schema.metadata.create_all(engine)
        engine.dispose()
        yield url


def test_an_empty_database_is_brought_to_head(empty_database_url: str) -> None:
    migrate(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert revisions == [(expected_revisions()[0],)]


def test_migrating_again_changes_nothing(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO flavor (name) VALUES ('m1.large')")
    before = catalog.fingerprint(empty_database_url)

    migrate(empty_database_url)

    assert catalog.fingerprint(empty_database_url) == before
    with psycopg.connect(empty_database_url) as connection:
        flavors = connection.execute("SELECT id, name FROM flavor ORDER BY id").fetchall()
    assert flavors == [(0, ""), (1, "m1.large")]


def test_copies_that_migrate_at_once_do_it_once(empty_database_url: str, tmp_path: Path) -> None:
    service_url = database.as_service(empty_database_url)
    environment = {
        "OS_CREDITS_OWNER_DATABASE_URL": empty_database_url,
        "OS_CREDITS_DATABASE_URL": service_url,
    }
    copies = [
        subprocess.Popen(
            MIGRATE, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]

    said = [copy.communicate(timeout=SECONDS_MAX) for copy in copies]

    head = expected_revisions()[0]
    assert [0, 0] == [copy.returncode for copy in copies], said
    assert {f"the schema is at {head}\n".encode()} == {out for out, _ in said}
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    with psycopg.connect(service_url) as connection:
        assert connection.execute("SELECT count(*) FROM entry").fetchone() == (0,)


def test_a_migration_waits_for_the_one_under_way(empty_database_url: str, tmp_path: Path) -> None:
    environment = {"OS_CREDITS_DATABASE_URL": empty_database_url}
    with psycopg.connect(empty_database_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [0x05C7ED17])
        copy = subprocess.Popen(MIGRATE, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        for _ in range(SECONDS_MAX * 20):
            if holder.execute(waiting).fetchone() == (1,):
                break
            holder.execute("SELECT pg_sleep(0.05)")
        made = holder.execute("SELECT to_regclass('alembic_version')").fetchone()
        holder.execute("SELECT pg_advisory_unlock(%s)", [0x05C7ED17])

        assert copy.wait(SECONDS_MAX) == 0
    assert made == (None,)


def test_the_extension_is_made_where_it_is_missing(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("DROP EXTENSION timescaledb")

    migrate(empty_database_url)

    assert set(schema.HYPERTABLES) == set(catalog.rows(empty_database_url, catalog.HYPERTABLES))


def test_head_is_the_declared_schema_for_alembic(head_url: str) -> None:
    engine = engine_of(head_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        differences = compare_metadata(context, schema.metadata)
    engine.dispose()

    assert differences == []


@pytest.mark.parametrize("part", ["columns", "constraints", "indexes"])
def test_head_is_the_declared_schema_in_the_catalog(
    head_url: str, declared_url: str, part: str
) -> None:
    declared = catalog.fingerprint(declared_url)[part]
    migrated = {
        name: text
        for name, text in catalog.fingerprint(head_url)[part].items()
        if "alembic_version" not in name
    }

    assert declared
    assert migrated == declared


def test_head_has_the_declared_hypertables(head_url: str) -> None:
    seconds = {"1 day": timedelta(days=1), "7 days": timedelta(days=7)}
    declared = {
        table: f"{column} {seconds[interval].total_seconds():.6f}"
        for table, (column, interval) in schema.HYPERTABLES.items()
    }

    assert catalog.rows(head_url, catalog.HYPERTABLES) == declared


def test_head_has_the_declared_views(head_url: str) -> None:
    assert set(catalog.rows(head_url, catalog.VIEWS)) == schema.VIEWS


def test_head_has_the_declared_triggers(head_url: str) -> None:
    declared = {
        name: f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {function}"
        for (_, name), (when, function) in schema.TRIGGERS.items()
    }

    assert catalog.rows(head_url, catalog.TRIGGERS) == declared


def test_head_stores_columns_as_declared(head_url: str) -> None:
    assert set(catalog.rows(head_url, catalog.STORAGE).items()) == schema.EXTERNAL_STORAGE


@pytest.mark.parametrize(
    "statement",
    ["UPDATE entry SET reason = 'x'", "DELETE FROM entry", "TRUNCATE entry CASCADE"],
)
def test_the_ledger_refuses_changes(head_url: str, statement: str) -> None:
    with (
        psycopg.connect(head_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"),
    ):
        connection.execute(statement.encode())


def test_every_migration_says_whether_it_runs_before_or_after_the_code() -> None:
    scripts = list(ScriptDirectory(str(migrations_folder())).walk_revisions())
    names = [Path(script.path).stem for script in scripts]

    assert names
    assert [name for name in names if name.split("_")[1] not in ("before", "after")] == []
    assert [script.revision for script in scripts if not script.doc] == []


def test_a_database_that_is_away_is_named_in_one_line() -> None:
    with pytest.raises(Unavailable, match="cannot migrate: connection failed"):
        migrate("postgresql://os_credits@127.0.0.1:1/nothing")


def test_a_database_that_refuses_is_named_in_one_line(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE meter (id integer)")

    with pytest.raises(Misconfigured, match='cannot migrate: relation "meter" already exists'):
        migrate(empty_database_url)
