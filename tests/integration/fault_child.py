"""Processes that are killed at a step: forked from one that has imported everything already.

Run as a program it reads one order a line from stdin and answers each with the exit status.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass

from tests.faults import Fault, Kind, Place, Plan
from tests.integration.fault_paths import BY_NAME
from tests.integration.fault_steps import opened_world

CHILD_SECONDS_MAX = 20


@dataclass(frozen=True)
class Order:
    """Which path to walk, for which project, and at which step to die."""

    database_url: str
    hour_ms: int
    mail_port: int
    path: str
    project: str
    place: str
    step: int


class Nursery:
    """The process that the others are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.fault_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def die(self, order: Order) -> int:
        """Let a process carry out the order; gives the signal that ended it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=CHILD_SECONDS_MAX)


async def _walk(order: Order) -> None:
    path = BY_NAME[order.path]
    plan = Plan(order.database_url)
    async with opened_world(plan, order.hour_ms, order.mail_port, lambda: None) as world:
        for step in path.before:
            await step(world, order.project)
        actor = world.renewed() if path.is_cold else world
        fault = Fault(Kind.KILL, Place(order.place), order.step)
        await plan.run(lambda: path.act(actor, order.project), fault)


def _serve() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.alarm(CHILD_SECONDS_MAX)
            os.dup2(2, 1)
            asyncio.run(_walk(Order(**json.loads(line))))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
