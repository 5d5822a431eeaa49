"""A proxy on the way to a server: passes on what it gets, unless it is told to cut."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from scripts.ports import LOOPBACK

PIECE_BYTES_MAX = 65536
# How much of a request is remembered, to be sent again.
REQUEST_BYTES_MAX = 10**6


def _never(_: bytes) -> bool:
    return False


class Proxy:
    """One way to one port.

    `cuts_after` sees each piece of a request once it was passed on, `cuts_before` each piece of
    an answer before that; who says true has both ends closed. When an exchange is over, what
    `repeats` says true to is sent a second time, and its answer is thrown away.
    """

    def __init__(
        self,
        port: int,
        *,
        cuts_after: Callable[[bytes], bool] = _never,
        cuts_before: Callable[[bytes], bool] = _never,
        repeats: Callable[[bytes], bool] = _never,
    ) -> None:
        self.port = 0
        self.cuts = 0
        self.repetitions = 0
        self._upstream = port
        self._cuts_after = cuts_after
        self._cuts_before = cuts_before
        self._repeats = repeats
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Listen on a port of its own meanwhile."""
        server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = bytearray()

        def is_cut(piece: bytes) -> bool:
            request.extend(piece[: REQUEST_BYTES_MAX - len(request)])
            return self._cuts_after(piece)

        with suppress(OSError):
            async with _closing(writer), _connected(self._upstream) as (answers, upstream):
                ways = [
                    asyncio.create_task(self._pass_on(reader, upstream, after=is_cut)),
                    asyncio.create_task(self._pass_on(answers, writer, before=self._cuts_before)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
            if self._repeats(bytes(request)):
                self.repetitions += 1
                await self._repeat(bytes(request))

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        after: Callable[[bytes], bool] = _never,
        before: Callable[[bytes], bool] = _never,
    ) -> None:
        """Pass pieces on until the end or until a cut."""
        while piece := await reader.read(PIECE_BYTES_MAX):
            if before(piece):
                self.cuts += 1
                return
            writer.write(piece)
            await writer.drain()
            if after(piece):
                self.cuts += 1
                return

    async def _repeat(self, request: bytes) -> None:
        async with _connected(self._upstream) as (answers, upstream):
            upstream.write(request)
            while await answers.read(PIECE_BYTES_MAX):
                pass


@asynccontextmanager
async def _connected(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    async with _closing(writer):
        yield reader, writer


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
