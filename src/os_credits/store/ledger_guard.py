"""What keeps the ledger from being changed: a trigger, and a role that cannot go round it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.store.rights import GUARDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class LedgerGuard:
    """Whether the ledger's triggers work, and by what this role could change it all the same."""

    has_triggers: bool
    role: str
    problems: Sequence[str]


async def read_ledger_guard(conn: Connection) -> LedgerGuard:
    """Read how the ledger is guarded against this role; each problem is a phrase like 'owns it'."""
    row = await conn.fetchrow(
        """
        WITH guarded AS (
            SELECT c.oid, c.relname, c.relowner FROM unnest($1::text[]) AS w(name)
            JOIN pg_class c ON c.oid = to_regclass(w.name)
        )
        SELECT current_user::text AS role,
               (SELECT count(*) FROM guarded g WHERE EXISTS (
                   SELECT FROM pg_trigger WHERE tgrelid = g.oid
                     AND tgname = g.relname || '_is_append_only' AND tgenabled IN ('O', 'A')
               )) = cardinality($1) AS has_triggers,
               (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
               -- Before PostgreSQL 16 such a role could make itself a member of the owner.
               (SELECT rolcreaterole AND current_setting('server_version_num')::int < 160000
                FROM pg_roles WHERE rolname = current_user) AS may_become_owner,
               (SELECT bool_or(pg_has_role(g.relowner, 'MEMBER')) FROM guarded g) AS is_owner,
               has_schema_privilege('public', 'CREATE') AS may_create,
               ARRAY(SELECT upper(w.right_name) || ' ' || g.relname FROM guarded g
                     CROSS JOIN unnest(ARRAY['update', 'delete', 'truncate', 'trigger'])
                          AS w(right_name)
                     WHERE has_table_privilege(g.oid, w.right_name)
                        OR (w.right_name = 'update'
                            AND has_any_column_privilege(g.oid, w.right_name))
                     ORDER BY g.relname, w.right_name) AS rights
        """,
        GUARDED,
    )
    assert row is not None  # noqa: S101 - it selects from nothing, so there is one row
    if row["is_superuser"]:
        problems = ["is a superuser"]
    elif row["is_owner"]:
        problems = ["owns it, or may act as the role that does"]
    else:
        problems = [f"may {right}" for right in row["rights"]]
        if row["may_become_owner"]:
            problems.append("may create roles and so make itself the owner")
        if row["may_create"]:
            # Only a server that comes from PostgreSQL 14 does not let the owner revoke this.
            problems.append(
                "may create objects in the schema public "
                "(REVOKE CREATE ON SCHEMA public FROM PUBLIC as a superuser)"
            )
    return LedgerGuard(row["has_triggers"], row["role"], problems)
