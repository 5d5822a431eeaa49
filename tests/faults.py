"""Faults at a counted step: before, during or after the n-th statement or mail of a flow.

The product knows nothing of this: statements pass through a subclass of the driver's connection
(BEGIN, COMMIT, ROLLBACK and the pool's RESET too), mails through a wrapper of the mailer.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import asyncpg
import psycopg

from os_credits.errors import MailDelayed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from email.message import EmailMessage

    from os_credits.notify.mailer import Mailer

    DriverConnection = asyncpg.Connection[asyncpg.Record]
else:
    DriverConnection = asyncpg.Connection

T = TypeVar("T")
# What of the driver's connection sends something to the server.
SENDING = ("execute", "executemany", "fetch", "fetchval", "fetchrow", "fetchmany", "copy_to_table",
           "copy_records_to_table", "copy_from_query", "copy_from_table")  # fmt: skip


class Injected(Exception):
    """An error that nobody foresaw."""


class Kind(StrEnum):
    """What goes wrong."""

    RAISE = "raise"
    """An exception out of the blue, with a connection that is well."""
    CANCEL = "cancel"
    """The task of the flow is cancelled, as at shutdown."""
    DROP = "drop"
    """Our end of the connection is gone."""
    TERMINATE = "terminate"
    """The server ends the session."""
    KILL = "kill"
    """SIGKILL for this process."""


class Place(StrEnum):
    """When it goes wrong; during a statement, nobody can know whether it was done."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and where; steps count from 1."""

    kind: Kind
    place: Place
    step: int = 0


FAULTS = tuple(
    Fault(kind, place)
    for kind in Kind
    for place in Place
    if (kind, place) != (Kind.RAISE, Place.DURING)
)


class Target(Protocol):
    """What a step speaks to: a connection to the database, or a mailer."""

    def lose(self, plan: Plan, fault: Fault) -> None:
        """Let the other end be out of reach."""


@dataclass
class Plan:
    """Counts the steps while a flow runs, and lets the fault happen at its step."""

    database_url: str
    fault: Fault | None = None
    is_counting: bool = False
    has_struck: bool = False
    steps: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    # Server processes that may still be working on what they were sent last.
    lost_pids: set[int] = field(default_factory=set)
    look: Callable[[], Awaitable[None]] | None = None

    async def run(
        self,
        flow: Callable[[], Awaitable[object]],
        fault: Fault | None,
        look: Callable[[], Awaitable[None]] | None = None,
    ) -> BaseException | None:
        """Run a flow with a fault, or none, and give the error by which it ended.

        `look` is called after every step.
        """
        self.fault, self.look = fault, look
        self.steps, self.lost_pids, self.has_struck = [], set(), False

        async def run() -> None:
            await flow()

        self.is_counting = True
        self.task = asyncio.create_task(run())
        await asyncio.wait({self.task})
        self.is_counting = False
        if self.task.cancelled():
            return asyncio.CancelledError()
        return self.task.exception()

    async def step(self, name: str, target: Target, work: Callable[[], Awaitable[T]]) -> T:
        """Do one step of the flow, and what the plan has in store for it."""
        if not self.is_counting:
            return await work()
        self.steps.append(name)
        fault = self.fault
        if fault is None or len(self.steps) != fault.step:
            try:
                return await work()
            finally:
                if self.look is not None:
                    await self.look()
        self.has_struck = True
        if fault.place is Place.BEFORE:
            await self._strike(target, fault)
            return await work()
        if fault.place is Place.DURING:
            asyncio.get_running_loop().call_soon(self._hit, target, fault)
            return await work()
        try:
            return await work()
        finally:
            await self._strike(target, fault)

    async def _strike(self, target: Target, fault: Fault) -> None:
        if fault.kind is Kind.RAISE:
            raise Injected
        self._hit(target, fault)
        await asyncio.sleep(0)

    def _hit(self, target: Target, fault: Fault) -> None:
        if fault.kind is Kind.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.kind is Kind.CANCEL:
            assert self.task is not None
            self.task.cancel()
        else:
            target.lose(self, fault)


class FaultyConnection(DriverConnection):
    """The driver's connection, each statement of which is a step of `plan`."""

    __slots__ = ()
    plan: Plan

    def lose(self, plan: Plan, fault: Fault) -> None:
        """Cut the connection here, or let the server end it."""
        pid = self.get_server_pid()
        plan.lost_pids.add(pid)
        if fault.kind is Kind.DROP:
            self.terminate()
            return
        with psycopg.connect(plan.database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def _counted(name: str) -> Callable[..., Any]:
    driver = getattr(asyncpg.Connection, name)

    async def send(self: FaultyConnection, subject: str, *args: Any, **options: Any) -> Any:
        return await self.plan.step(
            f"{name}: {' '.join(subject.split())[:60]}",
            self,
            partial(driver, self, subject, *args, **options),
        )

    return send


for _name in SENDING:
    setattr(FaultyConnection, _name, _counted(_name))


def connection_class(plan: Plan) -> type[FaultyConnection]:
    """Make the class of connections whose statements are steps of this plan."""
    return type("PlannedConnection", (FaultyConnection,), {"__slots__": (), "plan": plan})


class FaultyMailer:
    """A mailer, each mail of which is a step of the plan; `cut` lets the server hang up."""

    def __init__(self, plan: Plan, mailer: Mailer, cut: Callable[[], None]) -> None:
        self._plan = plan
        self._mailer = mailer
        self._cut = cut
        self.timeout_seconds = mailer.timeout_seconds

    async def send(self, message: EmailMessage) -> None:
        """Send it, but for the fault."""
        await self._plan.step("send a mail", self, partial(self._mailer.send, message))

    def lose(self, plan: Plan, fault: Fault) -> None:
        """Lose the server before it has the mail, once it has it, or before it says so."""
        if fault.place is Place.DURING:
            self._cut()
        else:
            raise MailDelayed("the connection was lost")
