"""Usage that is written again and again within its hour, without a word to its indexes.

Runs before the code that needs it; what 0010's code does still works, only slower.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# A row whose indexed columns stay as they are is written beside its old self, if there is room,
# and no index hears of it. `credits` changes each time, so the indexes of what waits for a price
# or a verdict must not ask for it: a column that nearly always stays as it is tells them instead.
# Without statistics the planner may look for single rows by the hour: with the series it finds one.
IN_PLACE = """
ALTER TABLE usage SET (fillfactor = 70);
ALTER TABLE usage ADD COLUMN open_kind smallint
    GENERATED ALWAYS AS (CASE WHEN credits IS NULL THEN kind END) STORED;
DROP INDEX usage_open;
DROP INDEX usage_unsettled;
DROP INDEX usage_unpriced;
DROP INDEX usage_hour;
CREATE INDEX usage_open ON usage (series_id, hour) WHERE open_kind IS NOT NULL;
CREATE INDEX usage_unsettled ON usage (series_id, hour) WHERE open_kind > 0;
CREATE INDEX usage_unpriced ON usage (hour) WHERE open_kind = 0;
CREATE INDEX usage_hour ON usage (hour, series_id);
"""


def upgrade() -> None:
    """Rewrite `usage` once with the column, and make its indexes anew."""
    op.execute(IN_PLACE)


def downgrade() -> None:
    """Refuse: a restored backup is the way back."""
    message = "there is no way back but a restored backup"
    raise RuntimeError(message)
