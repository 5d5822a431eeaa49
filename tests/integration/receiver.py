"""A real HTTP server on a loopback port that is posted to, and answers as a test asks for."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

HANG = -1


@dataclass(frozen=True)
class Post:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """What it received, and the statuses that it answers next, or HANG; else 200."""

    port: int = 0
    answers: deque[int] = field(default_factory=deque)
    text: str = ""
    received: list[Post] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Give where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Keep what came, then answer."""
        self.received.append(Post(request.path, request.headers.copy(), await request.read()))
        status = self.answers.popleft() if self.answers else 200
        if status == HANG:
            await asyncio.sleep(3600)
        headers = {"Location": f"{self.url}/elsewhere"} if status // 100 == 3 else {}
        return web.Response(status=status, text=self.text, headers=headers)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Run one in this event loop."""
    state = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", state.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.port = runner.addresses[0][1]
    try:
        yield state
    finally:
        await runner.cleanup()
