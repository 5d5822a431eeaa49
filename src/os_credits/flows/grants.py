"""Reads grants: of all projects, the latest first, and what became of a project's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import to_micro
from os_credits.domain.grant import GrantState
from os_credits.domain.lot import Burned, Lot, LotState
from os_credits.flows.burn import read_burned_by_sums
from os_credits.store import batches, grants, projects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.grant import Grant
    from os_credits.domain.lot import LotKind
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class LatestGrants:
    """Grants with their projects; `following` is what the next page comes before, None: none."""

    grants: tuple[Grant, ...]
    projects: Mapping[int, Project]
    following: int | None
    now: datetime


async def read_latest(
    conn: Connection,
    *,
    before_id: int,
    limit: int,
    kind: LotKind | None = None,
    state: GrantState | None = None,
    author: str = "",
    among: Sequence[int] | None = None,
) -> LatestGrants:
    """Read grants of all projects (or of these), the newest first."""
    found = await grants.list_latest_grants(
        conn,
        before_id=before_id,
        kind=kind,
        author=author,
        state=state,
        among=among,
        limit=limit + 1,
    )
    shown = sorted(found, key=lambda one: -one.id)[:limit]
    ids = sorted({one.project_id for one in shown})
    return LatestGrants(
        tuple(shown),
        {one.id: one for one in await projects.list_projects_by_id(conn, ids)},
        shown[-1].id if len(found) > limit else None,
        await batches.read_now(conn),
    )


async def read_fates(
    conn: Connection, project_id: int, found: Sequence[Grant]
) -> tuple[datetime, dict[int, LotState]]:
    """Tell what became of grants of a project by now, and when that is.

    One that waits for its hour is whole; of one that was taken back nothing is left.
    """
    now = await batches.read_now(conn)
    burned = await read_burned_by_sums(conn, project_id, now) or Burned((), 0)
    states = {state.lot.id: state for state in burned.states}
    return now, {one.id: states.get(one.id) or _untouched(one, now) for one in found}


def _untouched(grant: Grant, now: datetime) -> LotState:
    micro = to_micro(grant.amount)
    lot = Lot(grant.id, micro, grant.valid_from)
    return LotState(lot, 0, 0, 0 if grant.state_at(now) is GrantState.VOID else micro)
