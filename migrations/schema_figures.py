"""The table of figures by which projects are sorted."""

from __future__ import annotations

from sqlalchemy import Table

from migrations.columns import CREDITS, metadata, needed, of_project

Table(
    "project_figure",
    metadata,
    of_project(primary_key=True),
    needed("balance", CREDITS),
    needed("granted_now", CREDITS),
    needed("used", CREDITS),
)
