"""Everything that can be read: the document says what, so that a new route is asked by itself."""

import asyncio
from urllib.parse import quote

from tests.acceptance.conftest import Service
from tests.acceptance.hostile.fields import NAME_LENGTH_MAX
from tests.acceptance.hostile.people import printable
from tests.acceptance.hostile.scene import Scene, ask
from tests.payloads import PAYLOADS


async def read_everything(scene: Scene, service: Service) -> None:
    """Ask every documented GET route, of every project where it names one."""
    async with service.request("GET", "/openapi.json") as response:
        document = await response.json()
    asked = []
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        operation = operations["get"]
        needed = {one["name"] for one in operation.get("parameters", []) if one.get("required")}
        success = operation["responses"].get("200", {"content": {"application/json": {}}})
        for media_type in success.get("content", {"*/*": {}}):
            if not needed:
                asked.append(
                    ask(scene, service, path, "", key="admin", headers={"Accept": media_type})
                )
            for kind in scene.numbers if needed else ():
                values = await _values_for(scene, service, kind)
                filled = _filled(path, needed, values)
                headers = {"Accept": media_type}
                asked.append(
                    ask(scene, service, filled, kind, key="admin", headers=headers, route=path)
                )
    scene.answers += await asyncio.gather(*asked)


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
    organisation = text[:NAME_LENGTH_MAX] if kind in printable(name=True) else "x"
    return {
        "project": by_name,
        "project_name": by_name,
        "entry_id": str(scene.entries[kind]),
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
