"""Appends entries to the ledger: the only way by which any enters."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from os_credits.ledger.chain import EMPTY_ACCOUNT, link
from os_credits.store import batches, entries, projects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.entry import EntryDraft
    from os_credits.store.pool import Connection


async def append(conn: Connection, drafts: Sequence[EntryDraft]) -> list[int]:
    """Append drafts, sorted by project, each to its project's chain; gives their ids.

    The clock is read behind the lock, so that the entries of a project rise in time.
    """
    if not drafts:
        return []
    project_ids = sorted({draft.project_id for draft in drafts})
    await projects.lock_projects(conn, project_ids)
    booked_at = await batches.read_now(conn)
    heads = await entries.read_heads(conn, project_ids)
    linked = [
        entry
        for project_id, of_project in groupby(drafts, key=lambda draft: draft.project_id)
        for entry in link(heads.get(project_id, EMPTY_ACCOUNT), of_project, booked_at)
    ]
    return await entries.append_entries(conn, linked)
