"""Roles x routes x projects x methods: every cell as the tables of `rights/scene.py` say (I-12).

What somebody may not see is answered as what does not exist, to the byte, and no answer holds a
word that is stored with it; what somebody may not change leaves no line in the audit log.
"""

import asyncio
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from os_credits.api.routes import ALL_ROUTES, Gate, Route
from os_credits.app import create_app
from tests import database
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.rights.scene import (
    ADMINISTERS,
    ALL,
    MANAGES,
    MARKS,
    MINE,
    NORTH,
    OURS,
    PEOPLE,
    SEES,
    SEES_ORGANISATIONS,
    SOUTH,
    THEIRS,
    UNKNOWN,
    Scene,
    make_scene,
)

pytestmark = pytest.mark.timeout(600)
ROLES = tuple(SEES)
# A body that makes no sense may be told so before anything is looked for.
NOT_THERE = {404, 400, 422}
# Looking at an answer's time and number would find differences that mean nothing.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)|\d\d:\d\d")
# What would end the session that asks, or take long without telling anything of projects.
APART = {"/logout", "/api/v1/session", "/api/doc", "/openapi.json"}
HTML = {"Accept": "text/html"}
# The number of nothing: what deletes or revokes must not take away what others ask with.
NO_NUMBER = "999999"
# Without these a route would not even look for what its path names.
QUERIES = {"/api/v1/projects/{project}/explain": "?hour=2026-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One question: who asks what of which project and organisation."""

    role: str
    route: Route
    project: str
    organisation: str
    path: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    text: str
    headers: str


class Matrix:
    """Asks every cell once, and keeps what came back."""

    def __init__(self, scene: Scene, routes: tuple[Route, ...]) -> None:
        self.scene = scene
        self.routes = [one for one in routes if one.path not in APART and one.gate is not Gate.OPEN]
        self.replies: dict[Cell, Reply] = {}

    def cells(self) -> Iterator[Cell]:
        """Give every role, route, and project or organisation."""
        for role in ROLES:
            for route in self.routes:
                for project, organisation in self._objects(route):
                    path = self._path(route, project, organisation)
                    yield Cell(role, route, project, organisation, path)

    def _objects(self, route: Route) -> list[tuple[str, str]]:
        parts = set(route.path_parameters)
        if parts & {"project", "project_name"}:
            return [(one, "") for one in (MINE, OURS, THEIRS, UNKNOWN)]
        if "organisation" in parts:
            return [("", one) for one in (NORTH, SOUTH, UNKNOWN)]
        if parts:
            return [(one, "") for one in (MINE, THEIRS)]
        return [("", "")]

    def _path(self, route: Route, project: str, organisation: str) -> str:
        numbers = self.scene.numbers.get(project, {})
        path = route.path
        for name in route.path_parameters:
            value = numbers.get(name, NO_NUMBER)
            if name in ("project", "project_name"):
                value = project
            elif name == "organisation":
                value = organisation
            elif name == "email":
                value = f"{MARKS.get(project, 'mark')}@example.org"
            path = path.replace(f"{{{name}}}", value)
        return path + QUERIES.get(route.path, "")

    async def ask_all(self) -> None:
        """Ask everything; changes come last, so that they disturb no reading."""
        order = ("GET", "POST", "PUT", "PATCH", "DELETE")
        cells = sorted(self.cells(), key=lambda one: order.index(one.route.method))
        for cell in cells:
            self.replies[cell] = await self._ask(cell)

    async def _ask(self, cell: Cell) -> Reply:
        more: dict[str, Any] = {}
        if cell.route.is_page:
            more["headers"] = HTML
        if cell.route.method != "GET":
            if cell.role in ADMINISTERS:
                # Whoever may everything need not do it: what they send means nothing.
                more["json"] = [0]
            elif cell.route.is_page:
                visitor = self.scene.visitors.get(cell.role)
                more["data"] = {"csrf": visitor.csrf if visitor else ""}
            else:
                more["json"] = body_of(cell)
        async with self.scene.ask(cell.role, cell.route.method, cell.path, **more) as response:
            text = await response.text(errors="replace")
            return Reply(response.status, text, str(response.headers))


def body_of(cell: Cell) -> Any:
    """Give a body that the route would carry out for whoever may."""
    route = cell.route
    match route.path.rpartition("/")[2]:
        case "owners":
            new = {"email": f"new-{cell.role}@example.org"}
            people = [
                {"email": "owner@example.org"},
                {"email": "member@example.org", "role": "member"},
            ]
            if route.method == "POST":
                return new
            return {"owners": [new, *(people if cell.project == MINE else [])]}
        case "thresholds":
            return {"percents": ["10"], "reason": "mine"}
    return {}


@pytest.fixture(scope="module")
def matrix(migrated_template: str) -> Iterator[Matrix]:
    """Ask everything once; all tests look at what came back."""

    async def ask(url: str) -> Matrix:
        async with running(settings_for(url)) as service:
            scene = await make_scene(service)
            routes = create_app(service.settings)[ALL_ROUTES]
            matrix = Matrix(scene, tuple(routes))
            await matrix.ask_all()
            return matrix

    with database.database(database.server_url(), template=migrated_template) as url:
        yield asyncio.run(ask(database.as_service(url)))


def refusals(gate: Gate, role: str) -> set[int]:
    """Give with what a role is turned away from a gate, whatever is behind it."""
    if role == "nobody":
        return set() if gate is Gate.VISITOR else {401}
    if gate is Gate.VISITOR:
        return set()
    if role in PEOPLE:
        closed = gate is Gate.INGEST or (gate is Gate.ADMIN and role not in ADMINISTERS)
        return {401, 403} if closed else set()
    opens = {
        "key_ingest": {Gate.INGEST},
        "key_read": {Gate.READ, Gate.COMPAT},
        "key_limited": {Gate.READ, Gate.COMPAT},
        "key_admin": {*Gate} - {Gate.PERSON},
    }
    return set() if gate in opens[role] else {401, 403}


def test_the_matrix_is_as_large_as_the_service(matrix: Matrix) -> None:
    assert len(matrix.replies) > 2000
    assert {cell.route.gate for cell in matrix.replies} == {*Gate} - {Gate.OPEN}


def test_nothing_fails(matrix: Matrix) -> None:
    failed = {
        (cell.role, cell.route.method, cell.path): reply.status
        for cell, reply in matrix.replies.items()
        if reply.status >= 500
    }
    assert failed == {}


def test_every_cell_is_as_the_tables_say(matrix: Matrix) -> None:
    wrong = {
        (cell.role, cell.route.method, cell.path, cell.route.gate.value): (reply.status, said)
        for cell, reply in matrix.replies.items()
        if (said := wrong_of(cell, reply))
    }
    assert wrong == {}


def wrong_of(cell: Cell, reply: Reply) -> str:
    """Say what is wrong with a cell's status; '' if nothing is."""
    gate, role, status = cell.route.gate, cell.role, reply.status
    if refused := refusals(gate, role):
        allowed = refused | ({303} if cell.route.is_page else set())
        if cell.route.is_page_too and "text/html" in reply.headers:
            allowed.add(303)
        return "" if status in allowed else f"must be refused with {sorted(refused)}"
    if gate is Gate.VISITOR:
        return ""
    if status == 401:
        return "is let in by the gate"
    return _wrong_behind_the_gate(cell, status)


def _wrong_behind_the_gate(cell: Cell, status: int) -> str:
    role = cell.role
    named = set(cell.route.path_parameters) & {"project", "project_name"}
    if named and cell.project not in SEES[role]:
        hides = NOT_THERE | ({415} if role in ADMINISTERS else set())
        return "" if status in hides else "what is not seen is not there"
    organisations = SEES_ORGANISATIONS[role]
    if cell.organisation and cell.organisation not in organisations:
        limited = role in ("owner", "member", "stranger", "key_limited")
        hides = (
            NOT_THERE | ({403} if limited else set()) | ({415} if role in ADMINISTERS else set())
        )
        return "" if status in hides else "what is not seen is not there"
    if cell.route.gate is not Gate.MANAGE:
        return ""
    if "managers" in cell.route.path and cell.route.method != "GET":
        # Who manages an organisation is said by those above it.
        manages = role in ADMINISTERS
    else:
        manages = _manages(cell, named)
    if manages and status == 403:
        return "is managed"
    if not manages and status < 400:
        return "is not managed"
    return ""


def _manages(cell: Cell, named: set[str]) -> bool:
    role = cell.role
    manages = cell.project in MANAGES[role] if named else role in ("manager", *ADMINISTERS)
    return role in ADMINISTERS if cell.organisation == SOUTH else manages


def test_no_answer_holds_what_its_reader_may_not_see(matrix: Matrix) -> None:
    leaks = {
        (cell.role, cell.route.method, cell.path): word
        for cell, reply in matrix.replies.items()
        for word in hidden_from(cell.role)
        if word in said_beyond(cell, reply)
    }
    assert leaks == {}


def hidden_from(role: str) -> list[str]:
    """Give the words that must not come to a role."""
    words = [MARKS[project] for project in ALL - SEES[role]]
    if NORTH not in SEES_ORGANISATIONS[role]:
        words.append("mark-north")
    if SOUTH not in SEES_ORGANISATIONS[role]:
        words.append("mark-south")
    return words


def said_beyond(cell: Cell, reply: Reply) -> str:
    """Give what an answer says besides repeating the path that was asked for."""
    said = reply.text + reply.headers
    for part in cell.path.split("/"):
        if part.startswith("mark"):
            said = said.replace(part, "").replace(part.replace("@", "%40"), "")
    return said


def test_a_foreign_project_looks_as_one_that_does_not_exist(matrix: Matrix) -> None:
    twins = {
        (cell.role, cell.route.method, cell.route.path): (cell.path, reply)
        for cell, reply in matrix.replies.items()
        if cell.project == UNKNOWN
    }
    different = []
    for cell, reply in matrix.replies.items():
        path, twin = twins.get((cell.role, cell.route.method, cell.route.path), ("", None))
        if twin is None or cell.project not in ALL - SEES[cell.role]:
            continue
        same = reply.text
        for form in (str, partial(quote, safe="")):
            same = same.replace(form(cell.path), form(path))
        mine = MOMENT.sub("", same.replace(cell.project, UNKNOWN))
        if (reply.status, mine) != (twin.status, MOMENT.sub("", twin.text)):
            apart = difflib.unified_diff(
                MOMENT.sub("", twin.text).splitlines(), mine.splitlines(), lineterm="", n=0
            )
            different.append((cell.role, cell.route.method, cell.path, *list(apart)[2:6]))
    assert different == []


def test_whoever_may_not_change_anything_has_changed_nothing(matrix: Matrix) -> None:
    with psycopg.connect(matrix.scene.service.settings.database_url) as conn:
        made = conn.execute(
            "SELECT DISTINCT l.email, a.subject, p.name FROM audit a"
            " JOIN login l ON l.id = a.login_id LEFT JOIN project p ON p.id = a.project_id"
        ).fetchall()

    by_person = {
        (email.partition("@")[0], subject, project)
        for email, subject, project in made
        if subject != "login"  # everybody's own
    }
    strange = {
        (role, subject, project)
        for role, subject, project in by_person
        if role not in ADMINISTERS
        and (project is not None or role != "manager")
        and project not in MANAGES[role]
    }
    assert strange == set()
    # And the table of rights is no table of refusals: whoever may, did.
    assert {("manager", "project_owner", OURS), ("owner", "project_owner", MINE)} <= by_person
    assert "member" not in {role for role, _, _ in by_person}
