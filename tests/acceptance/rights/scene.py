"""Three projects in two organisations, people of every role, and words that nobody else may see."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from os_credits.domain.access import Scope
from tests.acceptance.conftest import Service
from tests.acceptance.logged_in import Visitor, visitor

HOUR_MS = 3_600_000
# Projects, each with the word that stands in all that is stored of it.
MINE, OURS, THEIRS, UNKNOWN = "ownlab", "sidelab", "farlab", "nolab"
MARKS = {one: f"mark-{one}" for one in (MINE, OURS, THEIRS)}
NORTH, SOUTH = "north", "south"
# Who is let in how, and which projects each sees.
ALL = frozenset({MINE, OURS, THEIRS})
SEES: Mapping[str, frozenset[str]] = {
    "nobody": frozenset(),
    "administrator": ALL,
    "manager": frozenset({MINE, OURS}),
    "owner": frozenset({MINE}),
    "member": frozenset({MINE}),
    "stranger": frozenset({THEIRS}),
    "key_ingest": frozenset(),
    "key_read": ALL,
    "key_limited": frozenset({MINE}),
    "key_admin": ALL,
}
PEOPLE = ("administrator", "manager", "owner", "member", "stranger")
MANAGES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(SEES, frozenset[str]()),
    "administrator": ALL,
    "key_admin": ALL,
    "manager": frozenset({MINE, OURS}),
    "owner": frozenset({MINE}),
    "stranger": frozenset({THEIRS}),
}
ADMINISTERS = ("administrator", "key_admin")
SEES_ORGANISATIONS: Mapping[str, frozenset[str]] = {
    role: frozenset(([NORTH] if seen & {MINE, OURS} else []) + ([SOUTH] if THEIRS in seen else []))
    for role, seen in SEES.items()
}


@dataclass(frozen=True, slots=True)
class Scene:
    """The running service, how each role asks it, and the numbers of what it stores."""

    service: Service
    visitors: Mapping[str, Visitor]
    keys: Mapping[str, str]
    numbers: Mapping[str, Mapping[str, str]]

    def ask(self, role: str, method: str, path: str, **more: Any) -> Any:
        """Ask in a role."""
        if role in self.visitors:
            return self.visitors[role].request(method, path, **more)
        more.setdefault("allow_redirects", False)
        key = self.keys.get(role)
        return self.service.request(method, path, key=key, **more)


async def make_scene(service: Service) -> Scene:
    """Store everything, and let everybody log in."""
    for project, organisation in ((MINE, NORTH), (OURS, NORTH), (THEIRS, SOUTH)):
        await _make_project(service, project, organisation)
    for organisation in (NORTH, SOUTH):
        budget = {
            "amount": "500",
            "reason": f"mark-{organisation}",
            "idempotency_key": organisation,
        }
        await _send(service, "POST", f"/api/v1/organisations/{organisation}/budgets", budget)
    await _push(service)
    people = {role: visitor(service, f"{role}@example.org", name=role) for role in PEOPLE[1:]}
    people["administrator"] = visitor(
        service, "administrator@example.org", name="administrator", is_administrator=True
    )
    with psycopg.connect(service.settings.database_url) as conn:
        conn.execute(
            "INSERT INTO manager (organisation_id, email, author)"
            " SELECT id, 'manager@example.org', 'test' FROM organisation WHERE name = %s",
            [NORTH],
        )
    keys = {f"key_{scope.value}": service.keys[scope.value] for scope in Scope}
    keys["key_limited"] = await service.new_key(Scope.READ, projects=(MINE,))
    return Scene(service, people, keys, _numbers(service))


async def _send(service: Service, method: str, path: str, body: Any) -> Any:
    async with service.request(method, path, key="admin", json=body) as response:
        assert response.status < 300, (method, path, await response.text())
        return await response.json()


async def _make_project(service: Service, name: str, organisation: str) -> None:
    mark = MARKS[name]
    await _send(
        service,
        "POST",
        "/api/v1/projects",
        {"name": name, "site": mark, "external_id": f"{mark}-id"},
    )
    place = {"organisation": organisation, "reason": mark, "valid_from": "2020-01-01T00:00:00Z"}
    await _send(service, "POST", f"/api/v1/projects/{name}/organisation", place)
    grant = {"amount": "100", "reason": mark, "idempotency_key": mark}
    await _send(service, "POST", f"/api/v1/projects/{name}/grants", grant)
    roles = {MINE: [("owner", "owner"), ("member", "member")], THEIRS: [("stranger", "owner")]}
    people = [
        {"email": f"{person}@example.org", "name": f"{mark}-{role}", "role": role}
        for person, role in roles.get(name, [])
    ]
    people.append({"email": f"{mark}@example.org", "name": mark, "role": "owner"})
    await _send(service, "PUT", f"/api/v1/projects/{name}/owners", {"owners": people})
    exclusion = {
        "starts_at": "2020-01-01T00:00:00Z",
        "ends_at": "2020-01-02T00:00:00Z",
        "reason": mark,
    }
    await _send(service, "POST", f"/api/v1/projects/{name}/exclusions", exclusion)


async def _push(service: Service) -> None:
    now_ms = time.time_ns() // 1_000_000
    lines = []
    for mark in MARKS.values():
        tags = f"tenant_id={mark}-id,project_name={mark[5:]},location_id={mark},id={mark}-server"
        lines += [
            f"openstack_nova_server_status,{tags},flavor_id={mark}-flavor,status=ACTIVE,host={mark}"
            f" value=0 {(now_ms - minute * 60_000) * 1_000_000}"
            for minute in range(0, 300, 10)
        ]
    async with service.request("POST", "/write", key="ingest", data="\n".join(lines)) as response:
        assert response.status == 204, await response.text()
    await service.rated()


def _numbers(service: Service) -> dict[str, dict[str, str]]:
    """Give our number of the things of each project, by what paths call them."""
    found: dict[str, dict[str, str]] = {}
    with psycopg.connect(service.settings.database_url) as conn:
        for project in ALL:
            [(number,)] = conn.execute(
                "SELECT id FROM project WHERE name = %s", [project]
            ).fetchall()
            one = {"project": f"%23{number}"}
            for part, table in (
                ("grant", "project_grant"),
                ("entry_id", "entry"),
                ("exclusion", "exclusion"),
                ("series", "series"),
            ):
                [(first,)] = conn.execute(
                    f"SELECT min(id) FROM {table} WHERE project_id = %s".encode(), [number]
                ).fetchall()
                one[part] = str(first)
            found[project] = one
    return found
