"""smoke"""
import pytest
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.rights.scene import make_scene

async def test_smoke(database_url):
    async with running(settings_for(database_url)) as service:
        scene = await make_scene(service)
        for role in ("administrator",):
            v = scene.visitors[role]
            for path in ("/admin", "/admin/health","/admin/keys","/admin/sources","/admin/people","/admin/people/1","/admin/audit","/admin/addresses/owner%40example.org","/projects/mine/people","/projects/theirs/people","/organisations/north/managers","/admin/keys/1/revoke"):
                status, text = await v.get(path)
                print(role, path, status, len(text))
                if status >= 500: import re; print(re.sub(r"<[^>]+>","",text)[-600:])
        for path in ("/api/v1/sources", "/api/v1/health-report"):
            async with service.request("GET", path, key="admin") as r:
                print(path, r.status, (await r.text())[:1500])
