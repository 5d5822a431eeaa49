"""What was booked before the sums of days and months existed is in them afterwards.

So it is what was booked while they were not yet told apart by meter and flavor.
"""

from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from alembic import command

from os_credits.store.migrate import configuration, migrate

BEFORE = """
INSERT INTO project (key, site, external_id, domain, name) VALUES ('p', '', 'p', '', 'p');
INSERT INTO meter (name, metric, description) VALUES ('m', 'm', ''), ('n', 'n', '');
INSERT INTO flavor (name) VALUES ('small');
INSERT INTO entry (project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour, reason,
                   author, entry_key, booked_at, previous_hash, hash)
SELECT 1, n, kind, amount, 0, meter, flavor, hour::timestamptz, '', '', n, now(), '', ''
FROM (VALUES (1, 'usage', -1.5, 1, 0, '2026-01-31T23:00Z'),
             (2, 'usage', -2.000001, 1, 0, '2026-02-01T00:00Z'),
             (3, 'opening', -40, 1, NULL, '2026-02-01T05:00Z'),
             (4, 'grant', 100, NULL, NULL, '2026-02-01T05:00Z'),
             (7, 'usage', -0.25, 1, 1, '2026-02-01T00:00Z'),
             (8, 'usage', -0.5, 2, 1, '2026-02-01T01:00Z')
     ) AS e (n, kind, amount, meter, flavor, hour);
"""
AFTER = """
INSERT INTO entry (project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour, corrects,
                   reason, author, entry_key, booked_at, previous_hash, hash)
VALUES (1, 5, 'correction', 0.5, 0, 1, 0, '2026-01-31T23:00Z', 1, '', '', '5', now(), '', ''),
       (1, 6, 'usage', -7, 0, 1, 0, '2026-02-28T23:00Z', NULL, '', '', '6', now(), '', '');
"""


FIRST, SECOND = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
JANUARY, LAST = FIRST.replace(day=1), SECOND.replace(day=28)


@pytest.mark.parametrize("version", ["0002", "0004"])
def test_sums_of_days_and_months_begin_with_what_was_booked(
    empty_database_url: str, version: str
) -> None:
    command.upgrade(configuration(empty_database_url), version)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(BEFORE.encode())

    migrate(empty_database_url)
    before = sums(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(AFTER.encode())

    others = {
        ("day", SECOND, 1, 1): Decimal("0.25"),
        ("day", SECOND, 2, 1): Decimal("0.5"),
        ("month", SECOND, 1, 1): Decimal("0.25"),
        ("month", SECOND, 2, 1): Decimal("0.5"),
    }
    assert before == others | {
        ("day", FIRST, 1, 0): Decimal("1.5"),
        ("day", SECOND, 1, 0): Decimal("42.000001"),
        ("month", JANUARY, 1, 0): Decimal("1.5"),
        ("month", SECOND, 1, 0): Decimal("42.000001"),
    }
    assert sums(empty_database_url) == others | {
        ("day", FIRST, 1, 0): Decimal(1),
        ("day", SECOND, 1, 0): Decimal("42.000001"),
        ("day", LAST, 1, 0): Decimal(7),
        ("month", JANUARY, 1, 0): Decimal(1),
        ("month", SECOND, 1, 0): Decimal("49.000001"),
    }


def sums(database_url: str) -> dict[tuple[str, datetime, int, int], Decimal]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT length, start, meter_id, flavor_id, amount FROM booked_usage"
        ).fetchall()
    return {
        (length, start.astimezone(UTC), meter_id, flavor_id): amount
        for length, start, meter_id, flavor_id, amount in rows
    }
