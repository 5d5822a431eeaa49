"""A fault at every statement and every mail of every path: all or nothing, and nothing twice.

FAULTS=all tries every fault at every step (add -s to see the figures), else each step meets one
of them by turns, and each COMMIT also a SIGKILL while it is on its way.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.checker import checked
from tests.faults import FAULTS, Fault, Kind, Place, Plan
from tests.integration.fault_child import Nursery
from tests.integration.fault_paths import BY_NAME, PATHS, Path
from tests.integration.fault_scene import Scene
from tests.integration.fault_state import Observer
from tests.integration.fault_steps import make_world, opened_world
from tests.integration.mail_server import CUT, mail_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

ALL = os.environ.get("FAULTS") == "all"
WALKED = tuple(BY_NAME.values()) if ALL else PATHS
# By turns: those that cost no connection come three times as often, since they cost less time.
TURNS = (*FAULTS, *2 * [one for one in FAULTS if one.kind in {Kind.RAISE, Kind.CANCEL}])
# Coprime to the number of turns, so that a long path meets every one of them.
STRIDE = 5


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    opened = Nursery()
    yield opened
    opened.close()


@asynccontextmanager
async def opened_scene(database_url: str, nursery: Nursery, path: Path) -> AsyncIterator[Scene]:
    hour_ms = await make_world(database_url)
    plan = Plan(database_url)
    observing = await asyncpg.connect(database_url)
    try:
        async with (
            mail_server() as server,
            opened_world(
                plan, hour_ms, server.port, lambda: server.data_answers.append(CUT)
            ) as world,
        ):
            yield Scene(plan, world, Observer(observing), server, nursery, path)
    finally:
        await observing.close()


def faults_for(steps: Sequence[str], offset: int) -> Iterator[Fault]:
    """Choose the faults to try: each step meets one at least."""
    for number, name in enumerate(steps, 1):
        chosen = {TURNS[(number * STRIDE + offset) % len(TURNS)]}
        if "COMMIT" in name:
            chosen.add(Fault(Kind.KILL, Place.DURING))
        for fault in FAULTS if ALL else sorted(chosen, key=FAULTS.index):
            yield replace(fault, step=number)


@pytest.mark.timeout(5400 if ALL else 120)
@pytest.mark.parametrize("path", WALKED, ids=lambda path: path.name)
async def test_a_fault_at_any_step_leaves_all_or_nothing(
    database_url: str, nursery: Nursery, path: Path
) -> None:
    wrong: list[str] = []
    points: list[Fault] = []
    async with opened_scene(database_url, nursery, path) as scene:
        await scene.undisturbed("warm-up")
        known = await scene.undisturbed("p0")
        for fault in faults_for(known.steps, WALKED.index(path)):
            points.append(fault)
            where = f"{fault.kind} {fault.place} step {fault.step}, {known.steps[fault.step - 1]}"
            found = await scene.strike(f"p{len(points)}", fault, known)
            wrong += [f"{where}: {one}" for one in found]
        await checked(scene.world.core.pool)

    steps = len(known.steps)
    covered = len({fault.step for fault in points})
    print(  # noqa: T201 - the figures
        f"{path.name}: statements {covered}/{steps}, points {len(points)}, violations {len(wrong)}"
    )
    assert [] == wrong
    assert [] == [word for word in path.must if not any(word in step for step in known.steps)]
    assert steps == covered
