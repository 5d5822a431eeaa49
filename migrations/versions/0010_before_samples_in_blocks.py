"""Samples in blocks of one series each instead of one row and one index entry for each sample.

Runs before the code that needs it. What 0009's code does in between: it takes samples in, and
rates none, since its writes fail and leave the batches, until the code of this one rates them.

Moves everything, day by day and in one transaction: for as long as it takes there has to be room
for the samples twice.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# One transaction holds a lock on each chunk of both tables, with its index and its toast table.
ROOM = """
DO $$
DECLARE
    needed integer := 12 * (SELECT count(*) FROM timescaledb_information.chunks
                            WHERE hypertable_schema = 'public' AND hypertable_name = 'sample');
    sessions integer := current_setting('max_connections')::integer
                        + current_setting('max_prepared_transactions')::integer;
BEGIN
    IF needed > sessions * current_setting('max_locks_per_transaction')::integer THEN
        RAISE EXCEPTION 'moving so many days of samples needs max_locks_per_transaction = %: set '
            'it, restart PostgreSQL, and migrate again', ceil(needed::numeric / sessions);
    END IF;
END $$;
"""

# `offsets_ms` counts from `first_at` on and rises strictly; `label_set_id` is that of the last
# sample, and `label_set_ids` is null where it is that of all. What is not checked here, since it
# would be checked for each sample, `verify` looks at.
BLOCKS = """
CREATE TABLE sample_block (
    series_id     bigint NOT NULL,
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    label_set_id  bigint NOT NULL,
    offsets_ms    integer[] NOT NULL,
    "values"      double precision[] NOT NULL,
    label_set_ids bigint[],
    PRIMARY KEY (series_id, first_at),
    CHECK (cardinality(offsets_ms) BETWEEN 1 AND 90),
    CHECK (cardinality(offsets_ms) = cardinality("values")),
    CHECK (cardinality(offsets_ms) = cardinality(label_set_ids))
);
SELECT create_hypertable('sample_block', by_range('first_at', INTERVAL '1 day'),
                         create_default_indexes => false);
"""

# Times are written in whole milliseconds; what is not was put there by hand, and would change.
MOVE = """
LOCK TABLE sample;
DO $$
DECLARE
    day timestamptz;
BEGIN
    FOR day IN
        SELECT range_start FROM timescaledb_information.chunks
        WHERE hypertable_schema = 'public' AND hypertable_name = 'sample' ORDER BY 1
    LOOP
        IF EXISTS (SELECT FROM sample
                   WHERE measured_at >= day AND measured_at < day + INTERVAL '24 hours'
                     AND measured_at <> date_trunc('milliseconds', measured_at)) THEN
            RAISE EXCEPTION 'a sample of % is not of a whole millisecond', day;
        END IF;
        INSERT INTO sample_block (series_id, first_at, last_at, label_set_id, offsets_ms,
                                  "values", label_set_ids)
        SELECT series_id, min(measured_at), max(measured_at),
               (array_agg(label_set_id ORDER BY measured_at DESC))[1],
               array_agg((extract(epoch FROM measured_at - started_at) * 1000)::integer
                         ORDER BY measured_at),
               array_agg(value ORDER BY measured_at),
               CASE WHEN min(label_set_id) <> max(label_set_id)
                    THEN array_agg(label_set_id ORDER BY measured_at) END
        FROM (
            SELECT n.*, min(measured_at) OVER (PARTITION BY series_id, block) AS started_at
            FROM (
                SELECT s.*, (row_number() OVER (PARTITION BY series_id ORDER BY measured_at) - 1)
                            / 90 AS block
                FROM sample s
                WHERE measured_at >= day AND measured_at < day + INTERVAL '24 hours'
            ) n
        ) b
        GROUP BY series_id, block ORDER BY series_id, block;
    END LOOP;
    IF (SELECT coalesce(sum(cardinality(offsets_ms)), 0) FROM sample_block)
       <> (SELECT count(*) FROM sample) THEN
        RAISE EXCEPTION 'not every sample came into a block';
    END IF;
END $$;
DROP TABLE sample;
"""

# For people, and for what counts samples one by one: nothing that pages wait for.
VIEW = """
CREATE VIEW sample AS
SELECT b.series_id, b.first_at + s.offset_ms * INTERVAL '1 millisecond' AS measured_at, s.value,
       coalesce(s.label_set_id, b.label_set_id) AS label_set_id
FROM sample_block b
CROSS JOIN LATERAL unnest(b.offsets_ms, b."values", b.label_set_ids)
           AS s(offset_ms, value, label_set_id);
"""

# A block that holds samples of both sides keeps those that are not dropped.
DROP = """
CREATE OR REPLACE FUNCTION drop_samples(before timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF before > (SELECT samples_dropped_until FROM retention) THEN
        RAISE EXCEPTION 'samples before % are still needed', before;
    END IF;
    PERFORM drop_chunks('sample_block', older_than => before);
    DELETE FROM sample_block WHERE last_at < before;
    UPDATE sample_block b
    SET first_at = first_at + k.dropped_ms * INTERVAL '1 millisecond',
        offsets_ms = ARRAY(SELECT o - k.dropped_ms FROM unnest(offsets_ms[k.place:])
                           WITH ORDINALITY AS u(o, n) ORDER BY n),
        "values" = "values"[k.place:], label_set_ids = label_set_ids[k.place:]
    FROM (
        SELECT series_id, first_at AS at, min(u.o) AS dropped_ms, min(u.n)::integer AS place
        FROM sample_block CROSS JOIN LATERAL unnest(offsets_ms) WITH ORDINALITY AS u(o, n)
        WHERE first_at < before AND first_at + u.o * INTERVAL '1 millisecond' >= before
        GROUP BY 1, 2
    ) k
    WHERE b.series_id = k.series_id AND b.first_at = k.at AND b.first_at < before;
END $$;
"""


def upgrade() -> None:
    """Create the blocks, move the samples, and show them as they were."""
    for statements in (ROOM, BLOCKS, MOVE, VIEW, DROP):
        op.execute(statements)


def downgrade() -> None:
    """Refuse: a restored backup is the way back."""
    message = "there is no way back but a restored backup"
    raise RuntimeError(message)
