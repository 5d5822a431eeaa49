"""Reads the bodies of pushes within bounds: of one body, of all bodies at once, of time.

aiohttp is told not to unpack by itself (`app.py`), so what is read here are the bytes of the
wire; unpacking has its own limit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from os_credits.api.connections import Connections
from os_credits.domain.access import Access
from os_credits.errors import InvalidInput, TooLarge, Unavailable

WORKED_ON_AT_ONCE_MAX = 2

Result = TypeVar("Result")


@dataclass(slots=True)
class Lease:
    """How many bytes of the common allowance one request holds."""

    bodies: Bodies
    key_id: int
    held_bytes: int = 0

    def hold(self, byte_count: int) -> None:
        """Hold so many bytes from now on; raises Unavailable if all requests hold too many.

        So it does if those of one key do: the others are to be served meanwhile.
        """
        bodies = self.bodies
        more_bytes = byte_count - self.held_bytes
        if bodies.held_bytes + more_bytes > bodies.all_bytes_max:
            raise Unavailable("too many bytes in flight")
        if bodies.held_by_key[self.key_id] + more_bytes > bodies.key_bytes_max:
            raise Unavailable("too many bytes in flight by this key")
        self._take(more_bytes)

    def release(self) -> None:
        """Give everything back."""
        self._take(-self.held_bytes)
        if not self.bodies.held_by_key[self.key_id]:
            del self.bodies.held_by_key[self.key_id]

    def _take(self, more_bytes: int) -> None:
        self.bodies.held_bytes += more_bytes
        self.bodies.held_by_key[self.key_id] += more_bytes
        self.held_bytes += more_bytes


@dataclass(slots=True)
class Bodies:
    """The bounds, and the bytes that all requests of this process hold at the moment.

    `body_bytes_max` bounds a body as it comes, `decoded_bytes_max` what it unpacks to,
    `lines_max` what it may consist of, `all_bytes_max` all requests together, `timeout_seconds`
    the reading of one body. A single request that keeps to its own bounds always fits into the
    common one (`settings.py`).
    """

    body_bytes_max: int
    decoded_bytes_max: int
    all_bytes_max: int
    timeout_seconds: float
    lines_max: int
    connections: Connections
    held_bytes: int = 0
    held_by_key: Counter[int] = field(default_factory=Counter)
    _reading: set[asyncio.Timeout] = field(default_factory=set)
    _gives_up: bool = False
    _turns: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(WORKED_ON_AT_ONCE_MAX)
    )

    @property
    def key_bytes_max(self) -> int:
        """What the requests of one key may hold together: half of all, or one at its bounds."""
        return max(self.all_bytes_max // 2, self.body_bytes_max, self.decoded_bytes_max)

    @contextmanager
    def lease(self, access: Access) -> Iterator[Lease]:
        """Count what one request holds, and give it back at the end."""
        lease = Lease(self, access.key_id)
        try:
            yield lease
        finally:
            lease.release()

    async def read(self, request: web.Request, lease: Lease) -> bytes:
        """Read a whole body.

        Raises TooLarge beyond the bound, InvalidInput for broken chunks, and Unavailable for
        one that does not arrive in time: on a slow line the sender must keep its samples.
        """
        if (request.content_length or 0) > self.body_bytes_max:
            raise self._too_large()
        pieces: list[bytes] = []
        count = 0
        try:
            async with asyncio.timeout(0 if self._gives_up else self.timeout_seconds) as timeout:
                self._reading.add(timeout)
                try:
                    with self.connections.waiting_for_body(request):
                        while piece := await request.content.readany():
                            count += len(piece)
                            if count > self.body_bytes_max:
                                raise self._too_large()
                            lease.hold(count)
                            pieces.append(piece)
                finally:
                    self._reading.discard(timeout)
        except TimeoutError:
            raise Unavailable("the body did not arrive in time") from None
        except (web.RequestPayloadError, ConnectionError):
            raise InvalidInput("the body ends too early, or its chunks are broken") from None
        return b"".join(pieces)

    async def work_on(
        self, body: bytes, work: Callable[..., Result], *more: object, is_quick: bool
    ) -> Result:
        """Give `work(body, *more)`, done beside the event loop unless it is quick.

        Only a few are worked on there at once: they take much memory, and threads take turns
        anyway.
        """
        if is_quick:
            return work(body, *more)
        async with self._turns:
            return await asyncio.to_thread(work, body, *more)

    def give_up_reading(self) -> None:
        """Wait no more for bodies that are not complete, as when the service stops."""
        self._gives_up = True
        now = asyncio.get_running_loop().time()
        for timeout in self._reading:
            timeout.reschedule(now)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self.body_bytes_max} bytes")
