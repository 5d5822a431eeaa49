"""What the service's role may do with each table and function: `migrate` grants exactly this.

The tables belong to another role, the owner. A table that is missing here is one that the
service may not even read; a test compares this with the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Connection

READ = "SELECT"
APPEND = "SELECT, INSERT"

RIGHTS: Mapping[str, LiteralString] = {
    "alembic_version": READ,
    # Triggers of the owner's keep them.
    "audit": READ,
    "booked_usage": READ,
    # The ledger, and what people decided about money: nothing in it is changed or deleted.
    "allowance_end": APPEND,
    "budget": APPEND,
    "budget_void": APPEND,
    "closing": APPEND,
    "daily_charge": APPEND,
    "daily_host": APPEND,
    "entry": APPEND,
    "exclusion": APPEND,
    "exclusion_lift": APPEND,
    "flavor": APPEND,
    "flavor_spec": APPEND,
    "grant_void": APPEND,
    "host": APPEND,
    "instruction": APPEND,
    "label_set": APPEND,
    "mail_notice": APPEND,
    "membership": APPEND,
    "meter_version": APPEND,
    "notice": APPEND,
    "organisation": APPEND,
    "organisation_place": APPEND,
    "price": APPEND,
    "project_grant": APPEND,
    "seal": APPEND,
    "seal_head": APPEND,
    "series": APPEND,
    "settlement": APPEND,
    "threshold_rule": APPEND,
    "transfer": APPEND,
    "whitelist": APPEND,
    # What has a past that is never rewritten, and a few columns that follow the present.
    "allowance": "SELECT, INSERT, UPDATE (granted_until)",
    "api_key": "SELECT, INSERT, UPDATE (revoked_at)",
    "mail": (
        "SELECT, INSERT, UPDATE (recipient, recipient_name, state, attempt_count,"
        " next_attempt_at, last_error, sent_at)"
    ),
    "meter": (
        "SELECT, INSERT, UPDATE (description, host_label, region_label, provider_label,"
        " state_label)"
    ),
    "project": "SELECT, INSERT, UPDATE (name, named_at)",
    "project_owner": ("SELECT, INSERT, UPDATE (name, role, language, wants, digest), DELETE"),
    "rating_state": "SELECT, UPDATE (writer, epoch, closed_until)",
    "retention": (
        "SELECT, UPDATE (samples_announced_until, samples_announced_at, samples_dropped_until,"
        " usage_dropped_until)"
    ),
    "portal_state": "SELECT, INSERT, UPDATE",
    "threshold_state": "SELECT, INSERT, UPDATE (lowest_percent)",
    "told_line": "SELECT, INSERT, UPDATE (told_at, rearmed_at)",
    # People who log in.
    "invitation": (
        "SELECT, INSERT, UPDATE (digest, used_at, state, attempt_count, next_attempt_at,"
        " last_error, sent_at, expires_at), DELETE"
    ),
    "login": (
        "SELECT, INSERT, UPDATE (email, name, language, is_administrator, password_hash,"
        " disabled_at)"
    ),
    "login_attempt": "SELECT, INSERT, UPDATE (succeeded), DELETE",
    "manager": "SELECT, INSERT, UPDATE (name), DELETE",
    "session": "SELECT, INSERT, UPDATE (last_seen_at), DELETE",
    # What runs and what comes in, to be looked at.
    "key_use": "SELECT, INSERT, UPDATE (used_at), DELETE",
    "service_copy": "SELECT, INSERT, UPDATE (seen_at, jobs), DELETE",
    "source": "SELECT, INSERT, UPDATE, DELETE",
    # The set of samples, and what is computed from it.
    "batch": "SELECT, INSERT, DELETE",
    "charge": "SELECT, INSERT, UPDATE",
    "daily_usage": "SELECT, INSERT, DELETE",
    "excluded_sample": "SELECT, INSERT, UPDATE, DELETE",
    "expiry": "SELECT, INSERT, UPDATE",
    "forecast": "SELECT, INSERT, UPDATE, DELETE",
    "host_usage": "SELECT, INSERT, DELETE",
    "pending_grant": "SELECT, INSERT, DELETE",
    "project_figure": "SELECT, INSERT, UPDATE",
    "sample": READ,
    "sample_block": "SELECT, INSERT, UPDATE, DELETE",
    "sample_floor": "SELECT, INSERT, UPDATE, DELETE",
    "summed_day": "SELECT, INSERT, UPDATE",
    "usage": "SELECT, INSERT, UPDATE, DELETE",
    "whereabouts": "SELECT, INSERT, UPDATE (host_id, state), DELETE",
}
# These work with the owner's rights, and check themselves what they may drop.
FUNCTIONS: tuple[LiteralString, ...] = (
    "drop_samples(timestamptz)",
    "drop_usage(timestamptz)",
    "forget_in_audit(text)",
)
# Triggers call these with the owner's rights; nobody else may.
TRIGGER_FUNCTIONS: tuple[LiteralString, ...] = ("note_change()", "roll_up_usage()")
# A trigger of these refuses every change, whoever tries.
GUARDED = ("entry", "seal", "seal_head")
# Copies that migrate at once grant one after the other; any constant will do.
ADVISORY_LOCK = 0x05C7ED18


def current_role(conn: Connection) -> str:
    """Tell as whom the server has let us in."""
    row = conn.execute("SELECT current_user::text").fetchone()
    assert row is not None  # noqa: S101 - it selects from nothing, so there is one row
    return str(row[0])


def grant_rights(conn: Connection, service_role: str) -> None:
    """Give the service's role exactly its rights, as the owner; all of it or nothing.

    What it had before is taken away, so that a right that is struck from the list is gone.
    Chunks of hypertables follow: TimescaleDB grants and revokes there too. The statements are
    put together here, since a GRANT takes no arguments; only names come from outside.
    """
    from psycopg import sql  # the service itself needs no psycopg

    role = sql.Identifier(service_role)
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        conn.execute(sql.SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC, {}").format(role))
        conn.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        for table, rights in RIGHTS.items():
            name = sql.Identifier(table)
            conn.execute(sql.SQL("REVOKE ALL ON {} FROM PUBLIC, {}").format(name, role))
            grant = sql.SQL("GRANT {} ON {} TO {}")
            conn.execute(grant.format(sql.SQL(rights), name, role))
        for function in FUNCTIONS:
            signature = sql.SQL(function)
            revoke = sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC, {}")
            conn.execute(revoke.format(signature, role))
            conn.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(signature, role))
        for function in TRIGGER_FUNCTIONS:
            revoke = sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC, {}")
            conn.execute(revoke.format(sql.SQL(function), role))
