"""Accounts for tests: entries and charges written as rows, without senders and rating."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

from os_credits.domain.person import Person
from os_credits.domain.threshold import Lines
from os_credits.flows.notice import Watch, rearm, tell_before_lift
from os_credits.store.people import put_people
from os_credits.store.pool import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.pool import Connection, Pool

PERCENTS = (Decimal(50), Decimal(20), Decimal(0))
# Lines that may be told again at once.
LINES = Lines(percents=PERCENTS, hysteresis_percent=Decimal(0), cool_down_hours=0)
WATCH = Watch(LINES)
OWNER = "ada@lab.example"


async def open_account(
    pool: Pool, name: str = "Genome lab", *, owners: Sequence[str] = (OWNER,)
) -> int:
    """Store a project with owners and give its id."""
    async with transaction(pool) as conn:
        project_id = await conn.fetchval(
            """
            INSERT INTO project (key, site, external_id, domain, name)
            VALUES ($1, '', '', '', $2) RETURNING id
            """,
            uuid4().bytes,
            name,
        )
        people = [(int(project_id), Person(owner, "Ada")) for owner in owners]
        await put_people(conn, people)
        return int(project_id)


async def append_entry(conn: Connection, project_id: int, kind: str, amount: Decimal | int) -> None:
    """Write an entry as it may come from the ledger, with made-up hashes; a lot if it adds."""
    await conn.execute(
        """
        WITH lot AS (
            INSERT INTO project_grant (project_id, amount, reason, author, kind)
            SELECT $1, $3, 'test', 'test', $2 WHERE $3::numeric > 0 AND $2 <> 'correction'
            RETURNING id
        )
        INSERT INTO entry (project_id, sequence, kind, amount, balance, hour, grant_id, reason,
                           author, entry_key, booked_at, previous_hash, hash)
        SELECT $1, coalesce(max(sequence), 0) + 1, $2, $3, coalesce(sum(amount), 0) + $3,
               date_trunc('hour', now(), 'UTC'), (SELECT id FROM lot), 'test', 'test',
               $4, now(), '', ''
        FROM entry WHERE project_id = $1
        """,
        project_id,
        kind,
        Decimal(amount),
        uuid4().hex,
    )


async def grant(
    pool: Pool,
    project_id: int,
    amount: Decimal | int,
    *,
    kind: str = "grant",
    watch: Watch = WATCH,
) -> None:
    """Append a grant (or an adjustment) with what stands around it, as the account's flow does."""
    async with transaction(pool) as conn:
        before = await tell_before_lift(conn, [project_id], watch)
        await append_entry(conn, project_id, kind, amount)
        await rearm(conn, before, watch)


async def use(pool: Pool, project_id: int, amount: Decimal | int | str) -> None:
    """Charge credits that are not yet booked; a negative amount is a correction."""
    async with connection(pool) as conn:
        await conn.execute(
            """
            WITH m AS (
                INSERT INTO meter (name, metric, description) VALUES ('m', 'm', '')
                ON CONFLICT (name) DO UPDATE SET description = '' RETURNING id
            )
            INSERT INTO charge AS c (project_id, hour, meter_id, flavor_id, charged,
                                     differs_since, changed_at)
            SELECT $1, date_trunc('hour', now(), 'UTC'), m.id, 0, $2, now(), now() FROM m
            ON CONFLICT (project_id, hour, meter_id, flavor_id)
            DO UPDATE SET charged = c.charged + excluded.charged
            """,
            project_id,
            Decimal(amount),
        )
