"""Random sequences of what happens to accounts, against the oracle of the burn-down.

    python -m tests.laws.account_soak --sets 200 [--seed 1]

Each sequence is made from its seed alone, and played by two sets of projects in two orders of
arrival. The last line counts sequences and mismatches.
"""

import argparse
import asyncio
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from os_credits.store.pool import connection
from tests import database
from tests.core import opened_core
from tests.frozen_clock import freeze
from tests.laws.account_plan import AccountPlan, draw_account_plan, play
from tests.laws.account_world import FILE, World
from tests.laws.tally import Tally, say, template

SEQUENCES_PER_DATABASE = 25
MISMATCHES_MAX = 5
BEGIN = datetime(2026, 1, 25, tzinfo=UTC)
ENTRIES = """
SELECT kind || CASE WHEN kind = 'correction' AND meter_id IS NULL THEN ' of an expiry'
                    WHEN kind = 'grant' AND amount < 0 THEN ' taken back' ELSE '' END, count(*)
FROM entry GROUP BY 1
"""


@dataclass
class AccountTally(Tally):
    """What came of the sequences, and what they were made of."""

    steps: int = 0
    done: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)


async def soak(database_url: str, seeds: Sequence[int], tally: AccountTally) -> None:
    """Play the sequences of these seeds one after the other, and verify what they left."""
    freeze(database_url, BEGIN)
    async with opened_core(database_url, FILE) as core:
        world = World(core, database_url, BEGIN)
        for seed in seeds:
            plan = draw_account_plan(seed)
            problem = await _problem(plan, world, tally)
            tally.count()
            if problem:
                tally.mismatches += 1
                core.leaves_a_mess = True
                say(f"MISMATCH, again: make soak-accounts SETS=1 SEED={seed}\n{plan}\n{problem}")
            if tally.mismatches >= MISMATCHES_MAX:
                return
        tally.done.update(world.told)
        async with connection(core.pool) as conn:
            tally.entries.update({row[0]: row[1] for row in await conn.fetch(ENTRIES)})


async def _problem(plan: AccountPlan, world: World, tally: AccountTally) -> str:
    """Play a sequence; gives '' if all is as the oracle says."""
    try:
        tally.steps += await play(plan, world, tally.sets)
    except Exception:  # noqa: BLE001 - whatever goes wrong is what we look for
        return traceback.format_exc(limit=-6)
    return ""


def main() -> None:
    """Play as many sequences as asked for; the exit status says whether all were right."""
    parser = argparse.ArgumentParser(description="Accounts against the oracle.")
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    seeds, tally = range(wanted.seed, wanted.seed + wanted.sets), AccountTally()
    with template() as name:
        for start in range(0, len(seeds), SEQUENCES_PER_DATABASE):
            part = seeds[start : start + SEQUENCES_PER_DATABASE]
            with database.database(database.server_url(), template=name) as url:
                asyncio.run(soak(database.as_service(url), part, tally))
            if tally.mismatches >= MISMATCHES_MAX:
                break
    say(f"told {dict(sorted(tally.done.items()))}")
    say(f"entries {dict(sorted(tally.entries.items()))}")
    say(f"{tally}, steps {tally.steps}")
    raise SystemExit(1 if tally.mismatches else 0)


if __name__ == "__main__":
    main()
