"""A portal on a free port, as the de.NBI portal answers: with what a test puts into it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import unused_port

PATH = "/secure/granted-credits/"
KEY = "portal-key"


@dataclass
class FakePortal:
    """Answers by the project's name; `asked` lists the names that it was asked for.

    `status` is that of every answer, `seconds` what each takes. A name without an answer is not
    known (404).
    """

    url: str
    answers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one question."""
        if request.headers.get("X-Api-Key") != KEY:
            return web.Response(status=401, text="who are you?")
        [name] = request.query.getall("project_name")
        self.asked.append(name)
        await asyncio.sleep(self.seconds)
        if name not in self.answers:
            return web.Response(status=404, text="not found")
        text = self.answers[name]
        return web.Response(status=self.status, headers=self.headers, text=text)


@asynccontextmanager
async def open_portal() -> AsyncIterator[FakePortal]:
    """Serve a portal until the end."""
    port = unused_port()
    portal = FakePortal(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_get(PATH, portal.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield portal
    finally:
        await runner.cleanup()
