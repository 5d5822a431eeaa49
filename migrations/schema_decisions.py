"""The tables of what people decide, of what is kept how long, and of the global chain."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from migrations.columns import (
    CREDITS,
    EPOCH,
    MOMENT,
    created_at,
    id_column,
    metadata,
    needed,
    of_project,
    whole,
)

TRIGGERS = {
    (table, f"{table}_is_append_only"): (
        f"BEFORE DELETE OR UPDATE OR TRUNCATE ON public.{table} FOR EACH STATEMENT",
        "refuse_change()",
    )
    for table in ("seal", "seal_head")
}


def _moment_kept(name: str) -> Column[object]:
    return Column(name, MOMENT, nullable=False, server_default=EPOCH)


Table(
    "exclusion",
    metadata,
    id_column(),
    of_project(),
    Column("meter_id", Integer, ForeignKey("meter.id")),
    Column("series_id", BigInteger, ForeignKey("series.id")),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    needed("reason", Text()),
    needed("author", Text()),
    created_at(),
    CheckConstraint("starts_at < ends_at"),
    Index("exclusion_project", "project_id"),
)
Table(
    "exclusion_lift",
    metadata,
    Column(
        "exclusion_id",
        BigInteger,
        ForeignKey("exclusion.id"),
        primary_key=True,
        autoincrement=False,
    ),
    needed("reason", Text()),
    needed("author", Text()),
    created_at(),
)
Table(
    "excluded_sample",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("measured_at", MOMENT, primary_key=True),
    Column("label_set_id", BigInteger, primary_key=True, autoincrement=False),
    needed("value", Double()),
)
Table(
    "settlement",
    metadata,
    id_column(),
    of_project(),
    Column("meter_id", Integer, ForeignKey("meter.id")),
    Column("series_id", BigInteger, ForeignKey("series.id")),
    needed("kind", SmallInteger()),
    needed("first_hour", MOMENT),
    needed("end_hour", MOMENT),
    needed("verdict", Text()),
    needed("reason", Text()),
    needed("author", Text()),
    created_at(),
    CheckConstraint("kind IN (1, 2)"),
    whole("hour", "first_hour"),
    whole("hour", "end_hour"),
    CheckConstraint("verdict IN ('bill', 'waive', 'reopen')"),
    CheckConstraint("first_hour < end_hour"),
    Index("settlement_project", "project_id"),
)
Table(
    "retention",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    _moment_kept("samples_announced_until"),
    Column("samples_announced_at", MOMENT, nullable=False, server_default=text("now()")),
    _moment_kept("samples_dropped_until"),
    _moment_kept("usage_dropped_until"),
    CheckConstraint("is_only"),
    whole("day", "usage_dropped_until"),
    CheckConstraint("samples_dropped_until <= samples_announced_until"),
    CheckConstraint("usage_dropped_until <= samples_dropped_until"),
)
Table(
    "sample_floor",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("measured_at", MOMENT, primary_key=True),
    needed("value", Double()),
    needed("label_set_id", BigInteger()),
)
Table(
    "daily_charge",
    metadata,
    of_project(primary_key=True),
    Column("day", MOMENT, primary_key=True),
    needed("meter_id", Integer(), ForeignKey("meter.id")),
    Column("flavor_id", Integer, ForeignKey("flavor.id"), primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    needed("quantity", Numeric(60, 0)),
    needed("credits", CREDITS),
    PrimaryKeyConstraint(
        "project_id",
        "day",
        "flavor_id",
        "series_id",
        postgresql_include=["meter_id", "quantity", "credits"],
    ),
    whole("day", "day"),
    Index("daily_charge_day", "day"),
)
Table(
    "seal",
    metadata,
    id_column(),
    needed("sealed_at", MOMENT),
    needed("head_count", Integer()),
    Column("previous_hash", LargeBinary, nullable=False, unique=True),
    needed("hash", LargeBinary()),
    CheckConstraint("head_count > 0"),
)
Table(
    "seal_head",
    metadata,
    Column("seal_id", BigInteger, ForeignKey("seal.id"), primary_key=True, autoincrement=False),
    of_project(primary_key=True),
    needed("sequence", BigInteger()),
    needed("hash", LargeBinary()),
    ForeignKeyConstraint(["project_id", "sequence"], ["entry.project_id", "entry.sequence"]),
    Index("seal_head_project", "project_id", "sequence"),
)
Table(
    "organisation",
    metadata,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    created_at(),
)
Table(
    "membership",
    metadata,
    id_column(),
    of_project(),
    Column("organisation_id", BigInteger, ForeignKey("organisation.id")),
    needed("valid_from", MOMENT),
    needed("author", Text()),
    needed("reason", Text()),
    created_at(),
    whole("hour", "valid_from"),
    Index("membership_project", "project_id", "valid_from"),
    Index("membership_organisation", "organisation_id"),
)
