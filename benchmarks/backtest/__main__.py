"""Ask the run-out forecast about the past of many projects, and print how well it told.

    make backtest                       made-up projects only
    make backtest RECORDED=some/folder  and the recorded ones that lie in that folder

All chance is seeded: the same code prints the same table. docs/forecast.md explains it.
"""

from __future__ import annotations

import sys
import time
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.backtest.cases import Outcome, Series, outcomes
from benchmarks.backtest.recorded import recorded
from benchmarks.backtest.score import Score, score
from benchmarks.backtest.synthetic import FAMILIES, ask

if TYPE_CHECKING:
    from collections.abc import Iterable

# Other seeds than those by which the numbers of the forecast were chosen (1000 and above).
SEEDS = range(40)
ASKED = 12
ASKED_RECORDED = 25
PROCESSES = 2
# Recordings are short: fewer days before the first question where there are not even two months.
HISTORY_DAYS, HISTORY_DAYS_SHORT = 14, 5
LONG_DAYS = 60
HEAD = (
    "| family | cases | truth cut | covered | before P10 | after P90 "
    "| median error P50 / line | mean error P50 / line | log error P50 / line |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def ask_recorded(seed: int, series: Series) -> list[Outcome]:
    """Ask for forecasts from hours of one recorded series."""
    is_long = series.hourly.size >= LONG_DAYS * 24
    days = HISTORY_DAYS if is_long else HISTORY_DAYS_SHORT
    return list(outcomes(series, ASKED_RECORDED, np.random.default_rng(seed), days))


def row(name: str, s: Score) -> str:
    """Write one row of the table."""
    shares = " | ".join(f"{share:.0%}" for share in (s.coverage, s.before_p10, s.after_p90))
    return (
        f"| {name} | {s.cases} | {s.censored} | {shares} "
        f"| {s.median:.3f} / {s.straight_median:.3f} | {s.mean:.3f} / {s.straight_mean:.3f} "
        f"| {s.log:.3f} / {s.straight_log:.3f} |"
    )


def table(title: str, found: Iterable[Outcome]) -> list[Outcome]:
    """Print the table of some outcomes, a row for each family and one for all."""
    every = list(found)
    print(f"\n{title}\n\n{HEAD}")
    for family in dict.fromkeys(each.family for each in every):
        print(row(family, score([each for each in every if each.family == family])))
    print(row("**all**", score(every)))
    return every


def main() -> None:
    """Ask all, print all."""
    started = time.perf_counter()
    folder = Path(sys.argv[1]) if sys.argv[1:] else None
    series = list(enumerate(recorded(folder))) if folder else []
    with Pool(PROCESSES) as pool:
        made = pool.starmap(ask, [(name, seed, ASKED) for name in FAMILIES for seed in SEEDS])
        real = pool.starmap(ask_recorded, series)
    every = table("Made-up projects", (each for found in made for each in found))
    if real:
        every += table("Recorded histories", (each for found in real for each in found))
        print(f"\nBoth\n\n{HEAD}\n{row('**all**', score(every))}")
    print(f"\n{len(every)} cases in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
