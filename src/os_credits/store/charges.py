"""Table `charge`: what each project, meter, flavor and hour costs, and what of it is booked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.charge import OpenCharge
from os_credits.domain.period import from_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection

# Project, hour (ms since the epoch), meter, flavor.
ChargeKey = tuple[int, int, int, int]


async def add_to_charges(
    conn: Connection, changes: Mapping[ChargeKey, Credits], *, changed_at: datetime
) -> None:
    """Add these amounts (of either sign) to what is charged."""
    ordered = sorted(changes)
    await conn.execute(
        """
        INSERT INTO charge (project_id, hour, meter_id, flavor_id, charged, differs_since,
                            changed_at)
        SELECT w.project_id, w.hour, w.meter_id, w.flavor_id, w.amount, $6, $6
        FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::int[], $5::numeric[])
             AS w(project_id, hour, meter_id, flavor_id, amount)
        ON CONFLICT (project_id, hour, meter_id, flavor_id) DO UPDATE SET
            charged = charge.charged + excluded.charged,
            changed_at = excluded.changed_at,
            differs_since = CASE WHEN charge.charged = charge.booked
                                 THEN excluded.changed_at ELSE charge.differs_since END
        """,
        [key[0] for key in ordered],
        [from_ms(key[1]) for key in ordered],
        [key[2] for key in ordered],
        [key[3] for key in ordered],
        [changes[key] for key in ordered],
        changed_at,
    )


async def list_due_charges(
    conn: Connection,
    *,
    closed_until: datetime,
    closing_delay: timedelta,
    quiet_since: datetime,
    differing_since: datetime,
    limit: int,
) -> list[OpenCharge]:
    """Give charges to be booked (`ledger/posting.py: Due` says which), by project and hour.

    Chosen in the order of the index of what is not booked: in that of the primary key the planner,
    which takes nearly all charges for such, would go through all that were ever booked.
    """
    rows = await conn.fetch(
        """
        SELECT * FROM (
            SELECT project_id, hour, meter_id, flavor_id, charged, booked, entry_id,
                   correction_count, differs_since, changed_at
            FROM charge
            WHERE charged <> booked AND hour < $1
              AND (changed_at <= hour + $2::interval OR changed_at <= $3 OR differs_since <= $4)
            ORDER BY project_id, hour LIMIT $5
        ) due ORDER BY project_id, hour, meter_id, flavor_id
        """,
        closed_until,
        closing_delay,
        quiet_since,
        differing_since,
        limit,
    )
    return [OpenCharge(**dict(row)) for row in rows]


async def mark_booked(
    conn: Connection, charges: Sequence[OpenCharge], entry_ids: Sequence[int]
) -> None:
    """Note that these charges are booked as they stand, the i-th by the i-th entry."""
    await conn.execute(
        """
        UPDATE charge c SET
            booked = w.booked,
            correction_count = c.correction_count + (c.entry_id IS NOT NULL)::int,
            entry_id = coalesce(c.entry_id, w.entry_id)
        FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::int[], $5::numeric[],
                    $6::bigint[])
             AS w(project_id, hour, meter_id, flavor_id, booked, entry_id)
        WHERE (c.project_id, c.hour, c.meter_id, c.flavor_id)
            = (w.project_id, w.hour, w.meter_id, w.flavor_id)
        """,
        [charge.project_id for charge in charges],
        [charge.hour for charge in charges],
        [charge.meter_id for charge in charges],
        [charge.flavor_id for charge in charges],
        [charge.charged for charge in charges],
        entry_ids,
    )
