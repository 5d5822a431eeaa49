"""Indexes of usage that waits for a verdict, or for a price, for lists over all projects.

Runs before the code that needs it; what 0007's code does still works.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Of `usage_open` either may be a small part: where a meter has no price on purpose, or where nobody
# decides.
WAITING = """
CREATE INDEX usage_unsettled ON usage (series_id, hour) WHERE credits IS NULL AND kind <> 0;
CREATE INDEX usage_unpriced ON usage (hour) WHERE credits IS NULL AND kind = 0;
"""


def upgrade() -> None:
    """Add the indexes."""
    op.execute(WAITING)


def downgrade() -> None:
    """Refuse: a restored backup is the way back."""
    message = "there is no way back but a restored backup"
    raise RuntimeError(message)
