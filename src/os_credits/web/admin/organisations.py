"""Pages of organisations: the tree, and one of them with its place, projects and budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from os_credits.domain.amount import added, from_micro
from os_credits.domain.budget import BudgetRequest
from os_credits.domain.grant import Terms
from os_credits.domain.lot import Burned
from os_credits.domain.organisation import MembershipRequest, PlaceRequest
from os_credits.domain.period import floor_hour
from os_credits.domain.tree import Hold, holds_of
from os_credits.errors import Conflict, NotFound
from os_credits.flows import budgets as budget_flow
from os_credits.flows import organisations as flow
from os_credits.flows.projects import resolve_project
from os_credits.store import batches, budgets, organisations, places
from os_credits.store.pool import snapshot
from os_credits.web.admin.deeds import NO_PROJECT, SEVERAL, written_candidate
from os_credits.web.admin.form import (
    HOUR_FORMAT,
    Form,
    conflict_status,
    form_of,
    our_number,
    refused_status,
)
from os_credits.web.admin.organisation_view import budget_line, nodes_of
from os_credits.web.admin.price_view import exact_text
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.budget import Budget, BudgetBalance
    from os_credits.domain.organisation import Organisation
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection

# More organisations than these are not read for one tree; the page shows a part of it.
TREE_MAX = 20_000
NODES_PER_PAGE = 300
PROJECTS_PER_PAGE = 50
BUDGETS_MAX = 200
NOTHING = from_micro(0)
PATH = "/admin/organisations"
ONE = f"{PATH}/{{number}}"
API = "/api/v1/organisations/{organisation}"
DONE = {
    "created": N_("The organisation is there."),
    "placed": N_("It hangs there from that hour on."),
    "assigned": N_("The project belongs here from that hour on."),
    "given": N_("The budget is given."),
    "voided": N_("The budget is taken back."),
}
NO_ORGANISATION = N_("There is no such organisation.")
_FORMS = ("parent", "project", "budget")


def routes() -> list[PageRoute]:
    """Give the pages of organisations, and their forms."""

    def posts(path: str, handler: Any, summary: str, api: str) -> PageRoute:
        return PageRoute(path, handler, summary, method="POST", gate="admin", api=(f"POST {api}",))

    return [
        PageRoute(
            PATH,
            tree_page,
            "The tree of organisations, as a page",
            gate="admin",
            api=("GET /api/v1/organisations",),
        ),
        posts(PATH, create, "Create an organisation", "/api/v1/organisations"),
        PageRoute(
            ONE,
            organisation_page,
            "An organisation's place, projects and budgets, as a page",
            gate="admin",
            api=(f"GET {API}/projects", f"GET {API}/parent", f"GET {API}/budgets"),
        ),
        posts(f"{ONE}/parent", place, "Say where an organisation hangs", f"{API}/parent"),
        posts(
            f"{ONE}/projects",
            assign,
            "Say that a project belongs to an organisation",
            "/api/v1/projects/{project}/organisation",
        ),
        posts(f"{ONE}/budgets", give, "Give an organisation a budget", f"{API}/budgets"),
        posts(
            f"{ONE}/budgets/{{budget}}/void",
            void,
            "Take back a budget of which nothing is burned",
            f"{API}/budgets/{{budget}}/void",
        ),
    ]


async def tree_page(request: web.Request) -> web.Response:
    """Show the tree as it is now, a part of it at once."""
    return await _show_tree(request, Form())


async def _show_tree(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    skipped = our_number(request.query.get("skip", ""))
    async with snapshot(request.app[DESK].pool) as conn:
        now = await batches.read_now(conn)
        found = await organisations.list_organisations(conn, among=None, limit=TREE_MAX)
        nodes = nodes_of(
            found,
            await places.read_places(conn),
            await organisations.count_projects(conn, now),
            now,
        )
    shown = nodes[skipped : skipped + NODES_PER_PAGE]
    following = skipped + NODES_PER_PAGE
    context = {
        "nodes": shown,
        "form": form,
        "next_path": f"{PATH}?skip={following}" if following < len(nodes) else "",
        "first_path": PATH if skipped else "",
        "done": _done(request),
    }
    return render(request, "admin/organisations.html", context, status=status)


def _done(request: web.Request) -> str:
    sentence = DONE.get(request.query.get("done", ""))
    return "" if sentence is None else gettext(sentence)


def _status(request: web.Request, form: Form) -> int:
    return refused_status(request) if form.errors else conflict_status(request)


async def create(request: web.Request) -> web.Response:
    """Create an organisation; one of this name that is there already is shown."""
    form = form_of(request)
    name = form.text("name", needed=True)
    if not form.errors:
        with form.judged():
            made, _ = await flow.create_organisation(request.app[DESK].pool, name)
            return see_other(request, f"{PATH}/{made.id}", done="created")
    return await _show_tree(request, form, status=_status(request, form))


async def organisation_page(request: web.Request) -> web.Response:
    """Show one organisation, with the forms that change it."""
    return await _show(request, {})


async def _find(request: web.Request, conn: Connection) -> Organisation:
    number = our_number(request.match_info["number"])
    found = await organisations.list_organisations(conn, among=[number], limit=1)
    if not found:
        raise NotFound(f"there is no organisation {request.match_info['number'][:80]!r}")
    return found[0]


async def _show(
    request: web.Request, forms: Mapping[str, Form], *, status: int = 200
) -> web.Response:
    after = our_number(request.query.get("after", ""))
    async with snapshot(request.app[DESK].pool) as conn:
        now = await batches.read_now(conn)
        one = await _find(request, conn)
        said = await places.list_places(conn, one.id)
        everyone = await organisations.list_organisations(conn, among=None, limit=TREE_MAX)
        holds = holds_of(await places.read_places(conn))
        hanging = await organisations.list_projects_of(
            conn, one.id, now, after_id=after, limit=PROJECTS_PER_PAGE + 1
        )
        given = await budgets.list_budgets(conn, one.id, limit=BUDGETS_MAX)
        balance = (await budget_flow.read_budget_balances(conn, [one.id])).get(one.id)
    shown = hanging[:PROJECTS_PER_PAGE]
    burned = Burned((), 0) if balance is None else balance.burned
    filled = {name: forms.get(name) or Form() for name in (*_FORMS, *forms)}
    filled["budget"].key()
    path = f"{PATH}/{one.id}"
    context = {
        "organisation": one,
        "places": said[::-1],
        "children": _children(everyone, holds, one.id, now),
        "names": sorted({node.name for node in everyone if node.id != one.id}),
        "hanging": shown,
        "next_path": f"{path}?after={shown[-1].project.id}"
        if len(hanging) > PROJECTS_PER_PAGE
        else "",
        "first_path": path if after else "",
        "budgets": [budget_line(budget, burned, now) for budget in given],
        "balance": balance,
        "forms": filled,
        "path": path,
        "now": now,
        "this_hour": floor_hour(now).strftime(HOUR_FORMAT),
        "done": _done(request),
    }
    return render(request, "admin/organisation.html", context, status=status)


def _children(
    everyone: Sequence[Organisation], holds: Sequence[Hold], number: int, now: datetime
) -> list[tuple[Organisation, datetime]]:
    """Give the organisations that hang on one now, by name, and since when."""
    known = {one.id: one for one in everyone}
    found = [
        (known[hold.below], hold.start)
        for hold in holds
        if hold.above == number and hold.start <= now < hold.end and hold.below in known
    ]
    return sorted(found, key=lambda one: (one[0].name.casefold(), one[0].id))


async def place(request: web.Request) -> web.Response:
    """Let an organisation hang on another one, or on none, from an hour on."""
    form = form_of(request)
    name, start = form.text("parent"), form.hour("valid_from", needed=True)
    reason = form.text("reason", needed=True)
    async with snapshot(request.app[DESK].pool) as conn:
        one = await _find(request, conn)
        parent = await _parent(conn, form, name) if name else None
    if not form.errors and start is not None:
        with form.judged():
            await flow.place_organisation(
                request.app[DESK].pool,
                PlaceRequest(
                    one.id,
                    None if parent is None else parent.id,
                    start,
                    reason,
                    visitor_of(request).access.name,
                ),
            )
    return await _answer(request, form, one, "parent", "placed")


async def _parent(conn: Connection, form: Form, name: str) -> Organisation | None:
    try:
        return await flow.resolve_organisation(conn, name)
    except NotFound:
        form.wrong("parent", gettext(NO_ORGANISATION))
        return None


async def _answer(
    request: web.Request, form: Form, one: Organisation, name: str, done: str
) -> web.Response:
    if form.is_good:
        return see_other(request, f"{PATH}/{one.id}", done=done)
    return await _show(request, {name: form}, status=_status(request, form))


async def assign(request: web.Request) -> web.Response:
    """Let a project belong to an organisation from an hour on."""
    form = form_of(request)
    name, start = form.text("project", needed=True), form.hour("valid_from", needed=True)
    reason = form.text("reason", needed=True)
    async with snapshot(request.app[DESK].pool) as conn:
        one = await _find(request, conn)
        project = None if form.error("project") else await _project(conn, form, name)
    if not form.errors and start is not None and project is not None:
        with form.judged():
            await flow.place_project(
                request.app[DESK].pool,
                MembershipRequest(
                    project_id=project.id,
                    organisation=one.name,
                    valid_from=start,
                    reason=reason,
                    author=visitor_of(request).access.name,
                ),
            )
    return await _answer(request, form, one, "project", "assigned")


async def _project(conn: Connection, form: Form, name: str) -> Project | None:
    try:
        return await resolve_project(conn, name)
    except NotFound:
        form.wrong("project", gettext(NO_PROJECT))
    except Conflict as error:
        numbers = ", ".join(written_candidate(one) for one in error.candidates)
        form.wrong("project", gettext(SEVERAL, numbers=numbers))
    return None


async def give(request: web.Request) -> web.Response:
    """Give an organisation a budget, once for the form's key."""
    form = form_of(request)
    amount, reason = form.amount("amount"), form.text("reason", needed=True)
    start, end, priority = form.hour("valid_from"), form.hour("expires_at"), form.priority()
    async with snapshot(request.app[DESK].pool) as conn:
        one = await _find(request, conn)
    if not form.errors and amount is not None:
        with form.judged():
            terms = Terms(start, end, priority)
            author = visitor_of(request).access.name
            await budget_flow.give_budget(
                request.app[DESK].pool,
                BudgetRequest(one.id, amount, reason, author, form.key(), terms),
            )
    return await _answer(request, form, one, "budget", "given")


async def void(request: web.Request) -> web.Response:
    """Take back a budget, after a look at what will be left of all of them."""
    form = form_of(request)
    reason = form.text("reason", needed=True)
    number = our_number(request.match_info["budget"])
    async with snapshot(request.app[DESK].pool) as conn:
        one = await _find(request, conn)
        budget = await _budget(conn, one, number)
        found = await budget_flow.read_budget_balances(conn, [one.id])
    if not form.errors and form.value("confirmed") != "yes":
        return _ask(request, form, one, budget, found.get(one.id))
    if not form.errors:
        with form.judged():
            await budget_flow.void_budget(
                request.app[DESK].pool,
                one.id,
                number,
                reason=reason,
                author=visitor_of(request).access.name,
            )
    return await _answer(request, form, one, f"void-{number}", "voided")


async def _budget(conn: Connection, one: Organisation, number: int) -> Budget:
    found = await budgets.list_budgets(conn, one.id, after_id=number - 1, limit=1)
    if not found or found[0].id != number:
        raise NotFound(f"this organisation has no budget {number}")
    return found[0]


def _ask(
    request: web.Request,
    form: Form,
    one: Organisation,
    budget: Budget,
    balance: BudgetBalance | None,
) -> web.Response:
    left = NOTHING if balance is None else balance.balance
    # What waits for its hour is not in the balance yet.
    counts = balance is not None and budget.valid_from <= balance.as_of and not budget.is_void
    moved = budget.amount.copy_negate() if counts else NOTHING
    context = {
        "title": gettext("Take back this budget?"),
        "action": f"{PATH}/{one.id}/budgets/{budget.id}/void",
        "back": f"{PATH}/{one.id}",
        "fields": {"reason": form.value("reason")},
        "reason": form.value("reason"),
        "what": gettext("Organisation"),
        "lines": [
            {
                "name": one.name,
                "href": f"{PATH}/{one.id}",
                "site": "",
                "before": left,
                "moved": moved,
                "after": added(left, moved),
            }
        ],
        "exact": exact_text,
    }
    return render(request, "admin/confirm.html", context)
