"""How many connections are open at once, and which of them make room for others.

A connection *waits* while it is the peer's turn: for the head of a request, for its body, or
between two requests. A stranger's (nobody was let in by it yet) is closed if no request comes in
time. When there are too many, the one that has waited longest makes room, strangers before all
others: a thousand sockets that send half a request keep no honest sender out. Whoever is cut off
so has had no answer, and comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from os_credits.api.transient import TURNED_AWAY

SWEEP_SECONDS = 1.0
# What has no transport for so long is gone; younger, it may not have been given it yet.
GONE_SECONDS = 2.0

# Connections that wait, the longest first, and since when.
_Waiting = dict[RequestHandler, float]


class Connections:
    """The connections of one process and their bounds."""

    def __init__(self, connections_max: int, head_timeout_seconds: float) -> None:
        """Start with none; a stranger has `head_timeout_seconds` for its first request's head."""
        self._connections_max = connections_max
        self._head_timeout_seconds = head_timeout_seconds
        self._server: web.Server | None = None
        self._strangers: _Waiting = {}
        self._guests: _Waiting = {}
        self.cut_count = 0

    @property
    def open_count(self) -> int:
        """Count the connections that are open."""
        return len(self._server.connections) if self._server else 0

    def accept(self, server: web.Server) -> asyncio.Protocol:
        """Make the protocol of a new connection to `server`."""
        self._server = server
        if self.open_count >= self._connections_max and not self._make_room():
            self.cut_count += 1
            return _TurnedAway()
        protocol = server()
        self._strangers[protocol] = self._now()
        return protocol

    @contextmanager
    def at_work(self, request: web.Request, was_let_in: Callable[[], bool]) -> Iterator[None]:
        """Note that it is our turn on this request's connection, until the answer is made."""
        protocol = request.protocol
        is_guest = self._guests.pop(protocol, None) is not None
        self._strangers.pop(protocol, None)
        try:
            yield
        finally:
            waiting = self._guests if is_guest or was_let_in() else self._strangers
            waiting[protocol] = self._now()

    @contextmanager
    def waiting_for_body(self, request: web.Request) -> Iterator[None]:
        """Note that it is the peer's turn to send the body of this request."""
        self._guests[request.protocol] = self._now()
        try:
            yield
        finally:
            self._guests.pop(request.protocol, None)

    async def sweep(self) -> None:
        """Close strangers that wait too long, again and again until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.close_overdue()

    def close_overdue(self) -> None:
        """Forget the connections that are gone, and close the strangers' that are overdue."""
        gone = self._now() - GONE_SECONDS
        for waiting in (self._strangers, self._guests):
            for protocol in [
                one for one, since in waiting.items() if one.transport is None and since < gone
            ]:
                del waiting[protocol]
        oldest = self._now() - self._head_timeout_seconds
        for protocol in [one for one, since in self._strangers.items() if since < oldest]:
            self._cut(self._strangers, protocol)

    def _make_room(self) -> bool:
        """Cut the connection that has waited longest; tells whether there was one."""
        for waiting in (self._strangers, self._guests):
            for protocol in list(waiting):
                if self._cut(waiting, protocol):
                    return True
        return False

    def _cut(self, waiting: _Waiting, protocol: RequestHandler) -> bool:
        if not isinstance(protocol.transport, asyncio.Transport):
            return False  # gone, or one of many that come at once and is not quite there yet
        del waiting[protocol]
        protocol.transport.abort()
        self.cut_count += 1
        return True

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class _TurnedAway(asyncio.Protocol):
    """Sends a connection away that is one too many, so that it comes again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer before anything was asked, and hang up."""
        one_way = cast("asyncio.WriteTransport", transport)
        one_way.write(TURNED_AWAY)
        one_way.close()
