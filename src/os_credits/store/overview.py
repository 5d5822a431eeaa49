"""Table `project_figure`, derived by a job, and the list of projects that is sorted by it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.organisation import Organisation
from os_credits.store.projects import list_projects_by_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which projects are listed, in which order, from which on.

    `all_seen` tells that nobody is hidden; else those with these numbers, names or cloud ids are
    seen. `searched` is a part of a name, cloud id, site, domain, or '' (every project);
    `found_beneath` are organisations that were found by it. `beneath` None filters nothing.
    `show` is all, low, critical, debt or closed; `after` the number of the project before.
    """

    all_seen: bool
    seen_ids: Sequence[int]
    seen_names: Sequence[str]
    searched: str
    found_beneath: Sequence[int]
    beneath: Sequence[int] | None
    show: str
    sort: str
    descending: bool
    after: int
    limit: int

    @property
    def arguments(self) -> tuple[object, ...]:
        """Give what decides about the list in the order in which the statement numbers it."""
        seen = self.all_seen, self.seen_ids, self.seen_names
        found = self.searched, self.found_beneath, self.beneath
        return *seen, *found, self.show, self.sort, self.descending


@dataclass(frozen=True, slots=True)
class Counts:
    """How many projects were found, whatever is shown of them; those below half are `low`."""

    all: int
    low: int
    critical: int
    debt: int
    closed: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A project with its place in the list, from 1 on."""

    project: Project
    rank: int


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A part of the list; `shown_count` is the length of all of it.

    `before` is what `after` must be for the part before; None: this is the first one.
    """

    rows: list[Listed]
    counts: Counts
    shown_count: int
    before: int | None


async def list_page(conn: Connection, chosen: Chosen) -> ListedPage:
    """Give a part of a sorted list; what has no value to sort by comes last in either direction.

    A run-out is that of the forecast, and before all others where nothing is left. A project
    `after` that is no longer in the list begins with the first one. Order and counts are by the
    figures of the last run of their job. All of the list is one array of numbers, so that a long
    one is sorted once and copied nowhere.
    """
    row = await conn.fetchrow(
        """
        WITH home AS MATERIALIZED (
            SELECT DISTINCT ON (project_id) project_id, organisation_id FROM membership
            WHERE valid_from <= now() AND ($5::bigint[] <> '{}' OR $6::bigint[] IS NOT NULL)
            ORDER BY project_id, valid_from DESC, id DESC
        ), ended AS MATERIALIZED (
            SELECT project_id FROM (
                SELECT DISTINCT ON (project_id) project_id, is_closed, hour FROM closing
                ORDER BY project_id, id DESC
            ) latest WHERE is_closed AND hour <= now()
        ), found AS (
            SELECT p.id, CASE WHEN $8::text = 'name' THEN lower(p.name) COLLATE "C" END AS name,
                   CASE $8 WHEN 'balance' THEN f.balance WHEN 'used' THEN f.used
                           WHEN 'percent' THEN CASE WHEN f.granted_now > 0
                                                    THEN f.balance / f.granted_now END
                           WHEN 'burn' THEN c.burn_per_day
                           WHEN 'run_out' THEN CASE WHEN c.state = 'out' OR f.balance < 0 THEN 0
                                                    ELSE extract(epoch FROM c.p50) END
                   END::float8 AS number,
                   CASE WHEN e.project_id IS NULL THEN coalesce(f.level, 0) ELSE -1 END AS level
            FROM project p LEFT JOIN project_figure f ON f.project_id = p.id
            LEFT JOIN forecast c ON c.project_id = p.id AND $8 IN ('burn', 'run_out')
            LEFT JOIN ended e ON e.project_id = p.id LEFT JOIN home h ON h.project_id = p.id
            WHERE ($1::boolean OR p.id IN (SELECT unnest($2::bigint[]))
                   OR p.name IN (SELECT unnest($3::text[]))
                   OR p.external_id IN (SELECT unnest($3::text[])))
              AND ($4::text = '' OR h.organisation_id IN (SELECT unnest($5::bigint[]))
                   OR position(lower($4) IN lower(concat_ws(
                          chr(10), p.name, p.external_id, p.site, p.domain))) > 0)
              AND ($6::bigint[] IS NULL OR h.organisation_id IN (SELECT unnest($6::bigint[])))
        )
        SELECT count(*) AS all, count(*) FILTER (WHERE level >= 1) AS low,
               count(*) FILTER (WHERE level >= 2) AS critical,
               count(*) FILTER (WHERE level = 3) AS debt,
               count(*) FILTER (WHERE level = -1) AS closed,
               array_agg(id ORDER BY CASE WHEN $9::boolean THEN -number ELSE number END NULLS LAST,
                                     CASE WHEN NOT $9 THEN name END,
                                     CASE WHEN $9 THEN name END DESC, id)
                   FILTER (WHERE CASE $7::text WHEN 'low' THEN level >= 1
                                      WHEN 'critical' THEN level >= 2 WHEN 'debt' THEN level = 3
                                      WHEN 'closed' THEN level = -1 ELSE true END) AS ids
        FROM found
        """,
        *chosen.arguments,
    )
    assert row is not None  # noqa: S101 - an aggregate always returns its row
    ids: list[int] = row["ids"] or []
    place = ids.index(chosen.after) + 1 if chosen.after in ids else 0
    shown = ids[place : place + chosen.limit]
    found = {one.id: one for one in await list_projects_by_id(conn, shown)}
    earlier = place - chosen.limit
    return ListedPage(
        rows=[Listed(found[one], place + number) for number, one in enumerate(shown, 1)],
        counts=Counts(*(row[name] for name in ("all", "low", "critical", "debt", "closed"))),
        shown_count=len(ids),
        before=None if not place or not shown else ids[earlier - 1] if earlier > 0 else 0,
    )


async def sum_days(
    conn: Connection, project_ids: Sequence[int], since: datetime
) -> dict[int, dict[datetime, Credits]]:
    """Sum what each of these projects used per UTC day from a day on, booked or not.

    What an older service had charged is left out: it was not used on the day of the opening.
    """
    rows = await conn.fetch(
        """
        SELECT project_id, day, sum(amount) AS credits
        FROM (
            SELECT project_id, start AS day, amount FROM booked_usage
            WHERE project_id = ANY($1::bigint[]) AND length = 'day' AND start >= $2
            UNION ALL
            SELECT project_id, date_trunc('day', hour, 'UTC'), amount FROM entry
            WHERE project_id = ANY($1::bigint[]) AND kind = 'opening' AND meter_id IS NOT NULL
              AND hour >= $2
            UNION ALL
            SELECT project_id, date_trunc('day', hour, 'UTC'), charged - booked FROM charge
            WHERE project_id = ANY($1::bigint[]) AND charged <> booked AND hour >= $2
        ) used
        GROUP BY 1, 2
        """,
        project_ids,
        since,
    )
    sums: dict[int, dict[datetime, Credits]] = defaultdict(dict)
    for project_id, day, amount in rows:
        sums[project_id][day] = amount
    return dict(sums)


async def try_claim(conn: Connection) -> bool:
    """Take the right to refresh figures, to the end of the transaction; False: another has it."""
    claimed: bool = await conn.fetchval(
        "SELECT pg_try_advisory_xact_lock('project_figure'::regclass::oid::bigint)"
    )
    return claimed


async def refresh_figures(conn: Connection, *, after_id: int, limit: int) -> tuple[int | None, int]:
    """Work out the figures of the next projects by number, and store those that differ.

    Gives the last number (None: there is none left) and how many were stored. It is the balance
    of `balances.py`, for very many accounts at once.
    """
    row = await conn.fetchrow(
        """
        WITH next AS MATERIALIZED (
            SELECT id FROM project WHERE id > $1 ORDER BY id LIMIT $2
        ), booked AS (
            SELECT n.id, coalesce(e.balance, 0) AS balance, coalesce(c.granted_now, 0) AS granted,
                   coalesce(c.credited, 0) AS credited
            FROM next n
            LEFT JOIN LATERAL (
                SELECT balance FROM entry WHERE project_id = n.id ORDER BY sequence DESC LIMIT 1
            ) e ON true
            LEFT JOIN LATERAL (
                SELECT sum(amount) AS credited,
                       sum(amount) FILTER (
                           WHERE kind IN ('grant', 'opening', 'transfer') AND grant_id IS NOT NULL
                           AND NOT EXISTS (SELECT FROM expiry x WHERE x.grant_id = entry.grant_id
                                           AND x.expired IS NOT NULL)
                       ) AS granted_now
                FROM entry WHERE project_id = n.id AND meter_id IS NULL
            ) c ON true
        ), computed AS (
            SELECT b.id, b.balance - coalesce(t.tally, 0) - coalesce(x.expiring, 0) AS balance,
                   b.granted, b.credited - b.balance + coalesce(t.tally, 0) AS used
            FROM booked b
            LEFT JOIN LATERAL (
                SELECT sum(charged - booked) AS tally FROM charge
                WHERE project_id = b.id AND charged <> booked
            ) t ON true
            LEFT JOIN LATERAL (
                SELECT sum(expired - booked) AS expiring FROM expiry
                WHERE project_id = b.id AND expired <> booked
            ) x ON true
        ), stored AS (
            INSERT INTO project_figure AS f (project_id, balance, granted_now, used)
            SELECT c.id, c.balance, c.granted, c.used
            FROM computed c LEFT JOIN project_figure k ON k.project_id = c.id
            WHERE k.project_id IS NULL
               OR (k.balance, k.granted_now, k.used) <> (c.balance, c.granted, c.used)
            ORDER BY c.id
            ON CONFLICT (project_id) DO UPDATE SET balance = excluded.balance,
                granted_now = excluded.granted_now, used = excluded.used
            RETURNING 1
        )
        SELECT (SELECT max(id) FROM next) AS last, (SELECT count(*) FROM stored) AS stored
        """,
        after_id,
        limit,
    )
    assert row is not None  # noqa: S101 - there is no table it could be empty of
    return row["last"], row["stored"]


async def list_found_beneath(conn: Connection, searched: str) -> list[int]:
    """Give the organisations with this in their names, and all that hang beneath them now."""
    rows = await conn.fetch(
        """
        WITH RECURSIVE above AS (
            SELECT organisation_id, parent_id FROM (
                SELECT DISTINCT ON (organisation_id) organisation_id, parent_id
                FROM organisation_place WHERE valid_from <= now()
                ORDER BY organisation_id, valid_from DESC, id DESC
            ) latest WHERE parent_id IS NOT NULL
        ), found AS (
            SELECT id FROM organisation WHERE position(lower($1::text) IN lower(name)) > 0
            UNION
            SELECT a.organisation_id FROM found f JOIN above a ON a.parent_id = f.id
        )
        SELECT id FROM found
        """,
        searched,
    )
    return [row["id"] for row in rows]


async def list_beneath(conn: Connection, organisation_id: int) -> list[int]:
    """Give an organisation and all that hang beneath it now."""
    rows = await conn.fetch(
        """
        WITH RECURSIVE above AS (
            SELECT organisation_id, parent_id FROM (
                SELECT DISTINCT ON (organisation_id) organisation_id, parent_id
                FROM organisation_place WHERE valid_from <= now()
                ORDER BY organisation_id, valid_from DESC, id DESC
            ) latest WHERE parent_id IS NOT NULL
        ), found AS (
            SELECT $1::bigint AS id
            UNION
            SELECT a.organisation_id FROM found f JOIN above a ON a.parent_id = f.id
        )
        SELECT id FROM found
        """,
        organisation_id,
    )
    return [row["id"] for row in rows]


async def homes_of(conn: Connection, project_ids: Sequence[int]) -> dict[int, Organisation]:
    """Give the organisation to which each of these projects belongs now; missing: to none."""
    rows = await conn.fetch(
        """
        SELECT p.id AS project_id, o.id, o.name
        FROM unnest($1::bigint[]) AS p(id)
        CROSS JOIN LATERAL (
            SELECT organisation_id FROM membership
            WHERE project_id = p.id AND valid_from <= now()
            ORDER BY valid_from DESC, id DESC LIMIT 1
        ) m
        JOIN organisation o ON o.id = m.organisation_id
        """,
        project_ids,
    )
    return {row["project_id"]: Organisation(row["id"], row["name"]) for row in rows}
