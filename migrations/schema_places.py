"""The tables of where resources run, and of what flavors are made of."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from migrations.columns import (
    CREDITS,
    MOMENT,
    created_at,
    id_column,
    metadata,
    needed,
    whole,
)

TRIGGERS = {
    ("flavor_spec", "flavor_spec_is_audited"): (
        "AFTER INSERT ON public.flavor_spec FOR EACH ROW",
        "note_change()",
    ),
}
_SIZE = Numeric(18, 6)


def _of(table: str, *, primary_key: bool = False) -> Column[int]:
    """Give the host, series, meter or flavor that the row is about."""
    kind = BigInteger if table == "series" else Integer
    return Column(
        f"{table}_id",
        kind,
        ForeignKey(f"{table}.id"),
        nullable=False,
        primary_key=primary_key,
        autoincrement=False,
    )


Table(
    "flavor_spec",
    metadata,
    id_column(),
    _of("flavor"),
    Column("vcpus", _SIZE),
    Column("ram_gib", _SIZE),
    Column("disk_gib", _SIZE),
    needed("author", Text()),
    created_at(),
    CheckConstraint("flavor_id <> 0"),
    CheckConstraint("vcpus >= 0"),
    CheckConstraint("ram_gib >= 0"),
    CheckConstraint("disk_gib >= 0"),
    Index("flavor_spec_flavor", "flavor_id", "id"),
)
Table(
    "host",
    metadata,
    Column("id", Integer, Identity(always=False, start=1), primary_key=True),
    needed("name", Text()),
    needed("region", Text()),
    needed("provider", Text()),
    Column("key", LargeBinary, nullable=False, unique=True),
)
Table(
    "whereabouts",
    metadata,
    _of("series", primary_key=True),
    Column("hour", MOMENT, primary_key=True),
    _of("host"),
    needed("state", Text()),
    whole("hour", "hour"),
    Index("whereabouts_host", "host_id", "series_id"),
    Index("whereabouts_hour", "hour"),
)
Table(
    "daily_host",
    metadata,
    Column("day", MOMENT, primary_key=True),
    _of("series", primary_key=True),
    _of("flavor", primary_key=True),
    _of("host", primary_key=True),
    needed("quantity", Numeric(60, 0)),
    needed("credits", CREDITS),
    whole("day", "day"),
)
Table(
    "host_usage",
    metadata,
    Column("length", Text, primary_key=True),
    Column("start", MOMENT, primary_key=True),
    _of("host", primary_key=True),
    _of("meter", primary_key=True),
    _of("flavor", primary_key=True),
    needed("quantity", Numeric(60, 0)),
    needed("credits", CREDITS),
    needed("resource_count", BigInteger()),
    CheckConstraint("length IN ('day', 'third', 'month')"),
    CheckConstraint(
        "date_trunc(CASE length WHEN 'third' THEN 'day' ELSE length END, start, 'UTC') = start"
    ),
    Index("host_usage_host", "host_id", "length", "start"),
)
Table(
    "daily_usage",
    metadata,
    _of("series", primary_key=True),
    Column("day", MOMENT, primary_key=True),
    _of("flavor", primary_key=True),
    _of("host", primary_key=True),
    needed("quantity", Numeric(60, 0)),
    needed("unpriced", Numeric(60, 0)),
    needed("free", Numeric(60, 0)),
    needed("undecided", Numeric(60, 0)),
    needed("credits", CREDITS),
    PrimaryKeyConstraint(
        "series_id",
        "day",
        "flavor_id",
        "host_id",
        postgresql_include=["quantity", "unpriced", "free", "undecided", "credits"],
    ),
    whole("day", "day"),
    Index("daily_usage_day", "day"),
    Index("daily_usage_host", "host_id", "day", postgresql_where=text("host_id <> 0")),
)
Table(
    "summed_day",
    metadata,
    Column("day", MOMENT, primary_key=True),
    needed("changed_count", BigInteger()),
    Column("summed_count", BigInteger, nullable=False, server_default=text("0")),
    Column("summed_at", MOMENT),
    whole("day", "day"),
    Index("summed_day_due", "day", postgresql_where=text("changed_count <> summed_count")),
)
