"""Times what every page and JSON route takes on a big cloud, beside a small one, in turns.

    make bench-pages PROJECTS=10000 RESOURCES=100000

The two databases are written by `big_cloud.py` and kept in one folder, so that the next run times
at once. Two copies of the service run on one server, and every route is asked in turns, by each
role that may use it, each time for something else. What counts is the time that the service
itself takes for an answer, as its access log says it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import ExitStack
from pathlib import Path

import asyncpg

from benchmarks.big_cloud import Generator, Size
from benchmarks.page_targets import targets_in
from benchmarks.page_times import Copy, routes, table_of, time_routes
from os_credits.flows import forecast
from os_credits.flows.meters import load_meters, read_meter_file
from os_credits.settings import BUILT_IN_METERS
from os_credits.store.migrate import migrate
from os_credits.store.pool import open_pool
from scripts import places, timescaledb
from scripts.cluster import OWNER_ROLE, SUPERUSER, Cluster

SMALL = Size(projects=100, resources=1000)
TABLE = Path(__file__).parent / "results" / "pages.md"
DOCUMENT = places.CHECKOUT / "docs" / "speed.md"
# For a server that holds nothing but what can be made again.
SETTINGS = """
shared_buffers = 2GB
max_wal_size = 4GB
wal_level = minimal
max_wal_senders = 0
fsync = off
full_page_writes = off
checkpoint_timeout = 30min
"""


async def fill(cluster: Cluster, name: str, size: Size) -> None:
    """Write a cloud of this size, as far as an earlier run has not."""
    cluster.make_database(name)
    migrate(cluster.url(name, OWNER_ROLE), cluster.url(name))
    pool = await open_pool(cluster.url(name), connections_max=1, statement_timeout_seconds=600)
    await load_meters(pool, read_meter_file(BUILT_IN_METERS))
    await pool.close()
    conn = await asyncpg.connect(cluster.url(name, SUPERUSER))
    try:
        await Generator(conn, size, lambda text: print(f"    {name} {text}", flush=True)).fill()
        # What the service keeps at hand of all projects is never older than a few hours.
        await conn.execute("UPDATE forecast SET computed_at = now()")
        pool = await open_pool(cluster.url(name), connections_max=2, statement_timeout_seconds=600)
        while await forecast.run(pool):
            print(f"    {name} forecasts", flush=True)
        await pool.close()
    finally:
        await conn.close()


def folder_of(size: Size) -> Path:
    """Say where the databases of this size are kept."""
    named = os.environ.get("DATA_DIR")
    base = Path(named).absolute() if named else places.tools_dir() / "bench-pages"
    return base / f"{size.projects}-{size.resources}"


async def time_both(
    cluster: Cluster, folder: Path, calls: int, only: str, *, pages_only: bool
) -> str:
    """Ask both copies in turns; gives the table."""
    with ExitStack() as stack:
        copies = []
        for name in ("small", "big"):
            conn = await asyncpg.connect(cluster.url(name, SUPERUSER))
            targets = await targets_in(conn)
            await conn.close()
            copy = Copy(name, cluster.url(name), folder / f"service-{name}.log", targets)
            stack.enter_context(copy.running())
            copies.append(copy)
        small, big = copies
        wanted = [
            route
            for route in routes()
            if only in route.path and (route.is_page or route.is_page_too or not pages_only)
        ]
        return table_of(await time_routes(small, big, calls, wanted))


def main() -> None:
    """Generate, time, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--resources", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=200, help="of each route by each role")
    parser.add_argument("--only", default="", help="routes whose path has this text")
    parser.add_argument("--pages-only", action="store_true", help="leave out JSON routes")
    parser.add_argument("--only-generate", action="store_true")
    parser.add_argument("--document", action="store_true", help="put the table into docs/speed.md")
    given = parser.parse_args()
    size = Size(given.projects, given.resources)
    folder = folder_of(size)
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(timescaledb.make(), folder)
    cluster.make()
    (cluster.data / "postgresql.auto.conf").write_text(SETTINGS)
    with cluster.running():
        cluster.make_roles(may_create=False)
        asyncio.run(fill(cluster, "small", SMALL))
        asyncio.run(fill(cluster, "big", size))
        if given.only_generate:
            return
        table = asyncio.run(
            time_both(cluster, folder, given.calls, given.only, pages_only=given.pages_only)
        )
    print(table)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table)
    if given.document:
        head, mark, _ = DOCUMENT.read_text().partition("<!-- table -->\n")
        DOCUMENT.write_text(f"{head}{mark}\n{table}")


if __name__ == "__main__":
    main()
