"""Inputs that change, retention, the global chain, and a project's place in an organisation.

Runs before the code that needs it; what 0001's code does still works. Everything here that a
person decides (exclusions, settlements, places) is only ever appended to.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

EXCLUSIONS = """
CREATE TABLE exclusion (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id bigint NOT NULL REFERENCES project,
    meter_id   integer REFERENCES meter,
    series_id  bigint REFERENCES series,
    starts_at  timestamptz,
    ends_at    timestamptz,
    reason     text NOT NULL,
    author     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (starts_at < ends_at)
);
CREATE INDEX exclusion_project ON exclusion (project_id);
CREATE TABLE exclusion_lift (
    exclusion_id bigint PRIMARY KEY REFERENCES exclusion,
    reason       text NOT NULL,
    author       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE excluded_sample (
    series_id    bigint NOT NULL,
    measured_at  timestamptz NOT NULL,
    label_set_id bigint NOT NULL,
    value        double precision NOT NULL,
    PRIMARY KEY (series_id, measured_at, label_set_id)
);
"""

SETTLEMENTS = """
CREATE TABLE settlement (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id bigint NOT NULL REFERENCES project,
    meter_id   integer REFERENCES meter,
    series_id  bigint REFERENCES series,
    kind       smallint NOT NULL CHECK (kind IN (1, 2)),
    first_hour timestamptz NOT NULL
               CHECK (date_trunc('hour', first_hour, 'UTC') = first_hour),
    end_hour   timestamptz NOT NULL CHECK (date_trunc('hour', end_hour, 'UTC') = end_hour),
    verdict    text NOT NULL CHECK (verdict IN ('bill', 'waive', 'reopen')),
    reason     text NOT NULL,
    author     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (first_hour < end_hour)
);
CREATE INDEX settlement_project ON settlement (project_id);
CREATE INDEX usage_open ON usage (series_id, hour) WHERE credits IS NULL;
ALTER TABLE meter_version
    ADD COLUMN author text NOT NULL DEFAULT 'meter file',
    ADD COLUMN reason text NOT NULL DEFAULT '';
"""

# The two functions work with the rights of the tables' owner. They find names in no schema that
# somebody else could put something into: last of all among temporary objects.
RETENTION = """
CREATE TABLE retention (
    is_only                 boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    samples_announced_until timestamptz NOT NULL DEFAULT 'epoch',
    samples_announced_at    timestamptz NOT NULL DEFAULT now(),
    samples_dropped_until   timestamptz NOT NULL DEFAULT 'epoch',
    usage_dropped_until     timestamptz NOT NULL DEFAULT 'epoch'
                            CHECK (date_trunc('day', usage_dropped_until, 'UTC')
                                   = usage_dropped_until),
    CHECK (samples_dropped_until <= samples_announced_until),
    CHECK (usage_dropped_until <= samples_dropped_until)
);
INSERT INTO retention DEFAULT VALUES;
CREATE TABLE sample_floor (
    series_id    bigint NOT NULL,
    measured_at  timestamptz NOT NULL,
    value        double precision NOT NULL,
    label_set_id bigint NOT NULL,
    PRIMARY KEY (series_id, measured_at)
);
CREATE TABLE daily_charge (
    project_id bigint NOT NULL REFERENCES project,
    day        timestamptz NOT NULL CHECK (date_trunc('day', day, 'UTC') = day),
    meter_id   integer NOT NULL REFERENCES meter,
    flavor_id  integer NOT NULL REFERENCES flavor,
    series_id  bigint NOT NULL REFERENCES series,
    quantity   numeric(60, 0) NOT NULL,
    credits    numeric(30, 6) NOT NULL,
    PRIMARY KEY (project_id, day, flavor_id, series_id)
);
CREATE FUNCTION drop_samples(before timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF before > (SELECT samples_dropped_until FROM retention) THEN
        RAISE EXCEPTION 'samples before % are still needed', before;
    END IF;
    PERFORM drop_chunks('sample', older_than => before);
    DELETE FROM sample WHERE measured_at < before;
END $$;
CREATE FUNCTION drop_usage(before timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF before > (SELECT usage_dropped_until FROM retention) THEN
        RAISE EXCEPTION 'usage before % is still needed', before;
    END IF;
    PERFORM drop_chunks('usage', older_than => before);
    DELETE FROM usage WHERE hour < before;
END $$;
REVOKE ALL ON FUNCTION drop_samples(timestamptz), drop_usage(timestamptz) FROM PUBLIC;
"""

SEALS = """
CREATE TABLE seal (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sealed_at     timestamptz NOT NULL,
    head_count    integer NOT NULL CHECK (head_count > 0),
    previous_hash bytea NOT NULL UNIQUE,
    hash          bytea NOT NULL
);
CREATE TABLE seal_head (
    seal_id    bigint NOT NULL REFERENCES seal,
    project_id bigint NOT NULL REFERENCES project,
    sequence   bigint NOT NULL,
    hash       bytea NOT NULL,
    PRIMARY KEY (seal_id, project_id),
    FOREIGN KEY (project_id, sequence) REFERENCES entry (project_id, sequence)
);
CREATE INDEX seal_head_project ON seal_head (project_id, sequence);
CREATE TRIGGER seal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER seal_head_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seal_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

PLACES = """
CREATE TABLE organisation (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE membership (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id      bigint NOT NULL REFERENCES project,
    organisation_id bigint REFERENCES organisation,
    valid_from      timestamptz NOT NULL
                    CHECK (date_trunc('hour', valid_from, 'UTC') = valid_from),
    author          text NOT NULL,
    reason          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX membership_project ON membership (project_id, valid_from);
CREATE INDEX membership_organisation ON membership (organisation_id);
"""


def upgrade() -> None:
    """Create the tables; existing rows need no change."""
    for statements in (EXCLUSIONS, SETTLEMENTS, RETENTION, SEALS, PLACES):
        op.execute(statements)


def downgrade() -> None:
    """Refuse: going back would forget why credits are what they are."""
    message = "decisions about money are never removed; restore a backup instead"
    raise RuntimeError(message)
