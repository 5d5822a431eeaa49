"""The ledger is only appended to: the service has no right to more, a trigger refuses the owner.

Every attempt runs on a ledger with one entry, one seal and one sample; each is made on its own,
and afterwards the rows are what they were. How many there are of each kind is asserted too.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql

from os_credits.errors import Misconfigured, Unavailable
from os_credits.store.ledger_guard import read_ledger_guard
from os_credits.store.migrate import migrate
from os_credits.store.pool import connection, open_pool
from os_credits.store.rights import APPEND, FUNCTIONS, GUARDED, RIGHTS, TRIGGER_FUNCTIONS
from os_credits.store.server import read_revision
from scripts import databases
from tests import database
from tests.acceptance.conftest import running, settings_for

FILLED = """
INSERT INTO project (key, site, external_id, domain, name) VALUES ('', '', 'p1', '', 'p1');
INSERT INTO entry (project_id, sequence, kind, amount, balance, hour, reason, author, entry_key,
                   booked_at, previous_hash, hash)
VALUES (1, 1, 'grant', 5, 5, date_trunc('hour', now(), 'UTC'), '', '', 'k', now(), '', 'h');
INSERT INTO seal (sealed_at, head_count, previous_hash, hash) VALUES (now(), 1, '', 'h');
INSERT INTO seal_head VALUES (1, 1, 1, 'h');
INSERT INTO sample_block VALUES (1, now(), now(), 1, '{0}', '{1}');
"""
CHUNK = """
SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks
WHERE hypertable_name = 'sample_block'
"""
CHANGES = [
    "UPDATE {0} SET hash = 'x'",
    "UPDATE ONLY {0} SET hash = hash WHERE false",
    "UPDATE {0} o SET hash = 'x' FROM {0} n WHERE n.hash = o.hash",
    "WITH changed AS (UPDATE {0} SET hash = 'x' RETURNING 1) SELECT * FROM changed",
    (
        "INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT * FROM {0}"
        " ON CONFLICT ({1}) DO UPDATE SET hash = 'x'"
    ),
    "MERGE INTO {0} o USING {0} n ON n.hash = o.hash WHEN MATCHED THEN UPDATE SET hash = 'x'",
    "MERGE INTO {0} o USING {0} n ON n.hash = o.hash WHEN MATCHED THEN DELETE",
    "DELETE FROM {0}",
    "DELETE FROM {0} WHERE false",
    "DELETE FROM {0} o USING project",
    "TRUNCATE {0} CASCADE",
    "TRUNCATE project CASCADE",
    "CREATE TEMP VIEW seen AS SELECT * FROM {0}; UPDATE seen SET hash = 'x'",
    "CREATE TEMP VIEW seen AS SELECT * FROM {0}; DELETE FROM seen",
    "DO $$ BEGIN EXECUTE 'DELETE FROM {0}'; END $$",
    "PREPARE from_{0} AS DELETE FROM {0}; EXECUTE from_{0}",
]
# What only the owner of a table may do, with it or with what surrounds it.
OWNERS_WORK = [
    "ALTER TABLE {0} DISABLE TRIGGER ALL",
    "ALTER TABLE {0} DISABLE TRIGGER {0}_is_append_only",
    "ALTER TABLE {0} DROP COLUMN hash",
    "ALTER TABLE {0} ALTER COLUMN hash TYPE text",
    "ALTER TABLE {0} RENAME TO other",
    "ALTER TABLE {0} OWNER TO CURRENT_USER",
    "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY",
    "DROP TRIGGER {0}_is_append_only ON {0}",
    "DROP TABLE {0} CASCADE",
    "CREATE RULE quiet AS ON INSERT TO {0} DO INSTEAD NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON {0} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TABLE public.mine (id bigint)",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS ''",
    "CREATE SCHEMA mine",
    "LOCK TABLE {0} IN ACCESS EXCLUSIVE MODE",
    "SELECT FROM {0} FOR UPDATE",
    "GRANT UPDATE ON {0} TO CURRENT_USER; UPDATE {0} SET hash = 'x'",
    "SET session_replication_role = replica",
    "SET ROLE {owner}",
    "SET SESSION AUTHORIZATION {owner}",
    "GRANT {owner} TO CURRENT_USER",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "COPY {0} FROM PROGRAM 'true'",
]
KEYS = {"entry": "id", "seal": "id", "seal_head": "seal_id, project_id"}
ON_CHUNKS = [
    "TRUNCATE {chunk}",
    "DROP TABLE {chunk}",
    "ALTER TABLE {chunk} RENAME TO other",
    "ALTER TABLE {chunk} NO INHERIT sample_block",
    "ALTER TABLE {chunk} INHERIT entry",
    "SELECT drop_chunks('sample_block', older_than => 'infinity'::timestamptz)",
    "SELECT drop_samples('infinity')",
    "SELECT drop_usage('infinity')",
    "TRUNCATE sample_block",
    "DROP TABLE sample_block CASCADE",
]


@dataclass
class Ledger:
    """One database, how its two roles open it, and what the ledger holds."""

    owner_url: str
    service_url: str
    before: list[object] = field(default_factory=list)

    def held(self) -> list[object]:
        """Read every row of the ledger, and whether its triggers are on."""
        with psycopg.connect(self.owner_url) as conn:
            rows: list[object] = [
                conn.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(one))).fetchall()
                for one in GUARDED
            ]
            triggers = "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
            return [*rows, conn.execute(triggers).fetchall()]


def done(url: str, statements: list[str], words: str = "") -> list[str]:
    """Try each statement and give those that were not refused, for want of a right, so worded."""
    not_refused = []
    with psycopg.connect(url) as conn:
        for statement in statements:
            try:
                conn.execute(statement.encode())
                not_refused.append(statement)
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException) as error:
                if words not in str(error):
                    not_refused.append(statement)
            conn.rollback()
    return not_refused


@pytest.fixture
def ledger(owner_database_url: str, database_url: str) -> Ledger:
    with psycopg.connect(database_url) as conn:
        conn.execute(FILLED.encode())
    one = Ledger(owner_database_url, database_url)
    one.before = one.held()
    return one


def attempts(ledger: Ledger, statements: list[str]) -> list[str]:
    """Write each attempt for each table of the ledger."""
    with psycopg.connect(ledger.owner_url) as conn:
        owner = conn.execute("SELECT quote_ident(current_user)").fetchone()
    assert owner is not None
    return [
        one.format(table, KEYS[table], owner=owner[0]) for table in GUARDED for one in statements
    ]


def test_the_service_can_change_nothing_in_the_ledger(ledger: Ledger) -> None:
    tried = attempts(ledger, [*CHANGES, *OWNERS_WORK])

    assert (done(ledger.service_url, tried), len(tried)) == ([], 120)
    assert ledger.held() == ledger.before


def test_the_owner_is_refused_every_change_by_the_trigger(ledger: Ledger) -> None:
    tried = attempts(ledger, CHANGES)

    assert (done(ledger.owner_url, tried, "never changed"), len(tried)) == ([], 48)
    assert ledger.held() == ledger.before


def test_the_service_cannot_take_chunks_away(ledger: Ledger) -> None:
    with psycopg.connect(ledger.owner_url) as conn:
        chunk = conn.execute(CHUNK).fetchone()
    assert chunk is not None
    tried = [one.format(chunk=chunk[0]) for one in ON_CHUNKS]

    assert (done(ledger.service_url, tried), len(tried)) == ([], 10)
    with psycopg.connect(ledger.service_url) as conn:
        assert conn.execute("SELECT count(*) FROM sample").fetchone() == (1,)


def test_decisions_about_money_are_only_appended_to(database_url: str) -> None:
    appended = [table for table, rights in RIGHTS.items() if rights == APPEND]
    with psycopg.connect(database_url) as conn:
        columns = conn.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = ANY(%s)",
            [appended],
        ).fetchall()
    tried = [
        *(f"DELETE FROM {table}" for table in appended),
        *(f"TRUNCATE {table} CASCADE" for table in appended),
        *(f"UPDATE {table} SET {column} = DEFAULT" for table, column in columns),
    ]

    assert done(database_url, tried) == []
    assert {table for table, _ in columns} == set(appended)


def test_a_view_of_the_services_own_does_not_run_with_the_owners_rights(ledger: Ledger) -> None:
    """What works with the owner's rights must not find temporary objects before the tables."""
    with psycopg.connect(ledger.service_url, autocommit=True) as conn:
        conn.execute(
            "CREATE FUNCTION pg_temp.trick() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN"
            " EXECUTE 'ALTER TABLE public.entry DISABLE TRIGGER USER'; RETURN 'infinity'; END $$"
        )
        conn.execute(
            "CREATE TEMP VIEW retention AS SELECT pg_temp.trick() AS samples_dropped_until,"
            " pg_temp.trick() AS usage_dropped_until"
        )
        for function in ("drop_samples", "drop_usage"):
            with pytest.raises(psycopg.errors.RaiseException, match="still needed"):
                conn.execute(f"SELECT {function}(now())".encode())

    assert ledger.held() == ledger.before


# --- The rights that migrate grants


def test_the_map_of_rights_names_every_table_and_privileged_function(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        tables = conn.execute(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm')"
        )
        functions = conn.execute(
            "SELECT proname || '(' || oidvectortypes(proargtypes) || ')',"
            " prosecdef FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS"
            " (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')"
        )
        named = {one for (one,) in tables.fetchall()}
        found: dict[str, bool] = dict(functions.fetchall())

    assert named == set(RIGHTS)
    assert set(GUARDED) <= {table for table, rights in RIGHTS.items() if rights == APPEND}
    privileged = {name for name, has_owners_rights in found.items() if has_owners_rights}
    written = {one.replace("timestamptz", "timestamp with time zone") for one in FUNCTIONS}
    assert privileged == written | set(TRIGGER_FUNCTIONS)
    assert set(found) - privileged == {"refuse_change()"}


def granted(url: str) -> list[object]:
    with psycopg.connect(url) as conn:
        return [
            conn.execute(
                "SELECT oid::regclass::text, relacl::text FROM pg_class"
                " WHERE relacl IS NOT NULL ORDER BY 1"
            ).fetchall(),
            conn.execute(
                "SELECT attrelid::regclass::text, attname, attacl::text FROM pg_attribute"
                " WHERE attacl IS NOT NULL AND attnum > 0 ORDER BY 1, 2"
            ).fetchall(),
            conn.execute(
                "SELECT proname, proacl::text, proconfig::text FROM pg_proc"
                " WHERE proname LIKE 'drop_%' ORDER BY 1"
            ).fetchall(),
        ]


def test_migrating_again_takes_away_what_is_too_much_and_keeps_the_rest(ledger: Ledger) -> None:
    migrate(ledger.owner_url, ledger.service_url)
    before = granted(ledger.owner_url)
    with psycopg.connect(ledger.service_url) as conn:
        (role,) = conn.execute("SELECT quote_ident(current_user)").fetchone() or ("",)
    with psycopg.connect(ledger.owner_url) as conn:
        for statement in (
            f"GRANT ALL ON entry, sample, sample_block TO {role}",
            f"GRANT UPDATE (amount) ON entry TO {role}",
            "GRANT UPDATE ON entry TO PUBLIC",
            f"REVOKE INSERT ON batch FROM {role}",
            "GRANT EXECUTE ON FUNCTION drop_samples TO PUBLIC",
        ):
            conn.execute(statement.encode())
    changed = granted(ledger.owner_url)

    migrate(ledger.owner_url, ledger.service_url)

    assert changed != before
    assert granted(ledger.owner_url) == before


@pytest.fixture
def other_role_url(empty_database_url: str) -> Iterator[str]:
    """Give the URL of an empty database for one more role, which is dropped afterwards."""
    role, password = f"os_credits_test_{secrets.token_hex(6)}", secrets.token_hex(8)
    databases.make_role(empty_database_url, role, password, may_create=False)
    yield databases.as_role(empty_database_url, role, password)
    with psycopg.connect(empty_database_url) as conn:
        conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))
        conn.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


async def test_a_role_without_rights_is_told_what_to_do(
    empty_database_url: str, other_role_url: str
) -> None:
    migrate(empty_database_url)
    pool = await open_pool(other_role_url, connections_max=1, statement_timeout_seconds=5)
    try:
        async with connection(pool) as conn:
            with pytest.raises(Unavailable, match="OS_CREDITS_OWNER_DATABASE_URL"):
                await read_revision(conn)
            migrate(empty_database_url, other_role_url)
            assert await read_revision(conn) is not None
            assert (await read_ledger_guard(conn)).problems == []
    finally:
        await pool.close()


def test_a_service_that_is_not_let_in_is_named_before_anything_is_changed(
    empty_database_url: str,
) -> None:
    nobody = databases.as_role(empty_database_url, "nobody_knows_this_role", "x")

    with pytest.raises(Unavailable, match="OS_CREDITS_DATABASE_URL, whose role"):
        migrate(empty_database_url, nobody)

    assert databases.is_new(empty_database_url)


# --- What the service refuses


@pytest.mark.parametrize(
    "granted_too_much, words",
    [
        ("GRANT UPDATE ON entry TO {}", "may UPDATE entry"),
        ("GRANT UPDATE (reason) ON entry TO {}", "may UPDATE entry"),
        ("GRANT DELETE ON seal_head TO {}", "may DELETE seal_head"),
        ("GRANT TRUNCATE ON seal TO PUBLIC", "may TRUNCATE seal"),
        ("GRANT TRIGGER ON entry TO {}", "may TRIGGER entry"),
        ("GRANT CREATE ON SCHEMA public TO {}", "may create objects in the schema public"),
    ],
)
async def test_the_service_refuses_to_work_as_a_role_that_could_change_the_ledger(
    ledger: Ledger, granted_too_much: str, words: str
) -> None:
    with psycopg.connect(ledger.service_url) as conn:
        (role,) = conn.execute("SELECT quote_ident(current_user)").fetchone() or ("",)
    with psycopg.connect(ledger.owner_url) as conn:
        conn.execute(granted_too_much.format(role).encode())

    with pytest.raises(Misconfigured, match=f"could change the ledger: it {words}"):
        async with running(settings_for(ledger.service_url, allow_unsafe_database=False)):
            pass


async def test_the_service_refuses_to_work_as_the_owner_unless_that_is_allowed(
    owner_database_url: str,
) -> None:
    with pytest.raises(Misconfigured, match="could change the ledger: it") as refused:
        async with running(settings_for(owner_database_url, allow_unsafe_database=False)):
            pass
    assert "then run os-credits migrate" in str(refused.value)
    assert database.with_database(owner_database_url, "").rpartition("@")[0] not in str(
        refused.value
    )

    allowed = settings_for(owner_database_url, allow_unsafe_database=True)
    async with running(allowed) as service, service.request("GET", "/readyz") as answer:
        assert answer.status == 200


async def test_the_service_works_as_its_own_role(database_url: str) -> None:
    settings = settings_for(database_url, allow_unsafe_database=False)

    async with running(settings) as service, service.request("GET", "/readyz") as answer:
        assert answer.status == 200
