"""What senders and readers get wrong, so that answers, examples and log lines repeat it."""

import asyncio
from typing import Any
from urllib.parse import quote, urlsplit

from os_credits.domain.access import Scope
from tests.acceptance.conftest import Service
from tests.acceptance.hostile.fields import GATHERING, metrics_of, one_sample_of, series_of
from tests.acceptance.hostile.scene import Scene, ask
from tests.acceptance.senders import V1
from tests.payloads import PAYLOADS, REFUSED

SECONDS_MAX = 60


async def hand_in_wrongly(scene: Scene, service: Service) -> None:
    """Provoke answers, examples and log lines that repeat what a sender wrote, broken or not."""
    one_site = await service.new_key(Scope.INGEST, sites=("elsewhere",))
    for kind, body in ({kind: text.encode() for kind, text in PAYLOADS.items()} | REFUSED).items():
        name = (b"__name__", b"m")
        series = [
            [name, (b"x", body)],
            [name, (body, b"1"), (body, b"2")],
            [(b"__name__", body), (b"__name__", body)],
            [(b"__name__", body), (b"x", b"")],
            [(b"__name__", body), (b"x", b"of a metric that nobody knows")],
        ]
        lines = (b"m,t=%b value=" % body, b"%b value=1 x" % body, b'm f="%b' % body)
        for path, key, headers, data in (
            ("/api/v1/write", "ingest", V1, series_of(series)),
            ("/api/v1/write", one_site, V1, one_sample_of(kind)),
            ("/write", "ingest", {}, b"\n".join(lines)),
            ("/api/v2/write", "ingest", {}, b"\n".join(lines)),
            ("/telegraf", "ingest", {}, metrics_of(body)),
            ("/telegraf", "ingest", {}, b'{"metrics": [{"name": "%b' % body),
        ):
            await _refuse(scene, service, kind, path, key=key, headers=headers, data=data)
        await _raw(scene, service, kind, body)
        scene.answers.append(await ask(scene, service, "/stats", kind, key="admin"))


async def ask_wrongly(scene: Scene, service: Service) -> None:
    """Provoke answers that repeat what stands in an address or in a JSON body."""
    for kind, text in PAYLOADS.items():
        for door in ("/write?precision=", "/api/v2/write?precision=", "/query?q="):
            await _refuse(scene, service, kind, door + quote(text), data=b"")
        for path in mistaken_paths(text):
            scene.refusals.append(await ask(scene, service, path, kind, key="admin"))
        scene.refusals.append(
            await ask(
                scene, service, "/api/v1/keys", kind, method="POST", key="admin", json={text: 1}
            )
        )


def mistaken_paths(text: str) -> list[str]:
    """Give addresses that are wrong by a text, at each place where one can be."""
    name, query = quote(f"{text}?", safe=""), quote(text)
    return [
        f"/nowhere/{name}?x={query}",
        f"/api/v1/projects/{name}?site={query}&domain={query}",
        f"/api/v1/projects/{GATHERING}/explain?hour={query}",
        f"/api/v1/projects/{GATHERING}/explain?hour=2026-01-01&meter={query}",
        f"/api/v1/projects?after={query}&limit={query}",
        f"/api/v1/entries/{name}/explain",
        f"/api/v1/organisations/{name}/usage",
        f"/api/v1/organisations/{name}/parent",
        f"/api/v1/organisations/{name}/balance",
        f"/api/v1/organisations/{name}/thresholds",
        f"/cost_per_hour?flavor={query}",
        f"/api/credits_history/{name}?start_date={query}",
        f"/credits_history/{name}",
        f"/credits_history/{GATHERING}?range={query}",
        f"/?after={query}",
    ]


async def _refuse(scene: Scene, service: Service, kind: str, path: str, **more: Any) -> None:
    key = more.pop("key", "ingest")
    answer = await ask(scene, service, path, kind, method="POST", key=key, **more)
    assert answer.status in {200, 204, 400, 422}, (kind, path, answer)
    scene.refusals.append(answer)


async def _raw(scene: Scene, service: Service, kind: str, text: bytes) -> None:
    """Send a request that no client would: the payload as it is, in path and header."""
    where = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = b"GET /x/%b HTTP/1.1\r\nHost: x\r\nUser-Agent: %b\r\nConnection: close\r\n\r\n"
    writer.write(head % (text, text))
    async with asyncio.timeout(SECONDS_MAX):
        scene.raw[kind] = await reader.read()
    writer.close()
