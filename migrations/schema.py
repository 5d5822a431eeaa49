"""The schema as it is declared: every table, index and constraint that the migrations make.

The service never reads this; `tests/migration/` compares it with what `upgrade head` leaves in a
database, so that whoever writes a migration says here what it leads to. What SQLAlchemy cannot
say stands beside the tables: hypertables, triggers, functions, storage of columns.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from migrations import schema_accounts as _accounts  # noqa: F401 - declares its tables
from migrations import schema_figures as _figures  # noqa: F401 - declares its table
from migrations import schema_sources as _sources  # noqa: F401 - declares its tables
from migrations.columns import (
    CREDITS,
    MOMENT,
    created_at,
    id_column,
    metadata,
    needed,
    of_project,
    whole,
)
from migrations.schema_decisions import TRIGGERS as TRIGGERS_OF_DECISIONS
from migrations.schema_people import TRIGGERS as TRIGGERS_OF_PEOPLE
from migrations.schema_places import TRIGGERS as TRIGGERS_OF_PLACES

__all__ = ["EXTERNAL_STORAGE", "HYPERTABLES", "TRIGGERS", "VIEWS", "metadata"]

# Table: the column that its chunks are cut by, and how much time one chunk holds.
HYPERTABLES = {"sample_block": ("first_at", "1 day"), "usage": ("hour", "7 days")}
# What only shows what other tables hold.
VIEWS = {"sample"}
# Table and name: what it reacts to, and the function it calls.
TRIGGERS = {
    ("entry", "entry_is_append_only"): (
        "BEFORE DELETE OR UPDATE OR TRUNCATE ON public.entry FOR EACH STATEMENT",
        "refuse_change()",
    ),
    ("entry", "entry_is_rolled_up"): (
        "AFTER INSERT ON public.entry REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        "roll_up_usage()",
    ),
    **TRIGGERS_OF_DECISIONS,
    **TRIGGERS_OF_PEOPLE,
    **TRIGGERS_OF_PLACES,
}
# Columns whose large values are kept uncompressed, since they are read once.
EXTERNAL_STORAGE = {("batch", "columns")}

Table(
    "meter",
    metadata,
    id_column(Integer),
    Column("name", Text, nullable=False, unique=True),
    needed("metric", Text()),
    needed("description", Text()),
    created_at(),
    Column("host_label", Text),
    Column("region_label", Text),
    Column("provider_label", Text),
    Column("state_label", Text),
)
Table(
    "meter_version",
    metadata,
    id_column(Integer),
    needed("meter_id", Integer(), ForeignKey("meter.id")),
    needed("valid_from", MOMENT),
    needed("definition", JSONB()),
    created_at(),
    Column("author", Text, nullable=False, server_default="meter file"),
    Column("reason", Text, nullable=False, server_default=""),
    UniqueConstraint("meter_id", "valid_from"),
    whole("hour", "valid_from"),
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
    id_column(),
    needed("meter_id", Integer(), ForeignKey("meter.id")),
    Column("flavor_id", Integer, ForeignKey("flavor.id")),
    needed("valid_from", MOMENT),
    Column("credits_per_unit", Numeric(30, 12)),
    needed("author", Text()),
    created_at(),
    whole("hour", "valid_from"),
    CheckConstraint("credits_per_unit >= 0"),
    Index("price_meter_flavor", "meter_id", "flavor_id", "valid_from"),
)
Table(
    "project",
    metadata,
    id_column(),
    Column("key", LargeBinary, nullable=False, unique=True),
    needed("site", Text()),
    needed("external_id", Text()),
    needed("domain", Text()),
    needed("name", Text()),
    created_at(),
    Column("named_at", MOMENT),
    Index("project_name", "name"),
    Index("project_external_id", "external_id"),
)
Table(
    "project_owner",
    metadata,
    of_project(primary_key=True),
    Column("email", Text, primary_key=True),
    Column("name", Text, nullable=False, server_default=""),
    created_at(),
    Column("role", Text, nullable=False, server_default="owner"),
    Column("language", Text, nullable=False, server_default=""),
    Column("wants", ARRAY(Text)),
    Column("digest", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("role IN ('owner', 'member')"),
    Index("project_owner_email", text('lower(email COLLATE "C")')),
)
Table(
    "whitelist",
    metadata,
    id_column(),
    needed("valid_from", MOMENT),
    Column("projects", ARRAY(Text)),
    created_at(),
    whole("hour", "valid_from"),
)
Table(
    "series",
    metadata,
    id_column(),
    needed("meter_id", Integer(), ForeignKey("meter.id")),
    of_project(),
    needed("resource", Text()),
    needed("identity", JSONB()),
    needed("key", LargeBinary()),
    created_at(),
    UniqueConstraint("meter_id", "key"),
    Index("series_project", "project_id", "meter_id"),
)
Table(
    "label_set",
    metadata,
    id_column(),
    needed("meter_version_id", Integer(), ForeignKey("meter_version.id")),
    needed("series_id", BigInteger(), ForeignKey("series.id")),
    needed("flavor_id", Integer(), ForeignKey("flavor.id")),
    needed("fits", Boolean()),
    needed("project_name", Text()),
    needed("labels", JSONB()),
    needed("key", LargeBinary()),
    created_at(),
    UniqueConstraint("meter_version_id", "key"),
    Index("label_set_series", "series_id"),
)
Table(
    "batch",
    metadata,
    id_column(),
    Column("received_at", MOMENT, nullable=False, server_default=text("now()")),
    needed("sample_count", Integer()),
    needed("columns", LargeBinary()),
    CheckConstraint("sample_count > 0"),
)
Table(
    "sample_block",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("first_at", MOMENT, primary_key=True),
    needed("last_at", MOMENT),
    needed("label_set_id", BigInteger()),
    Column("offsets_ms", ARRAY(Integer), nullable=False),
    Column("values", ARRAY(Double), nullable=False),
    Column("label_set_ids", ARRAY(BigInteger)),
    CheckConstraint("cardinality(offsets_ms) BETWEEN 1 AND 90"),
    CheckConstraint('cardinality(offsets_ms) = cardinality("values")'),
    CheckConstraint("cardinality(offsets_ms) = cardinality(label_set_ids)"),
)
Table(
    "usage",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hour", MOMENT, primary_key=True),
    Column("flavor_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    needed("quantity", Numeric(60, 0)),
    Column("credits", CREDITS),
    Column(
        "open_kind",
        SmallInteger,
        Computed(
            # As PostgreSQL writes it down.
            "CASE WHEN (credits IS NULL) THEN kind ELSE NULL::smallint END",
            persisted=True,
        ),
    ),
    CheckConstraint("kind IN (0, 1, 2)"),
    Index("usage_hour", "hour", "series_id"),
    Index("usage_open", "series_id", "hour", postgresql_where=text("open_kind IS NOT NULL")),
    Index("usage_unsettled", "series_id", "hour", postgresql_where=text("open_kind > 0")),
    Index("usage_unpriced", "hour", postgresql_where=text("open_kind = 0")),
)
Table(
    "rating_state",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    Column("writer", Uuid),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    needed("closed_until", MOMENT),
    CheckConstraint("is_only"),
    whole("hour", "closed_until"),
)
Table(
    "charge",
    metadata,
    of_project(primary_key=True),
    Column("hour", MOMENT, primary_key=True),
    Column("meter_id", Integer, ForeignKey("meter.id"), primary_key=True, autoincrement=False),
    Column("flavor_id", Integer, ForeignKey("flavor.id"), primary_key=True, autoincrement=False),
    Column("charged", CREDITS, nullable=False, server_default=text("0")),
    Column("booked", CREDITS, nullable=False, server_default=text("0")),
    needed("differs_since", MOMENT),
    needed("changed_at", MOMENT),
    Column("entry_id", BigInteger),
    Column("correction_count", Integer, nullable=False, server_default=text("0")),
    Index(
        "charge_tally",
        "project_id",
        "hour",
        postgresql_include=["charged", "booked", "differs_since"],
        postgresql_where=text("charged <> booked"),
    ),
)
Table(
    "entry",
    metadata,
    id_column(),
    of_project(),
    needed("sequence", BigInteger()),
    needed("kind", Text()),
    needed("amount", CREDITS),
    needed("balance", CREDITS),
    Column("meter_id", Integer, ForeignKey("meter.id")),
    Column("flavor_id", Integer, ForeignKey("flavor.id")),
    needed("hour", MOMENT),
    Column("corrects", BigInteger, ForeignKey("entry.id")),
    Column("grant_id", BigInteger, ForeignKey("project_grant.id")),
    needed("reason", Text()),
    needed("author", Text()),
    Column("entry_key", Text, nullable=False, unique=True),
    needed("booked_at", MOMENT),
    needed("previous_hash", LargeBinary()),
    needed("hash", LargeBinary()),
    UniqueConstraint("project_id", "sequence"),
    CheckConstraint("sequence > 0"),
    CheckConstraint(
        "kind IN ('opening', 'grant', 'usage', 'correction', 'adjustment', 'transfer', 'expiry')"
    ),
    CheckConstraint("amount <> 0"),
    whole("hour", "hour"),
    CheckConstraint(
        "CASE kind WHEN 'usage' THEN meter_id IS NOT NULL AND flavor_id IS NOT NULL"
        " WHEN 'correction' THEN (meter_id IS NOT NULL) = (flavor_id IS NOT NULL)"
        " AND (meter_id IS NULL) = (grant_id IS NOT NULL)"
        " ELSE flavor_id IS NULL END"
    ),
    CheckConstraint("(kind = 'correction') = (corrects IS NOT NULL)"),
    Index("entry_project_hour", "project_id", "hour"),
    Index("entry_credited", "project_id", "hour", postgresql_where=text("meter_id IS NULL")),
    Index("entry_told", "project_id", "hour", postgresql_where=text("kind <> 'usage'")),
    Index("entry_opening", "project_id", postgresql_where=text("kind = 'opening'")),
    Index("entry_grant", "grant_id", postgresql_where=text("grant_id IS NOT NULL")),
)
Table(
    "api_key",
    metadata,
    id_column(),
    needed("name", Text()),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("projects", ARRAY(Text)),
    Column("sites", ARRAY(Text)),
    Column("meters", ARRAY(Text)),
    created_at(),
    Column("revoked_at", MOMENT),
)
