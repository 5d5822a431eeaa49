"""The tables of people who log in, of those who manage organisations, and the audit log."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from migrations.columns import MOMENT, created_at, id_column, metadata, needed

# Decisions that are only ever inserted, and what is also changed and deleted.
_INSERTED = (
    "allowance",
    "allowance_end",
    "budget",
    "budget_void",
    "closing",
    "exclusion",
    "exclusion_lift",
    "grant_void",
    "membership",
    "meter_version",
    "organisation",
    "organisation_place",
    "price",
    "settlement",
    "threshold_rule",
    "transfer",
    "whitelist",
)
_CHANGED = ("api_key", "login", "manager", "project_owner")
TRIGGERS = {
    **{
        (table, f"{table}_is_audited"): (
            f"AFTER INSERT ON public.{table} FOR EACH ROW",
            "note_change()",
        )
        for table in _INSERTED
    },
    **{
        (table, f"{table}_is_audited"): (
            f"AFTER INSERT OR DELETE OR UPDATE ON public.{table} FOR EACH ROW",
            "note_change()",
        )
        for table in _CHANGED
    },
    ("project_grant", "project_grant_is_audited"): (
        "AFTER INSERT ON public.project_grant FOR EACH ROW WHEN ((new.allowance_id IS NULL))",
        "note_change()",
    ),
}


def _seen_at(name: str) -> Column[object]:
    return Column(name, MOMENT, nullable=False, server_default=text("now()"))


Table(
    "login",
    metadata,
    id_column(),
    needed("email", Text()),
    Column("name", Text, nullable=False, server_default=""),
    Column("language", Text, nullable=False, server_default=""),
    Column("is_administrator", Boolean, nullable=False, server_default=text("false")),
    Column("password_hash", Text),
    Column("disabled_at", MOMENT),
    created_at(),
    Index("login_email", text('lower(email COLLATE "C")'), unique=True),
)
Table(
    "session",
    metadata,
    id_column(),
    needed("login_id", BigInteger(), ForeignKey("login.id")),
    Column("digest", LargeBinary, nullable=False, unique=True),
    created_at(),
    _seen_at("last_seen_at"),
    needed("expires_at", MOMENT),
    Column("address", Text, nullable=False, server_default=""),
    Column("agent", Text, nullable=False, server_default=""),
    Index("session_login", "login_id"),
)
Table(
    "invitation",
    metadata,
    id_column(),
    needed("login_id", BigInteger(), ForeignKey("login.id")),
    needed("purpose", Text()),
    needed("author", Text()),
    Column("digest", LargeBinary, unique=True),
    created_at(),
    needed("expires_at", MOMENT),
    Column("used_at", MOMENT),
    needed("state", Text()),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    _seen_at("next_attempt_at"),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("sent_at", MOMENT),
    CheckConstraint("purpose IN ('invitation', 'reset')"),
    CheckConstraint("state IN ('shown', 'pending', 'sent', 'refused')"),
    Index("invitation_login", "login_id"),
    Index("invitation_pending", "next_attempt_at", postgresql_where=text("state = 'pending'")),
)
Table(
    "login_attempt",
    metadata,
    id_column(),
    _seen_at("made_at"),
    needed("kind", Text()),
    needed("address", Text()),
    needed("email_digest", LargeBinary()),
    Column("succeeded", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("kind IN ('password', 'reset', 'link')"),
    Index("login_attempt_address", "address", "made_at"),
    Index("login_attempt_email", "email_digest", "made_at"),
    Index("login_attempt_made_at", "made_at"),
)
Table(
    "manager",
    metadata,
    id_column(),
    needed("organisation_id", BigInteger(), ForeignKey("organisation.id")),
    needed("email", Text()),
    Column("name", Text, nullable=False, server_default=""),
    needed("author", Text()),
    created_at(),
    Index("manager_of", "organisation_id", text('lower(email COLLATE "C")'), unique=True),
    Index("manager_email", text('lower(email COLLATE "C")')),
)
Table(
    "audit",
    metadata,
    id_column(),
    _seen_at("made_at"),
    needed("actor", Text()),
    needed("via", Text()),
    Column("login_id", BigInteger, ForeignKey("login.id")),
    needed("subject", Text()),
    needed("action", Text()),
    Column("project_id", BigInteger),
    Column("organisation_id", BigInteger),
    needed("details", JSONB()),
    CheckConstraint("via IN ('page', 'api', 'command', 'service')"),
    CheckConstraint("action IN ('insert', 'update', 'delete')"),
    Index("audit_project", "project_id", "id", postgresql_where=text("project_id IS NOT NULL")),
    Index("audit_subject", "subject", "id"),
)
