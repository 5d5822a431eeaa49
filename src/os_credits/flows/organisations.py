"""Says where a project belongs, from a full hour on; no credit of the project changes by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from os_credits.domain.period import full_hour
from os_credits.domain.text import is_blank
from os_credits.errors import InvalidInput, NotFound
from os_credits.store import organisations, projects
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.organisation import Membership, MembershipRequest, Organisation
    from os_credits.store.pool import Connection

NAME_LENGTH_MAX = 200
# Our own number of an organisation, as for projects.
_NUMBER = re.compile(r"#([0-9]{1,18})")


async def place_project(pool: Pool, request: MembershipRequest) -> tuple[Membership, bool]:
    """Let a project belong to an organisation (a new name makes one), or to none.

    Gives the revision that counts, and whether it is new: where the same holds from that hour
    on already, nothing is written. Raises InvalidInput for a start that is no full hour.
    """
    full_hour(request.valid_from, where="valid_from")
    name = request.organisation
    if name is not None and (is_blank(name) or not name.isprintable()):
        raise InvalidInput("must consist of printable characters", where="organisation")
    if name is not None and len(name) > NAME_LENGTH_MAX:
        raise InvalidInput(f"at most {NAME_LENGTH_MAX} characters", where="organisation")
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [request.project_id])
        found = await organisations.list_memberships(
            conn, request.project_id, valid_from=request.valid_from
        )
        if found and found[0].organisation == name:
            return found[0], False
        organisation_id = (
            None if name is None else await organisations.ensure_organisation(conn, name)
        )
        await organisations.insert_membership(conn, request, organisation_id)
        [membership] = await organisations.list_memberships(
            conn, request.project_id, valid_from=request.valid_from
        )
    return membership, True


async def resolve_organisation(
    conn: Connection, name: str, *, among: Sequence[str] | None = None
) -> Organisation:
    """Find the organisation of a name, or of `#number`; raises NotFound.

    With `among` only if a project of these (as in `store/organisations.py`) belongs to it.
    """
    if "\0" not in name:
        found = await organisations.list_organisations(conn, among=among, name=name, limit=1)
        if not found and (number := _NUMBER.fullmatch(name)):
            found = await organisations.list_organisations(
                conn, among=among, only_id=int(number[1]), limit=1
            )
        if found:
            return found[0]
    raise NotFound(f"there is no organisation {name[:200]!r}")
