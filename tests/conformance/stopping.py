"""Pushes that meet a service in the middle of its end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.conformance.answers import Cell, Matrix
from tests.conformance.doors import Reply
from tests.conformance.raw import RawConnection, connect, head, request

CLOSING_SECONDS_MAX = 5
HEAD_BYTES_FIRST = 20
UNDER_WAY, BEHIND, HALF_BODY, HALF_HEAD, KEPT_ALIVE, TOO_LATE = SITUATIONS = (
    "under way",
    "behind another",
    "half a body",
    "half a head",
    "kept alive",
    "too late",
)


@dataclass(slots=True)
class Stopping:
    """The connections of all cells; `outcomes` counts what became of each situation's."""

    matrix: Matrix
    cells: list[Cell]
    outcomes: Counter[str] = field(default_factory=Counter)
    _open: dict[str, RawConnection] = field(default_factory=dict)

    async def begin(self) -> None:
        """Open a connection for each cell, but for those that come too late."""
        await asyncio.gather(*(self._begin(cell) for cell in self.cells))

    async def _begin(self, cell: Cell) -> None:
        if cell.cause == TOO_LATE:
            return
        connection = self._open[cell.point.project] = await connect(self.matrix.service.url)
        whole = request(cell.door, cell.key, cell.body)
        match cell.cause:
            case "under way":
                await connection.send(whole)
            case "behind another":
                await connection.send(request(cell.door, "osc_unknown", cell.body) + whole)
            case "half a body":
                half = cell.body[: len(cell.body) // 2]
                await connection.send(head(cell.door, cell.key, len(cell.body)) + half)
            case "half a head":
                await connection.send(whole[:HEAD_BYTES_FIRST])
            case "kept alive":
                await connection.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
                pong = await connection.reply()
                assert pong is not None
                assert pong.status == 200

    async def end(self, release: Callable[[], Awaitable[None]]) -> None:
        """Once nobody can connect any more, send the rest, release what waits, read all answers."""
        async with asyncio.timeout(CLOSING_SECONDS_MAX):
            while True:
                try:
                    (await connect(self.matrix.service.url)).close()
                except OSError:
                    break
                await asyncio.sleep(0.01)
        for cell in self.cells:
            whole = request(cell.door, cell.key, cell.body)
            if cell.cause == HALF_HEAD:
                await self._open[cell.point.project].send(whole[HEAD_BYTES_FIRST:])
            elif cell.cause == KEPT_ALIVE:
                await self._open[cell.point.project].send(whole)
        await release()
        await asyncio.gather(*(self._end(cell) for cell in self.cells))

    async def _end(self, cell: Cell) -> None:
        reply = await self._reply(cell)
        taken = reply is not None and reply.status == cell.door.success
        if reply is None:
            outcome = "closed"
        elif taken:
            outcome = "taken"
        else:
            outcome = "come again"
        self.outcomes[f"{cell.cause}: {outcome}"] += 1
        if taken and cell.door.stores:
            self.matrix.want(cell.point)
        if reply is not None:
            self.matrix.note(cell, reply, fails=not taken)
            return
        self.matrix.cells[cell.door.name] += 1
        if cell.cause in (UNDER_WAY, HALF_BODY):
            self.matrix.wrong.append(f"{cell.door.name}, {cell.cause}: no answer")

    async def _reply(self, cell: Cell) -> Reply | None:
        if cell.cause == TOO_LATE:
            return None
        connection = self._open[cell.point.project]
        if cell.cause == BEHIND:
            await connection.reply()
        reply = await connection.reply()
        connection.close()
        return reply
