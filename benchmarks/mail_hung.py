"""Whether a push waits for anybody's mail: pushes timed while servers hang, and while they do not.

    make bench-mail

One service in its own process; a mail server, a webhook and a portal that answer at once or
never, in turns; before each turn the same number of notices falls due. What counts is the ratio
of the medians of all turns' 99th percentiles. Writes `benchmarks/results/mail_hung.json`, and
fails if the ratio is 1.2 or more.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncpg

from benchmarks.load import Load
from benchmarks.quick import PORT, RESULTS, wait_until_ready
from os_credits.domain.access import Scope
from os_credits.domain.mail import Addressing
from os_credits.flows.keys import KeyRequest, create_key
from os_credits.store.mails import insert_mails
from os_credits.store.migrate import migrate
from os_credits.store.pool import open_pool, transaction
from tests import database
from tests.integration.mail_server import MailServer, mail_server
from tests.integration.receiver import HANG, Receiver, receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.store.pool import Pool

TURNS = int(os.environ.get("TURNS", "8"))
SECONDS = 10.0
CONNECTIONS = 4
# Each connection pushes this often; together well below what the service can take.
PUSHES_PER_SECOND = 25
SERIES = 100
# What falls due in each turn, on each of the three channels.
NOTICES = 40
# A few of them hang at a time, so that all of a turn's cannot be through before it ends.
TIMEOUT_SECONDS = 5
RATIO_MAX = 1.2
EVERYWHERE = Addressing("cloud.example", webhook=True, portal=True)


class Outside:
    """The three servers, and whether they answer."""

    def __init__(self, mails: MailServer, posts: Receiver) -> None:
        self.mails = mails
        self.posts = posts

    def hang(self, hangs: bool) -> None:
        """Let all of them fall silent, or answer again."""
        self.mails.pause_seconds = 3600 if hangs else 0
        self.posts.answers.clear()
        self.posts.answers.extend([HANG] * 10_000 * hangs)

    @property
    def taken(self) -> int:
        """Count the dialogues and posts so far."""
        return self.mails.dialogues + len(self.posts.received)


@asynccontextmanager
async def service(url: str, outside: Outside) -> AsyncIterator[None]:
    """Run the real service as a process of its own."""
    settings = {
        "DATABASE_URL": url,
        "PORT": PORT,
        "LOG_LEVEL": "ERROR",
        "MAIL_HOST": "127.0.0.1",
        "MAIL_PORT": outside.mails.port,
        "MAIL_TIMEOUT_SECONDS": TIMEOUT_SECONDS,
        "WEBHOOK_URL": f"{outside.posts.url}/hook",
        "WEBHOOK_SECRET": "secret",
        "PORTAL_LIMIT_URL": outside.posts.url,
    }
    environment = {f"OS_CREDITS_{name}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        [sys.executable, "-m", "os_credits", "serve"], env={**os.environ, **environment}
    )
    try:
        await wait_until_ready(f"http://127.0.0.1:{PORT}")
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 60)


async def let_notices_fall_due(pool: Pool) -> None:
    """Write notices about one project, each due at once on every channel."""
    now = datetime.now(UTC)
    async with transaction(pool) as conn:
        told = await conn.fetch(
            """
            INSERT INTO notice (project_id, kind, line, balance, granted, created_at)
            SELECT (SELECT min(id) FROM project), 'percent', 0, 0, 100, $1
            FROM generate_series(1, $2::int) RETURNING id
            """,
            now,
            NOTICES,
        )
        ids = [row["id"] for row in told]
        await insert_mails(conn, notice_ids=ids, due_at=now, addressing=EVERYWHERE)


async def push(load: Load, key: str, seconds: float) -> list[float]:
    """Push steadily and give how long each push took, in seconds."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
    }
    taken: list[float] = []
    steps = iter(range(1_000_000))
    end = time.perf_counter() + seconds

    async def send(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() < end:
            body = load.body(next(steps))
            started = time.perf_counter()
            url = f"http://127.0.0.1:{PORT}/api/v1/write"
            async with session.post(url, data=body, headers=headers) as answer:
                assert answer.status == HTTPStatus.NO_CONTENT, await answer.text()
            took = time.perf_counter() - started
            taken.append(took)
            await asyncio.sleep(max(1 / PUSHES_PER_SECOND - took, 0))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(send(session) for _ in range(CONNECTIONS)))
    return taken


WAITING = "SELECT count(*) FROM mail WHERE state = 'pending'"


async def see_all_waiting(owner: Any) -> None:
    """Make sure that nothing of a hanging turn was sent."""
    waiting = await owner.fetchval(WAITING)
    assert waiting == 3 * NOTICES, f"{waiting} wait of {3 * NOTICES}"


async def wait_until_sent(owner: Any) -> None:
    """Make sure that all of an answering turn is sent."""
    async with asyncio.timeout(60):
        while await owner.fetchval(WAITING):  # noqa: ASYNC110 - another process works
            await asyncio.sleep(0.1)


async def measure(owner_url: str, url: str) -> dict[str, Any]:
    """Run all turns: answering and hanging, one after the other."""
    pool = await open_pool(url, connections_max=2, statement_timeout_seconds=30)
    owner = await asyncpg.connect(owner_url)
    _, key = await create_key(pool, KeyRequest("bench", frozenset({Scope.INGEST})))
    figures: dict[bool, list[list[float]]] = {False: [], True: []}
    day_ms = int(time.time() - 86_400) * 1000
    async with mail_server() as mails, receiver() as posts:
        outside = Outside(mails, posts)
        async with service(url, outside):
            await push(Load(SERIES, day_ms, 1000), key, 3)
            await owner.execute(
                "INSERT INTO project_owner (project_id, email)"
                " SELECT min(id), 'ada@lab.example' FROM project"
            )
            for turn in range(2 * TURNS):
                hangs = turn % 2 == 1
                outside.hang(hangs)
                before = outside.taken
                await let_notices_fall_due(pool)
                load = Load(SERIES, day_ms + (turn + 1) * 3_000_000, 1000)
                figures[hangs].append(await push(load, key, SECONDS))
                assert outside.taken > before, "nothing was sent meanwhile"
                await (see_all_waiting if hangs else wait_until_sent)(owner)
                await owner.execute("UPDATE mail SET state = 'refused' WHERE state = 'pending'")
                outside.hang(False)
                await asyncio.sleep((TIMEOUT_SECONDS + 1) * hangs)
    await owner.close()
    await pool.close()
    return _figures(figures)


def _figures(pushes: dict[bool, list[list[float]]]) -> dict[str, Any]:
    def of(hangs: bool, percent: int) -> float:
        marks = [statistics.quantiles(turn, n=100)[percent - 1] for turn in pushes[hangs]]
        return round(statistics.median(marks) * 1000, 3)

    return {
        "turns_each": TURNS,
        "pushes_each": {
            name: sum(map(len, pushes[hangs]))
            for name, hangs in (("answering", False), ("hanging", True))
        },
        "p50_ms": {"answering": of(False, 50), "hanging": of(True, 50)},
        "p99_ms": {"answering": of(False, 99), "hanging": of(True, 99)},
        "p99_ratio": round(of(True, 99) / of(False, 99), 3),
    }


def main() -> None:
    """Measure, print, record and judge."""
    with database.database(database.server_url()) as url:
        service_url = database.as_service(url)
        migrate(url, service_url)
        result = asyncio.run(measure(url, service_url))
    text = json.dumps(result, indent=2)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "mail_hung.json").write_text(f"{text}\n", encoding="utf-8")
    sys.exit(result["p99_ratio"] >= RATIO_MAX)


if __name__ == "__main__":
    main()
