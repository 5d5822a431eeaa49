"""The schema as it is declared: every table, index and constraint that the migrations make.

The service never reads this; `tests/migration/` compares it with what `upgrade head` leaves in a
database, so that whoever writes a migration says here what it leads to. What SQLAlchemy cannot
say stands beside the tables: hypertables, triggers, storage of columns.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

metadata = MetaData()

# Table: the column that its chunks are cut by, and how much time one chunk holds.
HYPERTABLES = {"sample": ("measured_at", "1 day"), "usage": ("hour", "7 days")}
# Table and name: what it reacts to, and the function it calls.
TRIGGERS = {
    ("entry", "entry_is_append_only"): (
        "BEFORE DELETE OR UPDATE OR TRUNCATE ON public.entry FOR EACH STATEMENT",
        "refuse_change()",
    )
}
# Columns whose large values are kept uncompressed, since they are read once.
EXTERNAL_STORAGE = {("batch", "columns")}

CREDITS = Numeric(30, 6)
PERCENT = Numeric(9, 3)
MOMENT = TIMESTAMP(timezone=True)


def _id(kind: type[TypeEngine[int]] = BigInteger) -> Column[int]:
    return Column("id", kind, Identity(always=True), primary_key=True)


def _needed(name: str, kind: TypeEngine[Any], *more: ForeignKey) -> Column[Any]:
    return Column(name, kind, *more, nullable=False)


def _created_at() -> Column[Any]:
    return Column("created_at", MOMENT, nullable=False, server_default=text("now()"))


def _full_hour(column: str) -> CheckConstraint:
    return CheckConstraint(f"date_trunc('hour', {column}, 'UTC') = {column}")


def _of_project(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "project_id",
        BigInteger,
        ForeignKey("project.id"),
        nullable=False,
        primary_key=primary_key,
        autoincrement=False,
    )


Table(
    "meter",
    metadata,
    _id(Integer),
    Column("name", Text, nullable=False, unique=True),
    _needed("metric", Text()),
    _needed("description", Text()),
    _created_at(),
)
Table(
    "meter_version",
    metadata,
    _id(Integer),
    _needed("meter_id", Integer(), ForeignKey("meter.id")),
    _needed("valid_from", MOMENT),
    _needed("definition", JSONB()),
    _created_at(),
    UniqueConstraint("meter_id", "valid_from"),
    _full_hour("valid_from"),
)
Table(
    "flavor",
    metadata,
    Column("id", Integer, Identity(always=False, start=1), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)
Table(
    "price",
    metadata,
    _id(),
    _needed("meter_id", Integer(), ForeignKey("meter.id")),
    Column("flavor_id", Integer, ForeignKey("flavor.id")),
    _needed("valid_from", MOMENT),
    Column("credits_per_unit", Numeric(30, 12)),
    _needed("author", Text()),
    _created_at(),
    _full_hour("valid_from"),
    CheckConstraint("credits_per_unit >= 0"),
    Index("price_meter_flavor", "meter_id", "flavor_id", "valid_from"),
)
Table(
    "project",
    metadata,
    _id(),
    Column("key", LargeBinary, nullable=False, unique=True),
    _needed("site", Text()),
    _needed("external_id", Text()),
    _needed("domain", Text()),
    _needed("name", Text()),
    _created_at(),
    Column("named_at", MOMENT),
    Index("project_name", "name"),
    Index("project_external_id", "external_id"),
)
Table(
    "project_owner",
    metadata,
    _of_project(primary_key=True),
    Column("email", Text, primary_key=True),
    Column("name", Text, nullable=False, server_default=""),
    _created_at(),
)
Table(
    "whitelist",
    metadata,
    _id(),
    _needed("valid_from", MOMENT),
    Column("projects", ARRAY(Text)),
    _created_at(),
    _full_hour("valid_from"),
)
Table(
    "series",
    metadata,
    _id(),
    _needed("meter_id", Integer(), ForeignKey("meter.id")),
    _of_project(),
    _needed("resource", Text()),
    _needed("identity", JSONB()),
    _needed("key", LargeBinary()),
    _created_at(),
    UniqueConstraint("meter_id", "key"),
    Index("series_project", "project_id", "meter_id"),
)
Table(
    "label_set",
    metadata,
    _id(),
    _needed("meter_version_id", Integer(), ForeignKey("meter_version.id")),
    _needed("series_id", BigInteger(), ForeignKey("series.id")),
    _needed("flavor_id", Integer(), ForeignKey("flavor.id")),
    _needed("fits", Boolean()),
    _needed("project_name", Text()),
    _needed("labels", JSONB()),
    _needed("key", LargeBinary()),
    _created_at(),
    UniqueConstraint("meter_version_id", "key"),
    Index("label_set_series", "series_id"),
)
Table(
    "batch",
    metadata,
    _id(),
    Column("received_at", MOMENT, nullable=False, server_default=text("now()")),
    _needed("sample_count", Integer()),
    _needed("columns", LargeBinary()),
    CheckConstraint("sample_count > 0"),
)
Table(
    "sample",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("measured_at", MOMENT, primary_key=True),
    _needed("value", Double()),
    _needed("label_set_id", BigInteger()),
)
Table(
    "usage",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hour", MOMENT, primary_key=True),
    Column("flavor_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    _needed("quantity", Numeric(60, 0)),
    Column("credits", CREDITS),
    CheckConstraint("kind IN (0, 1, 2)"),
    Index("usage_hour", "hour"),
)
Table(
    "rating_state",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    Column("writer", Uuid),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    _needed("closed_until", MOMENT),
    CheckConstraint("is_only"),
    _full_hour("closed_until"),
)
Table(
    "charge",
    metadata,
    _of_project(primary_key=True),
    Column("hour", MOMENT, primary_key=True),
    Column("meter_id", Integer, ForeignKey("meter.id"), primary_key=True, autoincrement=False),
    Column("flavor_id", Integer, ForeignKey("flavor.id"), primary_key=True, autoincrement=False),
    Column("charged", CREDITS, nullable=False, server_default=text("0")),
    Column("booked", CREDITS, nullable=False, server_default=text("0")),
    _needed("differs_since", MOMENT),
    _needed("changed_at", MOMENT),
    Column("entry_id", BigInteger),
    Column("correction_count", Integer, nullable=False, server_default=text("0")),
    Index(
        "charge_tally",
        "project_id",
        "hour",
        postgresql_include=["charged", "booked"],
        postgresql_where=text("charged <> booked"),
    ),
)
Table(
    "project_grant",
    metadata,
    _id(),
    _of_project(),
    _needed("amount", CREDITS),
    _needed("reason", Text()),
    _needed("author", Text()),
    Column("idempotency_key", Text, nullable=False, unique=True),
    _created_at(),
    CheckConstraint("amount > 0"),
    Index("project_grant_project", "project_id"),
)
Table(
    "entry",
    metadata,
    _id(),
    _of_project(),
    _needed("sequence", BigInteger()),
    _needed("kind", Text()),
    _needed("amount", CREDITS),
    _needed("balance", CREDITS),
    Column("meter_id", Integer, ForeignKey("meter.id")),
    Column("flavor_id", Integer, ForeignKey("flavor.id")),
    _needed("hour", MOMENT),
    Column("corrects", BigInteger, ForeignKey("entry.id")),
    Column("grant_id", BigInteger, ForeignKey("project_grant.id")),
    _needed("reason", Text()),
    _needed("author", Text()),
    Column("entry_key", Text, nullable=False, unique=True),
    _needed("booked_at", MOMENT),
    _needed("previous_hash", LargeBinary()),
    _needed("hash", LargeBinary()),
    UniqueConstraint("project_id", "sequence"),
    CheckConstraint("sequence > 0"),
    CheckConstraint(
        "kind IN ('opening', 'grant', 'usage', 'correction', 'adjustment', 'transfer', 'expiry')"
    ),
    CheckConstraint("amount <> 0"),
    _full_hour("hour"),
    CheckConstraint(
        "(kind IN ('usage', 'correction')) = (meter_id IS NOT NULL AND flavor_id IS NOT NULL)"
    ),
    CheckConstraint("(kind = 'correction') = (corrects IS NOT NULL)"),
    Index("entry_project_hour", "project_id", "hour"),
    Index(
        "entry_credited",
        "project_id",
        postgresql_where=text("kind NOT IN ('usage', 'correction')"),
    ),
)
Table(
    "threshold_state",
    metadata,
    _of_project(primary_key=True),
    Column("lowest_percent", PERCENT),
)
Table(
    "notice",
    metadata,
    _id(),
    _of_project(),
    _needed("percent", PERCENT),
    _needed("balance", CREDITS),
    _needed("granted", CREDITS),
    _needed("created_at", MOMENT),
    Index("notice_project", "project_id", "created_at"),
)
Table(
    "mail",
    metadata,
    _id(),
    _needed("notice_id", BigInteger(), ForeignKey("notice.id")),
    _needed("recipient", Text()),
    Column("recipient_name", Text, nullable=False, server_default=""),
    Column("message_id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    _needed("next_attempt_at", MOMENT),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("sent_at", MOMENT),
    UniqueConstraint("notice_id", "recipient"),
    CheckConstraint("state IN ('pending', 'sent', 'refused')"),
    Index("mail_pending", "next_attempt_at", postgresql_where=text("state = 'pending'")),
)
Table(
    "api_key",
    metadata,
    _id(),
    _needed("name", Text()),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("projects", ARRAY(Text)),
    Column("sites", ARRAY(Text)),
    Column("meters", ARRAY(Text)),
    _created_at(),
    Column("revoked_at", MOMENT),
)
