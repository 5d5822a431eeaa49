"""Figures to sort projects by, what stands in accounts besides usage, what is not booked yet.

Runs before the code that needs it; what 0008's code does still works.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Derived from accounts by a job, and only for sorting and counting: what is shown is computed.
# The level says how little is left: less than half of the grants that are valid, a fifth, nothing.
FIGURES = """
CREATE TABLE project_figure (
    project_id  bigint PRIMARY KEY REFERENCES project,
    balance     numeric(30, 6) NOT NULL,
    granted_now numeric(30, 6) NOT NULL,
    used        numeric(30, 6) NOT NULL,
    level       smallint NOT NULL GENERATED ALWAYS AS (
        CASE WHEN balance < 0 OR (granted_now > 0 AND balance <= 0) THEN 3
             WHEN balance < granted_now * 0.2 THEN 2
             WHEN balance < granted_now * 0.5 THEN 1 ELSE 0 END) STORED
);
"""

# Of years of an account, the few lines that are no first booking of usage.
LINES = "CREATE INDEX entry_told ON entry (project_id, hour) WHERE kind <> 'usage';"

# What is not booked yet is counted with its age from this index alone: no planner knows that it is
# little, so that it would read all charges otherwise.
TALLY = """
DROP INDEX charge_tally;
CREATE INDEX charge_tally ON charge (project_id, hour) INCLUDE (charged, booked, differs_since)
    WHERE charged <> booked;
"""


def upgrade() -> None:
    """Create the table, which its job fills, and the indexes."""
    for statements in (FIGURES, LINES, TALLY):
        op.execute(statements)


def downgrade() -> None:
    """Refuse: a restored backup is the way back."""
    message = "there is no way back but a restored backup"
    raise RuntimeError(message)
