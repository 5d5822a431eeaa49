"""Where a path is walked again and again, each time for another project, with or without a fault.

`Scene.strike` gives what is wrong: something half done right after the fault, something lost,
or an end unlike that of the undisturbed walk once everybody (the sender, the clock) has tried
again. The copy that met the fault goes on by turns with another one that takes over.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.mail import MailState
from os_credits.errors import Unavailable
from tests.faults import Fault, Injected, Kind, Place, Plan
from tests.integration.fault_child import Nursery, Order
from tests.integration.fault_paths import GONE_OWNER, SLOW_OWNER, Path
from tests.integration.fault_state import MISCHARGED, Observer, State, lacking
from tests.integration.fault_steps import Step, World
from tests.integration.mail_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.core import Written

MAIL = "send a mail"
# How often a sender, or the clock, may have to come again after one fault.
TRIES_MAX = 3
EXPECTED = {
    Kind.RAISE: Injected,
    Kind.CANCEL: asyncio.CancelledError,
    Kind.DROP: Unavailable,
    Kind.TERMINATE: Unavailable,
}


@dataclass
class Undisturbed:
    """A path without a fault: its steps, what is committed before and after each, the end."""

    steps: list[str]
    states: list[State]
    end: State


@dataclass
class Scene:
    """Where a path is walked again and again, each time for another project."""

    plan: Plan
    world: World
    observer: Observer
    server: MailServer
    nursery: Nursery
    path: Path

    def renewed_if_cold(self) -> World:
        return self.world.renewed() if self.path.is_cold else self.world

    async def prepare(self, project: str) -> None:
        """Do what comes before the step that fails."""
        self.server.answer_rcpt(f"{project}@{SLOW_OWNER.domain}", "451 later", "250 OK")
        self.server.answer_rcpt(f"{project}@{GONE_OWNER.domain}", "550 no such user")

    async def undisturbed(self, project: str) -> Undisturbed:
        """Walk the path without a fault."""
        await self.prepare(project)
        await walk(self.path.before, self.world, project)
        states = [await self.observer.stored(project)]

        async def look() -> None:
            states.append(await self.observer.stored(project))

        actor = self.renewed_if_cold()
        error = await self.plan.run(lambda: self.path.act(actor, project), None, look)
        assert error is None, error
        steps = self.plan.steps
        await walk(self.path.afterwards, actor, project)
        return Undisturbed(steps, states, settled(await self.observer.stored(project)))

    async def strike(self, project: str, fault: Fault, known: Undisturbed) -> list[str]:
        """Walk the path with a fault; gives what is wrong then, or after all was done again."""
        await self.prepare(project)
        strike = self._kill if fault.kind is Kind.KILL else self._fail
        actor, error, wrong = await strike(project, fault, known)
        state = await self.observer.stored(project)
        if state not in allowed(fault, known, error):
            wrong.append(f"{error!r} left something half done: {unlike(state, known.states)}")
        wrong += [f"{MISCHARGED}: {row}" for row in state[MISCHARGED]]
        wrong += lacking(state, self.acknowledged(project, error))
        # By turns the copy that met the fault goes on, or another one takes over.
        other = actor if fault.step // 2 % 2 else actor.renewed()
        await walk(self.path.afterwards, other, project, TRIES_MAX)
        state = settled(await self.observer.stored(project))
        if state != known.end:
            wrong.append(f"in the end: {unlike(state, [known.end])}")
        return wrong + self.missent(project, state)

    async def _fail(
        self, project: str, fault: Fault, known: Undisturbed
    ) -> tuple[World, BaseException | None, list[str]]:
        await walk(self.path.before, self.world, project)
        actor = self.renewed_if_cold()
        error = await self.plan.run(lambda: self.path.act(actor, project), fault)
        wrong = []
        if self.plan.steps[: fault.step] != known.steps[: fault.step]:
            wrong.append("other steps than without a fault")
        if error is not None and not isinstance(error, EXPECTED[fault.kind]):
            wrong.append(f"ended by {error!r}")
        await self.observer.wait_for_end(self.plan.lost_pids)
        return actor, error, wrong

    async def _kill(
        self, project: str, fault: Fault, known: Undisturbed
    ) -> tuple[World, BaseException | None, list[str]]:
        sessions = await self.observer.sessions()
        order = Order(
            self.plan.database_url,
            self.world.hour_ms,
            self.server.port,
            self.path.name,
            project,
            fault.place.value,
            fault.step,
        )
        status = await asyncio.to_thread(self.nursery.die, order)
        await self.observer.wait_for_end(await self.observer.sessions() - sessions)
        wrong = [] if status == signal.SIGKILL else [f"the process ended by {status}"]
        return self.world, Injected(), wrong

    def acknowledged(self, project: str, error: BaseException | None) -> Iterator[Written]:
        """Give every sample whose push was answered."""
        for push in self.path.waves:
            if error is None or push is not self.path.act:
                yield from push.samples(project, self.world.hour_ms)

    def missent(self, project: str, end: State) -> list[str]:
        """Tell if mails were not sent, or more than one of them once too often."""
        received = Counter(
            mail["Message-ID"]
            for recipients, mail in self.server.received
            if recipients[0].startswith(f"{project}@")
        )
        wanted = sum(json.loads(row)["state"] == MailState.SENT for row in end["mail"])
        if wanted == len(received) and received.total() <= wanted + 1:
            return []
        return [f"{wanted} mails were received {received.total()} times"]


async def walk(steps: Sequence[Step], world: World, project: str, tries_max: int = 1) -> None:
    """Do steps one after the other, each again after trouble that passes."""
    for step in steps:
        for tries_left in reversed(range(tries_max)):
            try:
                await step(world, project)
                break
            except Unavailable:
                if not tries_left:
                    raise


def allowed(fault: Fault, known: Undisturbed, error: BaseException | None) -> list[State]:
    """Give what may be committed after the fault: of one moment of the undisturbed walk."""
    if known.steps[fault.step - 1] == MAIL and fault.kind in {Kind.DROP, Kind.TERMINATE}:
        return known.states
    if error is None:
        return known.states[-1:]
    first = fault.step - (fault.place is not Place.AFTER)
    return known.states[first : fault.step + (fault.place is not Place.BEFORE)]


def settled(state: State) -> State:
    """Leave out how often something was tried: a mail, or an exclusion, which has no key."""
    return {**state, "attempts": [], "exclusion": []}


def unlike(state: State, expected: Sequence[State]) -> str:
    """Say in which tables a state is unlike the expected ones, with an example."""
    nearest = min(expected, key=lambda one: sum(one[table] != state[table] for table in one))
    return (
        "; ".join(
            f"{table} {state[table]} instead of {nearest[table]}"
            for table in state
            if state[table] != nearest[table]
        )
        or f"what was committed at step {expected.index(state)}"
    )
