"""Everything that can be read: the document says what, so that a new route is asked by itself."""

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from tests.acceptance.conftest import Service
from tests.acceptance.hostile.fields import GATHERING, HARMLESS, NAME_LENGTH_MAX
from tests.acceptance.hostile.people import printable
from tests.acceptance.hostile.scene import Answer, Scene, ask
from tests.payloads import PAYLOADS

# Of routes that show no text of a project, every so many projects are asked.
SILENT_STEP = 8


async def read_everything(scene: Scene, service: Service) -> None:
    """Ask every documented GET route, of every project where it names one.

    A route that says nothing of a project's texts, seen by the harmless one, is asked of a few.
    """
    await number_what_people_stored(scene, service)
    async with service.request("GET", "/openapi.json") as response:
        document = await response.json()
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        operation = operations["get"]
        needed = {one["name"] for one in operation.get("parameters", []) if one.get("required")}
        success = operation["responses"].get("200", {})
        for media_type in success.get("content", {"*/*": {}}):
            scene.answers += await _read(scene, service, path, needed, media_type)


async def _listed(service: Service, path: str) -> Any:
    """Ask for a list that the document calls as its path ends."""
    async with service.request("GET", f"/api/v1/{path}", key="admin") as response:
        answer = await response.json()
        assert response.status == 200, answer
    return answer[path.rpartition("/")[2].partition("?")[0]]


async def number_what_people_stored(scene: Scene, service: Service) -> None:
    """Find our numbers of the organisations and logins that have a payload as their name."""
    by_name = {one["name"]: one["id"] for one in await _listed(service, "organisations")}
    by_email = {one["email"]: one["id"] for one in await _listed(service, "logins?limit=1000")}
    scene.organisations[GATHERING] = by_name[GATHERING]
    for place, (kind, text) in enumerate(PAYLOADS.items()):
        if text[:NAME_LENGTH_MAX] in by_name:
            scene.organisations[kind] = by_name[text[:NAME_LENGTH_MAX]]
        if f"login-{place}@example.org" in by_email:
            scene.logins[kind] = by_email[f"login-{place}@example.org"]


async def _read(
    scene: Scene, service: Service, path: str, needed: set[str], media_type: str
) -> list[Answer]:
    async def read(kind: str) -> Answer:
        values = await values_for(scene, service, kind, path)
        address = filled(path, needed, values)
        headers = {"Accept": media_type}
        return await ask(scene, service, address, kind, key="admin", headers=headers, route=path)

    harmless = await read(HARMLESS)
    if not needed:
        return [replace(harmless, kind="")]
    others = [kind for kind in PAYLOADS if kind != HARMLESS]
    if PAYLOADS[HARMLESS] in harmless.text:
        others.append(GATHERING)
    else:
        others = [*others[::SILENT_STEP], GATHERING]
    return [harmless, *await asyncio.gather(*(read(kind) for kind in others))]


async def values_for(scene: Scene, service: Service, kind: str, path: str) -> dict[str, str]:
    """Give a value for each parameter that a route may need; a new one must be added here."""
    number = scene.numbers[kind]
    if kind not in scene.entries:
        entries = await _listed(service, f"projects/%23{number}/entries")
        scene.entries[kind] = entries[-1]["id"]
        grants = await _listed(service, f"projects/%23{number}/grants")
        scene.grants[kind] = grants[-1]["id"] if grants else 1
    text = PAYLOADS.get(kind, kind)
    # Browsers and clients take .. for a step, and #1 is a number of ours.
    by_name = f"#{number}" if text in {"..", "#1"} else text
    is_name = kind == GATHERING or kind in printable(name=True)
    organisation = text[:NAME_LENGTH_MAX] if is_name else "x"
    return {
        "project": by_name,
        "project_name": by_name,
        "entry_id": str(scene.entries[kind]),
        "email": f"owner-{list(PAYLOADS).index(kind) if kind in PAYLOADS else 0}@example.org",
        "login_id": str(scene.logins.get(kind, 1)),
        "series": "1",
        "host": "1",
        "meter": "hostile_0",
        "when": "2026-01",
        "token": "x" * 43,
        "number": str(
            scene.organisations.get(kind, scene.organisations[GATHERING])
            if "organisations" in path
            else scene.grants[kind]
        ),
        "key_id": "1",
        "hour": f"{scene.start:%Y-%m-%dT%H:%MZ}",
        "flavor": text,
        "organisation": organisation if organisation != ".." else "#1",
    }


def filled(path: str, needed: set[str], values: dict[str, str]) -> str:
    """Write a path with its values; what it needs and does not name becomes its query."""
    query = []
    for name in sorted(needed):
        value = quote(values[name], safe="")
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", value)
        else:
            query.append(f"{name}={value}")
    return f"{path}?{'&'.join(query)}" if query else path
