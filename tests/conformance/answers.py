"""Sends one body by every door while something is wrong, and again once it is right.

A cell of the matrix is a cause, a door, and whether key and series were seen before. Each has a
project of its own, so that what is stored in the end tells what each cell led to.
"""

import asyncio
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.conformance.causes import Cause, Stage, owner
from tests.conformance.doors import (
    DOORS,
    STORING,
    VCPU,
    Door,
    Point,
    Reply,
    push,
    transient_faults,
)
from tests.conformance.figures import say

COMING_AGAIN_SECONDS_MAX = 20
PAUSE_SECONDS = 0.02
FILLING_PUSHES_MAX = 1000


def full_second_ms() -> int:
    """Give the full second a minute ago: every door can say it."""
    return (int(time.time()) - 60) * 1000


def fresh_key() -> str:
    """Make up a key."""
    return f"osc_{secrets.token_hex(16)}"


async def store_keys(url: str, keys: Iterable[str]) -> None:
    """Let these keys push; no copy of the service has seen them yet."""
    async with owner(url) as connection, connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO api_key (name, digest, scopes) VALUES ('cell', %s, '{ingest}')",
            [(hashlib.sha256(key.encode()).digest(),) for key in keys],
        )


@dataclass(slots=True)
class Cell:
    """One body for one door."""

    cause: str
    door: Door
    point: Point
    key: str
    is_new: bool = True
    body: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.body = self.door.write([self.point])

    def fails(self, stages: Stage) -> bool:
        """Tell whether trouble at these stages concerns this push."""
        passed = Stage.BODY | (Stage.KEY if self.is_new else Stage(0))
        if self.door.stores:
            passed |= Stage.STORE | (Stage.REGISTER if self.is_new else Stage(0))
        return bool(stages & passed)

    def faults(self, reply: Reply, *, fails: bool) -> list[str]:
        """Say what is wrong with an answer."""
        if fails:
            found = transient_faults(self.door, reply)
        else:
            found = [] if reply.status == self.door.success else [f"status {reply.status}"]
        age = "new" if self.is_new else "known"
        return [f"{self.cause}, {self.door.name}, {age}: {fault}" for fault in found]


def new_cells(cause: str, start_ms: int) -> list[Cell]:
    """Make one cell for each door, with a key and a series that nobody has seen."""
    return [
        Cell(cause, door, Point(f"sekret {cause} {door.name} new", start_ms, 2.0), fresh_key())
        for door in DOORS
    ]


@dataclass(slots=True)
class Matrix:
    """What was tried, what was wrong, and what must be stored in the end."""

    service: Service
    cells: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    wanted: dict[stored.SamplePlace, float] = field(default_factory=dict)
    start_ms: int = field(default_factory=full_second_ms)

    def want(self, point: Point) -> None:
        """Remember that a point was acknowledged."""
        self.wanted[VCPU, point.project, "", point.time_ms] = point.value

    async def cells_of(self, causes: Iterable[str]) -> dict[str, list[Cell]]:
        """Make two cells for each cause and door, and let one of them be known."""
        made: dict[str, list[Cell]] = {}
        for cause in causes:
            remembered = fresh_key()
            made[cause] = new_cells(cause, self.start_ms + 1000)
            for door in DOORS:
                point = Point(f"sekret {cause} {door.name} known", self.start_ms + 1000, 2.0)
                made[cause].append(Cell(cause, door, point, remembered, is_new=False))
        keys = {cell.key for cells in made.values() for cell in cells}
        await store_keys(self.service.settings.database_url, keys)
        await asyncio.gather(*(self._introduce(door, made) for door in DOORS))
        return made

    async def _introduce(self, door: Door, made: dict[str, list[Cell]]) -> None:
        """Push an earlier sample of every series that shall be known, by the same door."""
        points = [
            Point(cell.point.project, self.start_ms, 1.0)
            for cells in made.values()
            for cell in cells
            if cell.door is door and not cell.is_new
        ]
        reply = await push(self.service, door, door.write(points))
        assert reply.status == door.success, reply.text
        if door.stores:
            for point in points:
                self.want(point)

    async def go_through(self, cause: Cause, cells: list[Cell]) -> None:
        """Send all cells while the trouble lasts, and then until they are taken."""
        await self.let_be_remembered(cells)
        async with cause.begins(self.service.settings.database_url):
            replies = await self.send(cells)
        self.note_all(cells, replies, cause.stages)
        await self.come_again(cells)

    async def let_be_remembered(self, cells: list[Cell]) -> None:
        """Use the key that known cells share for the first time: it is remembered for a moment."""
        query = next(cell for cell in cells if not cell.door.stores and not cell.is_new)
        reply = await push(self.service, query.door, query.body, key=query.key)
        assert reply.status == query.door.success, reply.text

    async def send(self, cells: list[Cell]) -> list[Reply]:
        """Send all cells at once."""
        return await asyncio.gather(
            *(push(self.service, cell.door, cell.body, key=cell.key) for cell in cells)
        )

    def note(self, cell: Cell, reply: Reply, *, fails: bool = True) -> None:
        """Judge the answer to a cell."""
        self.cells[cell.door.name] += 1
        self.wrong += cell.faults(reply, fails=fails)

    def note_all(self, cells: list[Cell], replies: list[Reply], stages: Stage) -> None:
        """Judge the answers to cells while these stages fail."""
        for cell, reply in zip(cells, replies, strict=True):
            self.note(cell, reply, fails=cell.fails(stages))

    async def fill_pages(self) -> None:
        """Push until a sample finds no place in the pages of the table any more."""
        door = STORING[0]
        for number in range(FILLING_PUSHES_MAX):
            point = Point("filling", self.start_ms + number, 1.0)
            reply = await push(self.service, door, door.write([point]))
            if reply.status != door.success:
                return
            self.want(point)
        raise AssertionError("the disk is not full")

    async def come_again(self, cells: list[Cell]) -> None:
        """Do what senders do: the same body again while the answer is 503."""
        await asyncio.gather(*(self._until_taken(cell) for cell in cells))

    async def _until_taken(self, cell: Cell) -> None:
        deadline = time.monotonic() + COMING_AGAIN_SECONDS_MAX
        while True:
            reply = await push(self.service, cell.door, cell.body, key=cell.key)
            if reply.status == cell.door.success:
                break
            self.wrong += cell.faults(reply, fails=True)
            assert time.monotonic() < deadline, self.wrong
            await asyncio.sleep(PAUSE_SECONDS)
        if cell.door.stores:
            self.want(cell.point)

    def check(self) -> None:
        """Say how many cells there were, and fail on the first wrong answers."""
        say("I-8, passing trouble", cells=sum(self.cells.values()), wrong=len(self.wrong))
        assert not self.wrong, "\n".join(self.wrong[:20])


async def check_stored(url: str, *matrices: Matrix) -> None:
    """Rate everything, and compare what is stored with what was acknowledged, once each."""
    async with running(settings_for(url)) as service:
        await service.rated()
    wanted = {place: value for matrix in matrices for place, value in matrix.wanted.items()}
    assert await stored.samples(url) == wanted
