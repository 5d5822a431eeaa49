"""A connection to the service that sends what it likes, when it likes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from multidict import CIMultiDict

from tests.conformance.doors import Door, Reply

REPLY_SECONDS_MAX = 20


class RawConnection:
    """One socket, and the answers that come by it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, sent: bytes) -> None:
        """Send bytes; that the other side has hung up shows when its answer is read."""
        with suppress(ConnectionError):
            self._writer.write(sent)
            await self._writer.drain()

    async def reply(self) -> Reply | None:
        """Read one answer; None if the connection is closed before its first byte."""
        async with asyncio.timeout(REPLY_SECONDS_MAX):
            try:
                first = await self._reader.read(1)
            except ConnectionError:
                return None
            if not first:
                return None
            start = first + await self._reader.readuntil(b"\r\n\r\n")
            status_line, *lines = start.decode("latin-1").split("\r\n")[:-2]
            headers: CIMultiDict[str] = CIMultiDict()
            for line in lines:
                name, _, value = line.partition(": ")
                headers.add(name, value)
            body = await self._reader.readexactly(int(headers.get("Content-Length", "0")))
        return Reply(int(status_line.split()[1]), headers, body.decode())

    async def status(self) -> int | None:
        """Read how an answer begins; None if the connection is closed before its first byte."""
        async with asyncio.timeout(REPLY_SECONDS_MAX):
            try:
                line = await self._reader.readline()
            except ConnectionError:
                return None
        return int(line.split()[1]) if line else None

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[RawConnection]:
    """Open a connection, and hang up at the end."""
    connection = await connect(url)
    try:
        yield connection
    finally:
        connection.close()


async def connect(url: str) -> RawConnection:
    """Open a connection."""
    parts = urlsplit(url)
    return RawConnection(*await asyncio.open_connection(parts.hostname, parts.port))


def head(door: Door, key: str, length: int | None, *more: str) -> bytes:
    """Write the head of a push; without a length its body comes in chunks."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    headers = [f"{name}: {value}" for name, value in door.headers.items()]
    authorization = [f"Authorization: Bearer {key}"] if key else []
    lines = [f"POST {door.path} HTTP/1.1", "Host: x", framing, *authorization, *headers, *more]
    return "\r\n".join([*lines, "", ""]).encode()


def request(door: Door, key: str, body: bytes) -> bytes:
    """Write a whole push."""
    return head(door, key, len(body)) + body
