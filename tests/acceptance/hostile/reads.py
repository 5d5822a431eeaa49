"""Everything that can be read: the document says what, so that a new route is asked by itself."""

import asyncio
from dataclasses import replace
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


async def _read(
    scene: Scene, service: Service, path: str, needed: set[str], media_type: str
) -> list[Answer]:
    async def read(kind: str) -> Answer:
        values = await _values_for(scene, service, kind)
        filled = _filled(path, needed, values)
        headers = {"Accept": media_type}
        return await ask(scene, service, filled, kind, key="admin", headers=headers, route=path)

    harmless = await read(HARMLESS)
    if not needed:
        return [replace(harmless, kind="")]
    others = [kind for kind in PAYLOADS if kind != HARMLESS]
    if PAYLOADS[HARMLESS] in harmless.text:
        others.append(GATHERING)
    else:
        others = [*others[::SILENT_STEP], GATHERING]
    return [harmless, *await asyncio.gather(*(read(kind) for kind in others))]


async def _values_for(scene: Scene, service: Service, kind: str) -> dict[str, str]:
    """Give a value for each parameter that a route may need; a new one must be added here."""
    number = scene.numbers[kind]
    if kind not in scene.entries:
        path = f"/api/v1/projects/%23{number}/entries"
        async with service.request("GET", path, key="admin") as response:
            scene.entries[kind] = (await response.json())["entries"][-1]["id"]
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
        "login_id": "1",
        "series": "1",
        "host": "1",
        "meter": "project_vcpu_usage",
        "when": "2026-01",
        "token": "x" * 43,
        "number": str(number),
        "key_id": "1",
        "hour": f"{scene.start:%Y-%m-%dT%H:%MZ}",
        "flavor": text,
        "organisation": organisation if organisation != ".." else "#1",
    }


def _filled(path: str, needed: set[str], values: dict[str, str]) -> str:
    query = []
    for name in sorted(needed):
        value = quote(values[name], safe="")
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", value)
        else:
            query.append(f"{name}={value}")
    return f"{path}?{'&'.join(query)}" if query else path
