"""Samples that were stored one by one are the same in blocks, to the last bit."""

import psycopg
import pytest
from alembic import command
from sqlalchemy.exc import ProgrammingError

from os_credits.store.migrate import configuration, migrate

# Of three series over five days: one each minute, one each hour, and some of two label sets;
# infinity, negative zero and the two kinds of NaN among their values.
BEFORE = """
INSERT INTO sample
SELECT 1, t, random() * 1e9, 7
FROM generate_series('2026-03-28T12:00Z'::timestamptz, '2026-04-01T23:59Z', '1 minute') t;
INSERT INTO sample
SELECT 2, t + interval '123 milliseconds', (ARRAY['-0', 'infinity', 'nan', '1e-300'])[
           1 + extract(hour FROM t AT TIME ZONE 'UTC')::int % 4]::float8, 8
FROM generate_series('2026-03-28T00:00Z'::timestamptz, '2026-04-01T23:00Z', '1 hour') t;
INSERT INTO sample
SELECT 3, t, 1, 9 + (extract(epoch FROM t)::bigint / 7000 % 2)
FROM generate_series('2026-03-30T23:00Z'::timestamptz, '2026-03-31T01:00Z', '1 second') t;
INSERT INTO sample VALUES (4, '1999-12-31T23:59:59.999Z', 4, 4);
"""
SAMPLES = """
SELECT series_id, measured_at, encode(float8send(value), 'hex'), label_set_id FROM sample
ORDER BY 1, 2
"""
WRONG = """
SELECT count(*) FROM sample_block
WHERE date_trunc('day', first_at, 'UTC') <> date_trunc('day', last_at, 'UTC')
   OR last_at <> first_at + offsets_ms[cardinality(offsets_ms)] * interval '1 millisecond'
   OR offsets_ms[1] <> 0 OR label_set_ids[cardinality(offsets_ms)] <> label_set_id
"""


def test_every_sample_is_in_a_block_afterwards(empty_database_url: str) -> None:
    command.upgrade(configuration(empty_database_url), "0009")
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(BEFORE.encode())
        before = connection.execute(SAMPLES.encode()).fetchall()

    migrate(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute(SAMPLES.encode()).fetchall() == before
        assert connection.execute(WRONG.encode()).fetchone() == (0,)
        sizes = connection.execute(
            "SELECT series_id, max(cardinality(offsets_ms)), count(label_set_ids) > 0"
            " FROM sample_block GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert len(before) > 12_000
    assert sizes == [(1, 90, False), (2, 24, False), (3, 90, True), (4, 1, False)]


def test_a_time_that_would_be_rounded_is_refused(empty_database_url: str) -> None:
    command.upgrade(configuration(empty_database_url), "0009")
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO sample VALUES (1, '2026-03-28T12:00:00.0005Z', 1, 1)")

    with pytest.raises(ProgrammingError, match="not of a whole millisecond"):
        command.upgrade(configuration(empty_database_url), "head")
