"""The page of bills: whose, of which days, in which groups; to read, to print and as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from os_credits.domain.bill import By, Order, place_of
from os_credits.errors import Conflict, InvalidInput
from os_credits.flows.bill import Asked, BillRequest, find_subject, visible_projects
from os_credits.flows.bill_book import BillBook
from os_credits.flows.organisations import visible_to
from os_credits.store import batches, organisations, places, projects
from os_credits.store.pool import snapshot
from os_credits.web.bill_range import range_of
from os_credits.web.bill_view import Address, view_of
from os_credits.web.room import DESK, PageRoute, render, visitor_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from os_credits.domain.access import Access
    from os_credits.domain.organisation import Organisation
    from os_credits.store.pool import Connection

BILLS = web.AppKey("BILLS", BillBook)
GROUPS_PER_PAGE = 50
# Of the print view, which is one sheet after the other.
GROUPS_PRINTED_MAX = 2000
# Organisations to choose from; one that is not among them is found by its name.
ORGANISATIONS_MAX = 500
PROJECTS_MAX = 50
_NARROWING = ("organisation", "project", "resource", "site", "domain")


def routes() -> list[PageRoute]:
    """Give the page of bills."""
    return [PageRoute("/bill", bill_page, "A bill, as a page", api=("GET /api/v1/bill",))]


async def bill_page(request: web.Request) -> web.Response:
    """Show a bill or, while none is asked for, whose there are."""
    query = request.query
    asked = Asked(**{name: query[name] for name in _NARROWING if query.get(name)})
    if asked.organisation is None and asked.project is None:
        return await _choose(request)
    if asked.organisation is not None and asked.project is not None:
        raise InvalidInput("name either an organisation or a project", where="organisation")
    try:
        return await _show(request, asked)
    except Conflict as error:
        return await _choose(request, candidates=error.candidates, status=409)


async def _show(request: web.Request, asked: Asked) -> web.Response:
    desk, visitor, query = request.app[DESK], visitor_of(request), request.query
    is_printed = query.get("print") == "1"
    after = query.get("after", "")
    async with snapshot(desk.pool) as conn:
        subject = await find_subject(
            conn, visitor.access, asked, may_see=lambda one: desk.may_read(visitor.access, one)
        )
        days = range_of(
            query.get("range", ""),
            query.get("from", ""),
            query.get("to", ""),
            await batches.read_now(conn),
        )
        by = subject.grouping(_one_of(By, query.get("by"), "by"))
        order = _one_of(Order, query.get("order"), "order") or Order.CREDITS
        seen = None
        if subject.organisation is not None:
            seen = await visible_projects(conn, visitor.access, subject.organisation)
        wanted = BillRequest(
            subject,
            days.period,
            by,
            visible=seen,
            # Days stand in their order.
            order=Order.NUMBER if by in {By.DAY, By.MONTH} else order,
            after=place_of(after) if after and not is_printed else None,
            limit=GROUPS_PRINTED_MAX if is_printed else GROUPS_PER_PAGE,
            with_account=subject.resource is None and not after,
            with_course=not after,
        )
        bill = await request.app[BILLS].read(conn, wanted)
    address = Address(visitor.base, subject, days, by, order)
    context = {**view_of(bill, address, after), "seen_in_part": seen is not None}
    return render(request, "bill_print.html" if is_printed else "bill.html", context)


def _one_of(kind: Any, text: str | None, where: str) -> Any:
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise InvalidInput(f"must be one of {', '.join(kind)}", where=where) from None


async def _choose(
    request: web.Request, *, candidates: Iterable[Mapping[str, str]] = (), status: int = 200
) -> web.Response:
    """Show what may be billed: the tree of organisations, projects, and a search for more."""
    visitor = visitor_of(request)
    access = visitor.access
    async with snapshot(request.app[DESK].pool) as conn:
        tree, more = await _tree(conn, access)
        found = await projects.search_projects(
            conn,
            name=None,
            site=None,
            domain=None,
            among=None if access.projects is None else sorted(access.projects),
            after_id=0,
            limit=PROJECTS_MAX + 1,
        )
    context = {
        "tree": tree,
        "more_organisations": more,
        "projects": found[:PROJECTS_MAX],
        "more_projects": len(found) > PROJECTS_MAX,
        "candidates": list(candidates),
        "typed": request.query.get("project", ""),
    }
    return render(request, "bill_choose.html", context, status=status)


async def _tree(conn: Connection, access: Access) -> tuple[list[tuple[int, Organisation]], bool]:
    """Give the organisations that a caller sees as they hang now, each with its depth."""
    seen = await visible_to(conn, access)
    found = await organisations.list_organisations(conn, among=seen, limit=ORGANISATIONS_MAX + 1)
    known = {one.id: one for one in found[:ORGANISATIONS_MAX]}
    parents = await places.read_parents(conn, list(known), await batches.read_now(conn))
    beneath: dict[int, list[Organisation]] = {}
    for one in sorted(known.values(), key=lambda one: (one.name.casefold(), one.id)):
        parent = parents.get(one.id)
        beneath.setdefault(parent.id if parent and parent.id in known else 0, []).append(one)
    return list(_walk(beneath, 0, 0)), len(found) > ORGANISATIONS_MAX


def _walk(
    beneath: Mapping[int, list[Organisation]], number: int, depth: int
) -> Iterable[tuple[int, Organisation]]:
    for one in beneath.get(number, ()):
        yield depth, one
        yield from _walk(beneath, one.id, depth + 1)
