"""Says where projects and organisations belong, from a full hour on; no project's credits change.

A project hangs on an organisation, and an organisation on another one: `domain/tree.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from os_credits.domain.access import named
from os_credits.domain.organisation import Organisation
from os_credits.domain.period import full_hour
from os_credits.domain.text import is_blank
from os_credits.domain.tree import Tree, holds_of, spans_beneath
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.tree import read_tree
from os_credits.store import organisations, places, projects, span_sums
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from os_credits.domain.access import Access
    from os_credits.domain.organisation import (
        Membership,
        MembershipRequest,
        OrganisationSum,
        Place,
        PlaceRequest,
    )
    from os_credits.domain.period import Period
    from os_credits.domain.tree import Span
    from os_credits.store.pool import Connection

NAME_LENGTH_MAX = 200
# Our own number of an organisation, as for projects.
_NUMBER = re.compile(r"#([0-9]{1,18})")
# Names of the projects of a limited key: more than any key lists.
PROJECTS_MAX = 1_000_000


def _check_name(name: str, where: str) -> None:
    if is_blank(name) or not name.isprintable():
        raise InvalidInput("must consist of printable characters", where=where)
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidInput(f"at most {NAME_LENGTH_MAX} characters", where=where)


async def create_organisation(pool: Pool, name: str) -> tuple[Organisation, bool]:
    """Store an organisation by its name; gives it, and whether it is new."""
    _check_name(name, "name")
    async with transaction(pool) as conn:
        number, is_new = await organisations.ensure_organisation(conn, name)
    return Organisation(number, name), is_new


async def place_project(pool: Pool, request: MembershipRequest) -> tuple[Membership, bool]:
    """Let a project belong to an organisation (a new name makes one), or to none.

    Gives the revision that counts, and whether it is new: where the same holds from that hour
    on already, nothing is written. Raises InvalidInput for a start that is no full hour.
    """
    full_hour(request.valid_from, where="valid_from")
    name = request.organisation
    if name is not None:
        _check_name(name, "organisation")
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [request.project_id])
        found = await organisations.list_memberships(
            conn, request.project_id, valid_from=request.valid_from
        )
        if found and found[0].organisation == name:
            return found[0], False
        organisation_id = (
            None if name is None else (await organisations.ensure_organisation(conn, name))[0]
        )
        await organisations.insert_membership(conn, request, organisation_id)
        [membership] = await organisations.list_memberships(
            conn, request.project_id, valid_from=request.valid_from
        )
    return membership, True


async def place_organisation(pool: Pool, request: PlaceRequest) -> tuple[Place, bool]:
    """Let an organisation hang on another one, or on none, from a full hour on.

    Gives the revision that counts, and whether it is new. Raises Conflict where the tree would
    hold a ring at any moment, or a path longer than `domain/tree.py: DEPTH_MAX`.
    """
    full_hour(request.valid_from, where="valid_from")
    number, parent = request.organisation_id, request.parent_id
    if number == parent:
        raise Conflict("an organisation cannot lie beneath itself")
    async with transaction(pool) as conn:
        await places.lock_tree(conn)
        said = await places.read_places(conn)
        same = [one[1] for one in said if (one[0], one[2]) == (number, request.valid_from)]
        is_new = not same or same[-1] != parent
        if is_new:
            tree = Tree([*said, (number, parent, request.valid_from)])
            tree.check(number, request.valid_from)
            await places.insert_place(conn, request)
        [place] = await places.list_places(conn, number, valid_from=request.valid_from)
    return place, is_new


async def resolve_organisation(
    conn: Connection, name: str, *, access: Access | None = None
) -> Organisation:
    """Find the organisation of a name, or of `#number`; raises NotFound.

    With `access` only if it is one of those that `visible_to` gives.
    """
    if "\0" not in name:
        seen = None if access is None else await visible_to(conn, access)
        found = await organisations.list_organisations(conn, among=seen, name=name, limit=1)
        if not found and (number := _NUMBER.fullmatch(name)):
            ids = {int(number[1])} & (seen if seen is not None else {int(number[1])})
            found = await organisations.list_organisations(conn, among=ids, limit=1)
        if found:
            return found[0]
    raise NotFound(f"there is no organisation {name[:200]!r}")


async def visible_to(conn: Connection, access: Access) -> set[int] | None:
    """Give the organisations that a caller sees; None: all.

    These are what it manages, and those beneath which any of its projects is, was or will be.
    """
    if access.projects is None:
        return None
    others = await above_projects(conn, access.projects - access.beneath)
    return others | access.above | (access.organisations or frozenset())


async def above_projects(conn: Connection, among: Collection[str]) -> set[int]:
    """Give the organisations beneath which any of these projects is, was or will be."""
    found = await numbers_of(conn, among)
    if not found:
        return set()
    revisions = await organisations.read_memberships_of(conn, found)
    tree = await read_tree(conn)
    return tree.above(holds_of(revisions))


async def numbers_of(conn: Connection, among: Collection[str]) -> list[int]:
    """Give our ids of the projects that names, cloud ids and `#` with our ids mean."""
    seen = named(frozenset(among))
    if not seen.names:
        return list(seen.numbers)
    found = await projects.search_projects(
        conn,
        name=None,
        site=None,
        domain=None,
        among=sorted(among),
        after_id=0,
        limit=PROJECTS_MAX,
    )
    return [one.id for one in found]


async def sum_usage(
    conn: Connection, organisation_id: int, period: Period, *, own: bool
) -> list[OrganisationSum]:
    """Sum what was used beneath an organisation in the hours of a period.

    Each hour counts where the project belonged then, as known now; with `own` only the hours of
    projects that hang on the organisation itself.
    """
    tree = Tree(()) if own else await read_tree(conn)
    spans = await read_spans(conn, tree, {organisation_id: (period.start, period.end)})
    return await span_sums.sum_by_part(conn, spans[organisation_id])


async def read_spans(
    conn: Connection, tree: Tree, periods: Mapping[int, tuple[datetime, datetime]]
) -> dict[int, list[Span]]:
    """Give the hours of projects beneath each of these organisations, within its period."""
    ids = {
        stay.organisation_id
        for node, (start, end) in periods.items()
        for stay in tree.stays(node, start, end)
    }
    memberships = holds_of(await organisations.read_memberships(conn, list(ids)))
    return {
        node: spans_beneath(tree, memberships, node, start=start, end=end)
        for node, (start, end) in periods.items()
    }
