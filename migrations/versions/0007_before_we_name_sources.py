"""Who sends samples and what of them was refused; when keys were used; which copies run.

Runs before the code that needs it; what 0006's code does still works.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# All of it is for looking at, and may be forgotten: no credits depend on it.
SOURCES = """
CREATE TABLE source (
    key_id           bigint NOT NULL,
    door             text NOT NULL,
    is_mixed         boolean NOT NULL,
    site             text NOT NULL,
    first_push_at    timestamptz NOT NULL,
    last_push_at     timestamptz NOT NULL,
    last_sample_at   timestamptz,
    usual_ms         bigint,
    push_count       bigint NOT NULL,
    accepted_count   bigint NOT NULL,
    set_aside_count  bigint NOT NULL,
    unknown_count    bigint NOT NULL,
    refused          jsonb NOT NULL,
    refused_examples jsonb NOT NULL,
    recent_slot      bigint NOT NULL,
    recent_counts    bigint[] NOT NULL,
    PRIMARY KEY (key_id, door, is_mixed, site),
    CHECK (NOT is_mixed OR site = '')
);
CREATE TABLE key_use (
    key_id  bigint PRIMARY KEY REFERENCES api_key,
    used_at timestamptz NOT NULL
);
CREATE TABLE service_copy (
    id         uuid PRIMARY KEY,
    host       text NOT NULL,
    process_id integer NOT NULL,
    version    text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    jobs       jsonb NOT NULL
);
"""


def upgrade() -> None:
    """Create the tables; all is counted from now on."""
    op.execute(SOURCES)


def downgrade() -> None:
    """Refuse: a restored backup is the way back."""
    message = "there is no way back but a restored backup"
    raise RuntimeError(message)
