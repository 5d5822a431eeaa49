"""What the service asks of its database server before it serves."""

import psycopg
import pytest
from alembic.script import ScriptDirectory

from os_credits.errors import Unavailable
from os_credits.flows.start import check_revision
from os_credits.store import server
from os_credits.store.migrate import migrations_folder
from os_credits.store.pool import connection, open_pool
from tests import database


def durability(**changes: str | None) -> server.Durability:
    values: dict[str, str | None] = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "timescaledb_version": "2.19.3",
        "timescaledb_license": "apache",
        "server_version": "15",
    }
    return server.Durability(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "setting,value",
    [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("synchronous_commit", "unheard-of"),
    ],
)
def test_a_setting_that_could_lose_commits_is_named(setting: str, value: str) -> None:
    assert durability(**{setting: value}).problems == [f"{setting} is {value}"]


@pytest.mark.parametrize("value", ["on", "local", "remote_write", "remote_apply"])
def test_a_commit_that_waits_for_the_disk_is_fine(value: str) -> None:
    assert durability(synchronous_commit=value).problems == []


async def test_settings_are_those_of_the_services_own_sessions(
    database_url: str, owner_database_url: str
) -> None:
    name = database.name_of(database_url)
    with psycopg.connect(owner_database_url, autocommit=True) as changing:
        changing.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    pool = await open_pool(database_url, connections_max=1, statement_timeout_seconds=5)
    try:
        async with connection(pool) as conn:
            found = await server.read_durability(conn)
            revision = await server.read_revision(conn)
    finally:
        await pool.close()

    assert found.synchronous_commit == "off"
    assert found.timescaledb_version is not None
    assert found.timescaledb_license in ("apache", "timescale")
    check_revision(revision)


async def test_a_database_without_tables_is_at_no_revision(empty_database_url: str) -> None:
    pool = await open_pool(empty_database_url, connections_max=1, statement_timeout_seconds=5)
    try:
        async with connection(pool) as conn:
            revision = await server.read_revision(conn)
    finally:
        await pool.close()

    assert revision is None
    with pytest.raises(Unavailable, match="os-credits migrate"):
        check_revision(revision)


def test_revisions_are_read_as_alembic_reads_them() -> None:
    scripts = ScriptDirectory(str(migrations_folder()))
    head, older = server.expected_revisions()

    assert head == scripts.get_current_head()
    assert {head, *older} == {script.revision for script in scripts.walk_revisions()}


def test_an_older_schema_is_waited_for_and_a_newer_one_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "expected_revisions", lambda: ("0003", frozenset({"0001", "0002"})))

    check_revision("0003")
    check_revision("0004")
    with pytest.raises(Unavailable, match="at 0002, this version needs 0003"):
        check_revision("0002")
