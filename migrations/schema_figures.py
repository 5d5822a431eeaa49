"""The table of figures by which projects are sorted."""

from __future__ import annotations

from sqlalchemy import Column, Computed, SmallInteger, Table

from migrations.columns import CREDITS, metadata, needed, of_project

Table(
    "project_figure",
    metadata,
    of_project(primary_key=True),
    needed("balance", CREDITS),
    needed("granted_now", CREDITS),
    needed("used", CREDITS),
    Column(
        "level",
        SmallInteger,
        Computed(
            """
            CASE WHEN balance < 0 OR (granted_now > 0 AND balance <= 0) THEN 3
                 WHEN balance < granted_now * 0.2 THEN 2
                 WHEN balance < granted_now * 0.5 THEN 1 ELSE 0 END
            """,
            persisted=True,
        ),
        nullable=False,
    ),
)
