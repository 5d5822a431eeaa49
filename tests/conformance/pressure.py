"""Trouble that passes and that the service has with itself: no connection, no room, no time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.acceptance.conftest import Service
from tests.conformance.answers import Cell, Matrix
from tests.conformance.causes import blocked, owner, until_waiting
from tests.conformance.doors import DOORS, STORING, Reply, push
from tests.conformance.raw import connected, head, request

WAITING_SECONDS_MAX = 10


@asynccontextmanager
async def no_free_connection(service: Service, url: str) -> AsyncIterator[None]:
    """Let requests that wait for a lock hold every connection of the pool."""
    count = service.settings.database_connections_max
    async with asyncio.TaskGroup() as group, blocked(url):
        for number in range(count):
            group.create_task(push(service, STORING[0], b"", key=f"osc_unknown_{number}"))
        async with owner(url, elsewhere=True) as observer:
            await until_waiting(observer, url, count)
        yield


@asynccontextmanager
async def no_room_for_bodies(service: Service, url: str) -> AsyncIterator[None]:
    """Let two senders hold all the room that bodies may take, each its half of it."""
    del url
    size = service.settings.bodies_bytes_max // 2
    async with connected(service.url) as one, connected(service.url) as other:
        for connection, key in ((one, "ingest"), (other, "admin")):
            start = head(STORING[-1], service.keys[key], None)
            await connection.send(b"%s%x\r\n%s\r\n" % (start, size, b" " * size))
        async with asyncio.timeout(WAITING_SECONDS_MAX):
            while await _held_bytes(service) < 2 * size:
                await asyncio.sleep(0.01)
        yield


async def _held_bytes(service: Service) -> int:
    async with service.request("GET", "/stats?verbose", key="admin") as response:
        return int((await response.json())["body_bytes_held"])


async def go_through_half_sent_bodies(matrix: Matrix, cells: list[Cell]) -> None:
    """Send half of each body only, wait for the answer, and send all of it then."""

    async def half_send(cell: Cell) -> None:
        async with connected(matrix.service.url) as connection:
            half = cell.body[: len(cell.body) // 2]
            await connection.send(head(cell.door, cell.key, len(cell.body)) + half)
            reply = await connection.reply()
        assert reply is not None, cell
        matrix.note(cell, reply)

    await asyncio.gather(*map(half_send, cells))
    await matrix.come_again(cells)


async def turned_away_at_once(service: Service, url: str) -> dict[str, Reply | None]:
    """Let requests at work hold every connection; gives what the next one gets, by door.

    Such an answer is given before anything was asked.
    """
    count = service.settings.connections_max
    async with AsyncExitStack() as stack, blocked(url), owner(url, elsewhere=True) as observer:
        for number in range(count):
            connection = await stack.enter_async_context(connected(service.url))
            await connection.send(request(STORING[0], f"osc_unknown_{number}", b""))
        await until_waiting(observer, url, count)
        replies = {}
        for door in DOORS:
            async with connected(service.url) as connection:
                await connection.send(request(door, service.keys["ingest"], door.write([])))
                replies[door.name] = await connection.reply()
        return replies
