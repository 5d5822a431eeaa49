"""Sockets that keep to no rule: what is written is told byte by byte, the answer is read or not."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType

CHUNK_BYTES = 64 * 1024
ANSWER_SECONDS_MAX = 130.0
CONNECTING_AT_ONCE_MAX = 100
NO_HEADERS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Victim:
    """Where the service listens, and the attacker's key for pushes."""

    port: int
    key: str

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)


@dataclass(slots=True)
class Outcome:
    """What an attack was answered, by status ("cut" without one), and when each was refused."""

    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, status: str, seconds: float) -> None:
        """Count one answer."""
        self.answers[status] += 1
        self.seconds.append(seconds)


def head(
    path: str, key: str = "", headers: Mapping[str, object] = NO_HEADERS, *, method: str = "POST"
) -> bytes:
    """Write the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: victim"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join([*lines, "", ""]).encode()


def pieces(body: bytes) -> Iterable[bytes]:
    """Cut a body into what is written at once."""
    return (body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES))


def chunked(parts: Iterable[bytes]) -> Iterable[bytes]:
    """Frame parts as chunked transfer encoding does."""
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


async def exchange(
    victim: Victim,
    outcome: Outcome,
    parts: Iterable[bytes],
    seconds_max: float = ANSWER_SECONDS_MAX,
) -> None:
    """Write the parts until there is an answer, and note it with the time since the start."""
    started = time.perf_counter()
    try:
        reader, writer = await victim.connect()
    except OSError:
        outcome.note("cut", time.perf_counter() - started)
        return
    writing = asyncio.create_task(_write(writer, parts))
    try:
        async with asyncio.timeout(seconds_max):
            line = await reader.readline()
        status = line.split(b" ")[1].decode() if line.startswith(b"HTTP/1.") else "cut"
    except TimeoutError:
        status = "no answer"
    except OSError:
        status = "cut"
    outcome.note(status, time.perf_counter() - started)
    writing.cancel()
    with suppress(asyncio.CancelledError, OSError):
        await writing
    writer.transport.abort()


async def post(
    victim: Victim,
    outcome: Outcome,
    path: str,
    body: bytes,
    headers: Mapping[str, object] = NO_HEADERS,
) -> None:
    """Send a request of a declared length."""
    start = head(path, victim.key, {**headers, "Content-Length": len(body)})
    await exchange(victim, outcome, [start, *pieces(body)])


async def _write(writer: asyncio.StreamWriter, parts: Iterable[bytes]) -> None:
    for part in parts:
        writer.write(part)
        await writer.drain()


@asynccontextmanager
async def crowd(
    victim: Victim, count: int, first: bytes
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Open many connections, write the same to each, and hold them."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE_MAX)

    async def one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        async with gate:
            with suppress(OSError):
                reader, writer = await victim.connect()
                writer.write(first)
                return reader, writer
            return None

    opened = [one for one in await asyncio.gather(*(one() for _ in range(count))) if one]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def hold(victim: Victim, outcome: Outcome, count: int, first: bytes, seconds: float) -> None:
    """Hold a crowd for some time, and note what each connection is told and when."""
    started = time.perf_counter()
    async with crowd(victim, count, first) as opened:
        outcome.answers["not connected"] += count - len(opened)

        async def watch(reader: asyncio.StreamReader) -> None:
            status = "open"
            try:
                async with asyncio.timeout(seconds):
                    line = await reader.readline()
                status = line.split(b" ")[1].decode() if line.startswith(b"HTTP") else "closed"
            except TimeoutError:
                outcome.answers[status] += 1
                return
            except OSError:
                status = "closed"
            outcome.note(status, time.perf_counter() - started)

        await asyncio.gather(*(watch(reader) for reader, _ in opened))
