"""The tables of what runs and what comes in: sources of samples, use of keys, copies."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from migrations.columns import MOMENT, metadata, needed

Table(
    "source",
    metadata,
    Column("key_id", BigInteger, primary_key=True, autoincrement=False),
    Column("door", Text, primary_key=True),
    Column("is_mixed", Boolean, primary_key=True),
    Column("site", Text, primary_key=True),
    needed("first_push_at", MOMENT),
    needed("last_push_at", MOMENT),
    Column("last_sample_at", MOMENT),
    Column("usual_ms", BigInteger),
    needed("push_count", BigInteger()),
    needed("accepted_count", BigInteger()),
    needed("set_aside_count", BigInteger()),
    needed("unknown_count", BigInteger()),
    needed("refused", JSONB()),
    needed("refused_examples", JSONB()),
    needed("recent_slot", BigInteger()),
    Column("recent_counts", ARRAY(BigInteger), nullable=False),
    CheckConstraint("NOT is_mixed OR site = ''"),
)
Table(
    "key_use",
    metadata,
    Column("key_id", BigInteger, ForeignKey("api_key.id"), primary_key=True, autoincrement=False),
    needed("used_at", MOMENT),
)
Table(
    "service_copy",
    metadata,
    Column("id", Uuid, primary_key=True),
    needed("host", Text()),
    needed("process_id", Integer()),
    needed("version", Text()),
    needed("started_at", MOMENT),
    needed("seen_at", MOMENT),
    needed("jobs", JSONB()),
)
