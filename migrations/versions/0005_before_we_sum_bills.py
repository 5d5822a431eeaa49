"""Usage that is booked, summed by day and month of each meter and flavor.

Runs before the code that needs it; what 0004's code reads it adds up itself, so its sums stay
right. Only its `verify` would name the finer rows, until that code has gone.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Nobody appends meanwhile, so that nothing is missing from the sums and nothing is in them twice.
FINER = """
LOCK TABLE entry IN SHARE ROW EXCLUSIVE MODE;
TRUNCATE booked_usage;
ALTER TABLE booked_usage
    DROP CONSTRAINT booked_usage_pkey,
    ADD COLUMN meter_id integer NOT NULL REFERENCES meter,
    ADD COLUMN flavor_id integer NOT NULL REFERENCES flavor,
    ADD PRIMARY KEY (project_id, length, start, meter_id, flavor_id) INCLUDE (amount);
"""

# What is added up for one project stands side by side in these indexes; in the tables it lies
# scattered over all days. The tables are vacuumed soon enough for that to suffice.
COVERED = """
ALTER TABLE daily_charge
    DROP CONSTRAINT daily_charge_pkey,
    ADD PRIMARY KEY (project_id, day, flavor_id, series_id) INCLUDE (meter_id, quantity, credits),
    SET (autovacuum_vacuum_insert_scale_factor = 0.01);
ALTER TABLE booked_usage SET (autovacuum_vacuum_scale_factor = 0.02,
                              autovacuum_vacuum_insert_scale_factor = 0.01);
"""

# What was opened with names no flavor: it counts as flavor 0, which means none.
ROLL_UP = """
CREATE OR REPLACE FUNCTION roll_up_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO booked_usage AS b (project_id, length, start, meter_id, flavor_id, amount)
    SELECT a.project_id, l.length, date_trunc(l.length, a.hour, 'UTC'), a.meter_id,
           coalesce(a.flavor_id, 0), -sum(a.amount)
    FROM added a CROSS JOIN (VALUES ('day'), ('month')) AS l (length)
    WHERE a.meter_id IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (project_id, length, start, meter_id, flavor_id)
    DO UPDATE SET amount = b.amount + excluded.amount;
    RETURN NULL;
END $$;
INSERT INTO booked_usage (project_id, length, start, meter_id, flavor_id, amount)
SELECT e.project_id, l.length, date_trunc(l.length, e.hour, 'UTC'), e.meter_id,
       coalesce(e.flavor_id, 0), -sum(e.amount)
FROM entry e CROSS JOIN (VALUES ('day'), ('month')) AS l (length)
WHERE e.meter_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5;
CREATE INDEX booked_usage_start ON booked_usage (length, start);
"""


def upgrade() -> None:
    """Make the sums anew, one for each meter and flavor, from the entries."""
    for statements in (FINER, ROLL_UP, COVERED):
        op.execute(statements)


def downgrade() -> None:
    """Refuse: a restored backup is the way back."""
    message = "there is no way back but a restored backup"
    raise RuntimeError(message)
