"""Random sets, sent in random ways to a running service, against the oracle: I-1.

    python -m tests.laws.soak --sets 1000 [--seed 1]

Each set is made from its seed alone. What is charged and booked for it must be what the oracle
says; the last line counts sets and mismatches. `--sets 1 --seed N` plays set N again.
"""

import argparse
import asyncio
import tempfile
import traceback
from collections.abc import Iterator, Sized
from pathlib import Path
from random import Random

from os_credits.flows.verify import verify
from tests import database
from tests.laws.copies import Copies, running_copies
from tests.laws.mismatch import MismatchError
from tests.laws.oracle import WINDOW
from tests.laws.plan import Plan, draw_plan, play
from tests.laws.shrink import shrunk
from tests.laws.tally import Tally, say, template

# A new database now and then, or the sets of long ago would slow down every price change.
SETS_PER_DATABASE = 50
LANES = 6
MISMATCHES_MAX = 5


async def soak(database_url: str, seeds: range, tally: Tally) -> None:
    """Play the sets of these seeds on two copies over one database, some at a time."""
    with tempfile.TemporaryDirectory() as folder:
        chance = Random(f"copies {seeds.start}")
        async with running_copies(database_url, Path(folder), chance) as copies:
            plans = [draw_plan(seed) for seed in seeds]
            together = iter([plan for plan in plans if not plan.drops])
            await asyncio.gather(*(_lane(copies, together, tally) for _ in range(LANES)))
            alone = sorted((plan for plan in plans if plan.drops), key=lambda one: -one.hours_back)
            await _lane(copies, iter(alone), tally)
            verified = await verify(copies.core.pool, window_ms=WINDOW)
            _expect(tally, f"what verify finds after the sets {seeds}", verified.findings.first)
        _expect(tally, f"jobs of the service that failed in the sets {seeds}", copies.failures())


def _expect(tally: Tally, what: str, found: Sized) -> None:
    if found:
        tally.mismatches += 1
        say(f"MISMATCH: {what}: {found}")


async def _lane(copies: Copies, plans: Iterator[Plan], tally: Tally) -> None:
    for plan in plans:
        if tally.mismatches >= MISMATCHES_MAX:
            return
        problem = await _problem(plan, copies)
        tally.count()
        if problem:
            tally.mismatches += 1
            say(f"MISMATCH in set {plan.seed}, again: make soak SETS=1 SEED={plan.seed}")
            say(problem)
            small, problem = await shrunk(plan, problem, lambda one: _problem(one, copies))
            say(f"shrunk to\n{small}\n{problem}")


async def _problem(plan: Plan, copies: Copies) -> str:
    """Play a set; gives '' if all is as the oracle says."""
    try:
        await play(plan, copies)
    except MismatchError as error:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever goes wrong is what we look for
        return traceback.format_exc()
    return ""


def main() -> None:
    """Play as many sets as asked for; the exit status says whether all were right."""
    parser = argparse.ArgumentParser(description="Random sets against the oracle.")
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    seeds, tally = range(wanted.seed, wanted.seed + wanted.sets), Tally()
    with template() as name:
        for start in range(0, len(seeds), SETS_PER_DATABASE):
            part = seeds[start : start + SETS_PER_DATABASE]
            with database.database(database.server_url(), template=name) as url:
                asyncio.run(soak(database.as_service(url), part, tally))
            if tally.mismatches >= MISMATCHES_MAX:
                break
    say(str(tally))
    raise SystemExit(1 if tally.mismatches else 0)


if __name__ == "__main__":
    main()
