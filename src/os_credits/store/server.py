"""What the database server promises, and which version of the schema it holds."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from os_credits.errors import Misconfigured, Unavailable
from os_credits.store.migrate import migrations_folder

if TYPE_CHECKING:
    from os_credits.store.pool import Connection

# The values of synchronous_commit under which a commit waits for the disk.
COMMIT_WAITS_FOR_DISK = ("on", "local", "remote_write", "remote_apply")


@dataclass(frozen=True, slots=True)
class Durability:
    """Settings of the server that decide whether a commit survives a crash."""

    fsync: str
    full_page_writes: str
    synchronous_commit: str
    timescaledb_version: str | None
    timescaledb_license: str | None
    server_version: str

    @property
    def problems(self) -> list[str]:
        """Name each setting under which acknowledged samples could be lost."""
        found = []
        if self.fsync != "on":
            found.append(f"fsync is {self.fsync}")
        if self.full_page_writes != "on":
            found.append(f"full_page_writes is {self.full_page_writes}")
        if self.synchronous_commit not in COMMIT_WAITS_FOR_DISK:
            found.append(f"synchronous_commit is {self.synchronous_commit}")
        return found


async def read_durability(conn: Connection) -> Durability:
    """Read the settings as they hold for this service's own sessions."""
    [row] = await conn.fetch(
        """
        SELECT current_setting('fsync') AS fsync,
               current_setting('full_page_writes') AS full_page_writes,
               current_setting('synchronous_commit') AS synchronous_commit,
               (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')
                   AS timescaledb_version,
               current_setting('timescaledb.license', true) AS timescaledb_license,
               current_setting('server_version') AS server_version
        """
    )
    return Durability(**dict(row))


async def read_revision(conn: Connection) -> str | None:
    """Read which migration the schema stands at; None where none has run.

    Raises Unavailable where this role has not been granted its rights yet.
    """
    row = await conn.fetchrow(
        """
        SELECT has_table_privilege(to_regclass('alembic_version'), 'SELECT') AS may_read,
               current_user::text AS role
        """
    )
    assert row is not None  # noqa: S101 - it selects from nothing, so there is one row
    if row["may_read"] is None:
        return None
    if not row["may_read"]:
        raise Unavailable(
            f"the role {row['role']} has no rights to the tables: run os-credits migrate with "
            "OS_CREDITS_OWNER_DATABASE_URL, which grants them to the role of "
            "OS_CREDITS_DATABASE_URL"
        )
    revision: str | None = await conn.fetchval("SELECT version_num FROM alembic_version")
    return revision


@cache
def expected_revisions() -> tuple[str, frozenset[str]]:
    """Give the migration that this version needs, and all older ones that it knows.

    Read from the files' text: serving needs neither Alembic nor SQLAlchemy in memory.
    """
    after: dict[str, str | None] = {}
    for path in sorted((migrations_folder() / "versions").glob("*.py")):
        names = _assigned(path.read_text(encoding="utf-8"))
        if "revision" in names:
            after[str(names["revision"])] = names.get("down_revision")
    older = frozenset(before for before in after.values() if before is not None)
    heads = set(after) - older
    if len(heads) != 1:
        raise Misconfigured(f"the migrations of this installation have {len(heads)} heads")
    return heads.pop(), older


def _assigned(module: str) -> dict[str, str | None]:
    """Read the plain texts that a module assigns to its own names."""
    assigned: dict[str, str | None] = {}
    for statement in ast.parse(module).body:
        match statement:
            case ast.Assign([ast.Name(name)], ast.Constant(str() | None as value)):
                assigned[name] = value
    return assigned
