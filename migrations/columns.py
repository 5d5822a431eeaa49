"""Columns that many tables have, and the metadata that all tables belong to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    MetaData,
    Numeric,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()

CREDITS = Numeric(30, 6)
PERCENT = Numeric(9, 3)
MOMENT = TIMESTAMP(timezone=True)
EPOCH = text("'epoch'")


def id_column(kind: type[TypeEngine[int]] = BigInteger) -> Column[int]:
    """Give the key that the database counts up."""
    return Column("id", kind, Identity(always=True), primary_key=True)


def needed(name: str, kind: TypeEngine[Any], *more: ForeignKey) -> Column[Any]:
    """Give a column that is never null."""
    return Column(name, kind, *more, nullable=False)


def created_at() -> Column[Any]:
    """Give the moment at which the row was stored."""
    return Column("created_at", MOMENT, nullable=False, server_default=text("now()"))


def whole(unit: str, column: str) -> CheckConstraint:
    """Allow only moments at which an hour or a day begins."""
    return CheckConstraint(f"date_trunc('{unit}', {column}, 'UTC') = {column}")


def of_project(*, primary_key: bool = False) -> Column[int]:
    """Give the project that the row belongs to."""
    return Column(
        "project_id",
        BigInteger,
        ForeignKey("project.id"),
        nullable=False,
        primary_key=primary_key,
        autoincrement=False,
    )
