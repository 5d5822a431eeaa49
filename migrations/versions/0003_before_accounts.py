"""Grants with terms, their expiry, allowances, transfers; thresholds, people, the tree, closing.

Runs before the code that needs it; what 0002's code does still works: what it writes gets the
terms that it means (valid from this hour on, without end).
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A grant that an older service gave, or that stands already, is valid from the hour of its entry.
LOTS = """
CREATE TABLE allowance (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id    bigint NOT NULL REFERENCES project,
    amount        numeric(30, 6) NOT NULL CHECK (amount > 0),
    first_month   timestamptz NOT NULL
                  CHECK (date_trunc('month', first_month, 'UTC') = first_month),
    end_month     timestamptz CHECK (date_trunc('month', end_month, 'UTC') = end_month),
    carries_over  boolean NOT NULL,
    priority      integer NOT NULL,
    reason        text NOT NULL,
    author        text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    granted_until timestamptz NOT NULL
                  CHECK (date_trunc('month', granted_until, 'UTC') = granted_until),
    CHECK (first_month < end_month)
);
CREATE INDEX allowance_project ON allowance (project_id);
CREATE TABLE allowance_end (
    allowance_id bigint PRIMARY KEY REFERENCES allowance,
    end_month    timestamptz NOT NULL
                 CHECK (date_trunc('month', end_month, 'UTC') = end_month),
    reason       text NOT NULL,
    author       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE project_grant
    ADD COLUMN kind text NOT NULL DEFAULT 'grant'
        CHECK (kind IN ('opening', 'grant', 'adjustment', 'transfer')),
    ADD COLUMN valid_from timestamptz NOT NULL DEFAULT date_trunc('hour', now(), 'UTC')
        CHECK (date_trunc('hour', valid_from, 'UTC') = valid_from),
    ADD COLUMN expires_at timestamptz
        CHECK (date_trunc('hour', expires_at, 'UTC') = expires_at),
    ADD COLUMN priority integer NOT NULL DEFAULT 0,
    ADD COLUMN allowance_id bigint REFERENCES allowance,
    ADD COLUMN tops_up bigint REFERENCES project_grant,
    ALTER COLUMN idempotency_key DROP NOT NULL,
    ADD CHECK (valid_from < expires_at),
    ADD UNIQUE (allowance_id, valid_from);
UPDATE project_grant g SET valid_from = e.hour, kind = e.kind
    FROM entry e WHERE e.grant_id = g.id;
CREATE TABLE pending_grant (
    grant_id   bigint PRIMARY KEY REFERENCES project_grant,
    valid_from timestamptz NOT NULL
);
CREATE INDEX pending_grant_valid_from ON pending_grant (valid_from);
CREATE TABLE grant_void (
    grant_id   bigint PRIMARY KEY REFERENCES project_grant,
    reason     text NOT NULL,
    author     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE expiry (
    grant_id         bigint PRIMARY KEY REFERENCES project_grant,
    project_id       bigint NOT NULL REFERENCES project,
    hour             timestamptz NOT NULL CHECK (date_trunc('hour', hour, 'UTC') = hour),
    expired          numeric(30, 6) CHECK (expired >= 0),
    booked           numeric(30, 6) NOT NULL DEFAULT 0,
    differs_since    timestamptz,
    changed_at       timestamptz,
    entry_id         bigint,
    correction_count integer NOT NULL DEFAULT 0
);
CREATE INDEX expiry_project ON expiry (project_id, hour);
CREATE INDEX expiry_due ON expiry (hour) WHERE expired IS NULL;
CREATE INDEX expiry_tally ON expiry (project_id) WHERE expired <> booked;
CREATE TABLE transfer (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    from_project_id bigint NOT NULL REFERENCES project,
    to_project_id   bigint NOT NULL REFERENCES project,
    grant_id        bigint NOT NULL UNIQUE REFERENCES project_grant,
    amount          numeric(30, 6) NOT NULL CHECK (amount > 0),
    reason          text NOT NULL,
    author          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (from_project_id <> to_project_id)
);
CREATE INDEX transfer_from ON transfer (from_project_id);
CREATE INDEX transfer_to ON transfer (to_project_id);
"""

# The content of a key's instruction, in the way of flows/accounts.py; openings have keys of
# their own that nobody repeats.
INSTRUCTIONS = """
CREATE TABLE instruction (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE,
    action          text NOT NULL,
    digest          bytea NOT NULL,
    project_id      bigint NOT NULL REFERENCES project,
    grant_id        bigint REFERENCES project_grant,
    transfer_id     bigint REFERENCES transfer,
    allowance_id    bigint REFERENCES allowance,
    entry_id        bigint REFERENCES entry,
    created_at      timestamptz NOT NULL DEFAULT now()
);
INSERT INTO instruction (idempotency_key, action, digest, project_id, grant_id, entry_id,
                         created_at)
SELECT g.idempotency_key, 'grant',
       sha256(convert_to(concat_ws(chr(31), 'grant', g.project_id, g.amount, g.reason), 'UTF8')),
       g.project_id, g.id, e.id, g.created_at
FROM project_grant g JOIN entry e ON e.grant_id = g.id AND e.kind = 'grant';
"""

# What corrects an expiry names the grant instead of a meter.
ENTRIES = """
ALTER TABLE entry DROP CONSTRAINT entry_check,
    ADD CONSTRAINT entry_check CHECK (
        CASE kind WHEN 'usage' THEN meter_id IS NOT NULL AND flavor_id IS NOT NULL
                  WHEN 'correction' THEN (meter_id IS NOT NULL) = (flavor_id IS NOT NULL)
                                         AND (meter_id IS NULL) = (grant_id IS NOT NULL)
                  ELSE flavor_id IS NULL END);
DROP INDEX entry_credited;
CREATE INDEX entry_credited ON entry (project_id, hour) WHERE meter_id IS NULL;
CREATE INDEX entry_opening ON entry (project_id) WHERE kind = 'opening';
CREATE INDEX entry_grant ON entry (grant_id) WHERE grant_id IS NOT NULL;
"""

THRESHOLDS = """
CREATE TABLE told_line (
    project_id bigint NOT NULL REFERENCES project,
    kind       text NOT NULL CHECK (kind IN ('percent', 'credits', 'days', 'burn')),
    line       numeric(30, 6) NOT NULL,
    told_at    timestamptz NOT NULL,
    rearmed_at timestamptz,
    PRIMARY KEY (project_id, kind, line)
);
INSERT INTO told_line (project_id, kind, line, told_at)
SELECT s.project_id, 'percent', s.lowest_percent,
       coalesce((SELECT max(created_at) FROM notice n WHERE n.project_id = s.project_id), now())
FROM threshold_state s WHERE s.lowest_percent IS NOT NULL;
CREATE TABLE threshold_rule (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id      bigint REFERENCES project,
    organisation_id bigint REFERENCES organisation,
    definition      jsonb,
    reason          text NOT NULL,
    author          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((project_id IS NULL) <> (organisation_id IS NULL))
);
CREATE INDEX threshold_rule_project ON threshold_rule (project_id, id);
CREATE INDEX threshold_rule_organisation ON threshold_rule (organisation_id, id);
CREATE TABLE closing (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id bigint NOT NULL REFERENCES project,
    is_closed  boolean NOT NULL,
    hour       timestamptz NOT NULL CHECK (date_trunc('hour', hour, 'UTC') = hour),
    reason     text NOT NULL,
    author     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX closing_project ON closing (project_id, id);
ALTER TABLE notice
    ADD COLUMN kind text NOT NULL DEFAULT 'percent'
        CHECK (kind IN ('percent', 'credits', 'days', 'burn', 'closed', 'late_usage')),
    ADD COLUMN line numeric(30, 6),
    ADD COLUMN from_line numeric(30, 6),
    ADD COLUMN value numeric(30, 6),
    ADD COLUMN facts jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN closing_id bigint REFERENCES closing,
    ALTER COLUMN percent DROP NOT NULL;
UPDATE notice SET line = percent;
CREATE INDEX notice_closing ON notice (closing_id) WHERE closing_id IS NOT NULL;
CREATE TABLE forecast (
    project_id   bigint PRIMARY KEY REFERENCES project,
    computed_at  timestamptz NOT NULL,
    state        text NOT NULL,
    needs_days   integer NOT NULL DEFAULT 0,
    p10          timestamptz,
    p50          timestamptz,
    p90          timestamptz,
    burn_per_day numeric(30, 6) NOT NULL DEFAULT 0,
    facts        jsonb NOT NULL DEFAULT '{}'
);
"""

PEOPLE = """
ALTER TABLE project_owner
    ADD COLUMN role text NOT NULL DEFAULT 'owner' CHECK (role IN ('owner', 'member')),
    ADD COLUMN language text NOT NULL DEFAULT '',
    ADD COLUMN wants text[],
    ADD COLUMN digest boolean NOT NULL DEFAULT false;
CREATE INDEX project_owner_email ON project_owner (lower(email COLLATE "C"));
ALTER TABLE mail
    ADD COLUMN channel text NOT NULL DEFAULT 'mail'
        CHECK (channel IN ('mail', 'webhook', 'portal')),
    ADD COLUMN language text NOT NULL DEFAULT '',
    ADD COLUMN is_digest boolean NOT NULL DEFAULT false,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();
CREATE TABLE mail_notice (
    mail_id   bigint NOT NULL REFERENCES mail,
    notice_id bigint NOT NULL REFERENCES notice,
    PRIMARY KEY (mail_id, notice_id)
);
CREATE INDEX mail_notice_notice ON mail_notice (notice_id);
CREATE UNIQUE INDEX mail_digest ON mail (lower(recipient COLLATE "C"))
    WHERE is_digest AND state = 'pending' AND attempt_count = 0;
CREATE INDEX mail_recipient ON mail (lower(recipient COLLATE "C"));
CREATE TABLE portal_state (
    project_id    bigint PRIMARY KEY REFERENCES project,
    granted       numeric(30, 6),
    change_count  integer NOT NULL DEFAULT 0,
    answered_at   timestamptz,
    next_poll_at  timestamptz NOT NULL,
    failure_count integer NOT NULL DEFAULT 0,
    last_error    text NOT NULL DEFAULT ''
);
"""

TREE = """
CREATE TABLE organisation_place (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    parent_id       bigint REFERENCES organisation,
    valid_from      timestamptz NOT NULL
                    CHECK (date_trunc('hour', valid_from, 'UTC') = valid_from),
    author          text NOT NULL,
    reason          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (organisation_id <> parent_id)
);
CREATE INDEX organisation_place_organisation ON organisation_place (organisation_id, valid_from);
CREATE INDEX organisation_place_parent ON organisation_place (parent_id);
CREATE TABLE budget (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    amount          numeric(30, 6) NOT NULL CHECK (amount > 0),
    valid_from      timestamptz NOT NULL
                    CHECK (date_trunc('hour', valid_from, 'UTC') = valid_from),
    expires_at      timestamptz CHECK (date_trunc('hour', expires_at, 'UTC') = expires_at),
    priority        integer NOT NULL DEFAULT 0,
    reason          text NOT NULL,
    author          text NOT NULL,
    idempotency_key text NOT NULL UNIQUE,
    digest          bytea NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (valid_from < expires_at)
);
CREATE INDEX budget_organisation ON budget (organisation_id);
CREATE TABLE budget_void (
    budget_id  bigint PRIMARY KEY REFERENCES budget,
    reason     text NOT NULL,
    author     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

# What is booked of usage, summed by day and by month, so that budgets of large organisations
# are summed in no time. The database keeps it, whichever version of the service appends.
BOOKED_USAGE = """
CREATE TABLE booked_usage (
    project_id bigint NOT NULL REFERENCES project,
    length     text NOT NULL CHECK (length IN ('day', 'month')),
    start      timestamptz NOT NULL CHECK (date_trunc(length, start, 'UTC') = start),
    amount     numeric(30, 6) NOT NULL,
    PRIMARY KEY (project_id, length, start)
);
CREATE FUNCTION roll_up_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO booked_usage AS b (project_id, length, start, amount)
    SELECT a.project_id, l.length, date_trunc(l.length, a.hour, 'UTC'), -sum(a.amount)
    FROM added a CROSS JOIN (VALUES ('day'), ('month')) AS l (length)
    WHERE a.meter_id IS NOT NULL
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (project_id, length, start) DO UPDATE SET amount = b.amount + excluded.amount;
    RETURN NULL;
END $$;
CREATE TRIGGER entry_is_rolled_up AFTER INSERT ON entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION roll_up_usage();
INSERT INTO booked_usage (project_id, length, start, amount)
SELECT e.project_id, l.length, date_trunc(l.length, e.hour, 'UTC'), -sum(e.amount)
FROM entry e CROSS JOIN (VALUES ('day'), ('month')) AS l (length)
WHERE e.meter_id IS NOT NULL GROUP BY 1, 2, 3;
"""


def upgrade() -> None:
    """Create the tables, and give what is stored already the terms that it had."""
    for statements in (LOTS, INSTRUCTIONS, ENTRIES, THRESHOLDS, PEOPLE, TREE, BOOKED_USAGE):
        op.execute(statements)


def downgrade() -> None:
    """Refuse: going back would forget on which terms credits were given."""
    message = "decisions about money are never removed; restore a backup instead"
    raise RuntimeError(message)
