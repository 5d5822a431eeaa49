"""How fast samples become billed credits through the door, beside a raw binary COPY.

    make bench-quick

Both run in turns on the same server; the ratio is what counts, since seconds move with the
machine. Writes `benchmarks/results/latest.json` and appends to `history.jsonl`; it judges
nothing yet.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncpg
import numpy as np

from benchmarks.load import Load
from os_credits.domain.access import Scope
from os_credits.flows.keys import KeyRequest, create_key
from os_credits.store.migrate import migrate
from os_credits.store.pool import open_pool
from tests import database

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 5
STEPS = 60
SERIES = 2_000
STEP_MS = 15_000
CONNECTIONS = 4
WAIT_SECONDS_MAX = 60
PORT = 18_931
# PostgreSQL's binary COPY of one row for each sample.
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
COPY_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("l0", ">i4"), ("series_id", ">i8"),
        ("l1", ">i4"), ("measured_at", ">i8"),
        ("l2", ">i4"), ("value", ">f8"),
        ("l3", ">i4"), ("label_set_id", ">i8"),
    ]
)  # fmt: skip
POSTGRES_EPOCH_MS = 946_684_800_000
RESULTS = Path(__file__).parent / "results"


async def raw_copy(conn: Any, load: Load) -> float:
    """Copy the same rows, in the same batches, into an unindexed hypertable: samples per s."""
    await conn.execute("DROP TABLE IF EXISTS bench.sample CASCADE")
    await conn.execute(
        "CREATE TABLE bench.sample (series_id bigint NOT NULL, measured_at timestamptz NOT NULL,"
        " value float8 NOT NULL, label_set_id bigint NOT NULL)"
    )
    await conn.execute(
        "SELECT public.create_hypertable('bench.sample', public.by_range('measured_at', "
        "INTERVAL '1 day'), create_default_indexes => false)"
    )
    ids = np.arange(load.series_count, dtype=np.int64)
    started = time.perf_counter()
    for step in range(STEPS):
        times = np.full(load.series_count, load.start_ms + step * load.step_ms, np.int64)
        rows = np.empty(len(ids), COPY_ROW)
        rows["fields"] = 4
        for length in ("l0", "l1", "l2", "l3"):
            rows[length] = 8
        rows["series_id"], rows["label_set_id"], rows["value"] = ids, ids, ids * 0.001
        rows["measured_at"] = (times - POSTGRES_EPOCH_MS) * 1000
        await conn.copy_to_table(
            "sample",
            schema_name="bench",
            columns=["series_id", "measured_at", "value", "label_set_id"],
            source=BytesIO(COPY_HEADER + rows.tobytes() + COPY_END),
            format="binary",
        )
    return STEPS * load.series_count / (time.perf_counter() - started)


async def through_the_door(url: str, key: str, conn: Any, load: Load) -> tuple[float, float]:
    """Push and wait until all is billed: samples per s to the last charge, and to the last 204."""
    bodies = [load.body(step) for step in range(STEPS)]
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
    }
    queue = iter(bodies)

    async def send(session: aiohttp.ClientSession) -> None:
        for body in queue:
            async with session.post(f"{url}/api/v1/write", data=body, headers=headers) as answer:
                assert answer.status == HTTPStatus.NO_CONTENT, await answer.text()

    started = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(send(session) for _ in range(CONNECTIONS)))
        acknowledged = time.perf_counter() - started
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        # Polled: another process does the work, and it sends no signal when it is through.
        while await conn.fetchval("SELECT EXISTS (SELECT FROM public.batch)"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    count = STEPS * load.series_count
    return count / (time.perf_counter() - started), count / acknowledged


@contextmanager
def service(database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real service as a process of its own."""
    environment = {
        **os.environ,
        "OS_CREDITS_DATABASE_URL": database_url,
        "OS_CREDITS_PORT": str(PORT),
        "OS_CREDITS_LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "os_credits", "serve"], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """Read the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def wait_until_ready(url: str) -> None:
    """Wait for the service."""
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == HTTPStatus.OK:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def measure(owner_url: str, database_url: str) -> dict[str, Any]:
    """Run all rounds, in turns: the raw copies as the owner, the service as its own role."""
    conn = await asyncpg.connect(owner_url)
    await conn.execute("CREATE SCHEMA bench")
    await conn.execute("SET search_path = bench, public")
    pool = await open_pool(database_url, connections_max=1, statement_timeout_seconds=30)
    _, key = await create_key(pool, KeyRequest("bench", frozenset({Scope.INGEST})))
    await pool.close()
    url = f"http://127.0.0.1:{PORT}"
    copied, billed, acknowledged, cpu = [], [], [], []
    day_ms = int(time.time() - 86_400) * 1000
    with service(database_url) as process:
        await wait_until_ready(url)
        # The first round meets every series for the first time and is not counted.
        for number in range(ROUNDS + 1):
            load = Load(SERIES, day_ms + number * STEPS * STEP_MS, STEP_MS)
            copy_rate = await raw_copy(conn, load)
            before = cpu_seconds(process.pid)
            billed_rate, acknowledged_rate = await through_the_door(url, key, conn, load)
            if number:
                cpu.append((cpu_seconds(process.pid) - before) * 1e6 / (STEPS * SERIES))
                copied.append(copy_rate)
                billed.append(billed_rate)
                acknowledged.append(acknowledged_rate)
        stored = await conn.fetchval("SELECT count(*) FROM public.sample")
    await conn.close()
    assert stored == (ROUNDS + 1) * STEPS * SERIES, f"{stored} samples are stored"
    ratios = [one / other for one, other in zip(billed, copied, strict=True)]
    return {
        "throughput_vs_copy": _figure(ratios),
        "billed_samples_per_second": _figure(billed),
        "acknowledged_samples_per_second": _figure(acknowledged),
        "copied_samples_per_second": _figure(copied),
        "service_cpu_seconds_per_million": _figure(cpu),
    }


def _figure(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }


def main() -> None:
    """Measure, print and record."""
    with database.database(database.server_url()) as url:
        service_url = database.as_service(url)
        migrate(url, service_url)
        result = asyncio.run(measure(url, service_url))
    for name, figure in result.items():
        print(f"{name:34} {figure['median']:>12} ({figure['min']} - {figure['max']})")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    with (RESULTS / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps({"at": int(time.time()), **result}) + "\n")


if __name__ == "__main__":
    main()
