"""One attack on a service in its own process, with an honest sender meanwhile."""

import asyncio
import json
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from os_credits.domain.access import Scope
from os_credits.settings import Settings
from tests.abuse.catalogue import ATTACKS
from tests.abuse.honest import PROJECT, Honest, sending
from tests.abuse.memory import MIB, Memory
from tests.acceptance.conftest import Service
from tests.acceptance.own_process import ServiceProcess
from tests.acceptance.stored import query

CHECKOUT = Path(__file__).resolve().parents[2]
CALM_SECONDS = 4.0
# After an attack, until what it left behind is worked off.
AFTER_SECONDS = 3.0
ATTACK_SECONDS_MAX = 200.0
RATING_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one attack came to."""

    name: str
    answers: dict[str, int]
    refused_ms: float | None
    notes: list[str]
    peak_mib: float
    left_mib: float
    calm_p99_ms: float
    attacked_p99_ms: float
    attacked_pushes: int
    honest_refused: int
    honest_lost: int

    def row(self) -> str:
        """Write a row of the table."""
        answers = ", ".join(
            f"{status} × {count}" if count > 1 else status for status, count in self.answers.items()
        )
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        after = "" if self.refused_ms is None else f"{self.refused_ms:,.0f}"
        return (
            f"| {ATTACKS[self.name].what} | {answers or 'none'}{notes} | {after} "
            f"| {self.peak_mib:,.0f} | {self.left_mib:,.0f} | {self.calm_p99_ms:,.0f} "
            f"| {self.attacked_p99_ms:,.0f} | {self.honest_refused} | {self.honest_lost} |"
        )


async def attacked(name: str, database_url: str) -> Figures:
    """Attack a fresh service with default settings, and measure."""
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        log_level="WARNING",
        open_compat_networks=[],
    )
    with tempfile.TemporaryDirectory() as folder:
        process = ServiceProcess(settings, Path(folder))
        try:
            await process.start()
            async with aiohttp.ClientSession() as session:
                service = Service(process.url, settings, session)
                keys = [await service.new_key(Scope.INGEST) for _ in range(2)]
            return await _measured(name, process, keys, database_url)
        finally:
            process.kill()


async def _measured(
    name: str, process: ServiceProcess, keys: list[str], database_url: str
) -> Figures:
    attacker = await _attacker(name, process.port, keys[1])
    honest = Honest(process.url, keys[0])
    memory = Memory(process.pid)
    async with sending(honest):
        await asyncio.sleep(CALM_SECONDS)
        calm = honest.seconds[1:]
        before = len(honest.seconds)
        base = memory.now_bytes()
        with memory.watched():
            figures = await _attack(attacker)
            await asyncio.sleep(1)
        meanwhile = honest.seconds[before:]
        await asyncio.sleep(AFTER_SECONDS)
        left = memory.now_bytes()
    stored = await stored_samples(database_url, honest.acknowledged)
    return Figures(
        name=name,
        answers=figures["answers"],
        refused_ms=1000 * max(figures["seconds"]) if figures["seconds"] else None,
        notes=figures["notes"],
        peak_mib=(memory.peak_bytes - base) / MIB,
        left_mib=(left - base) / MIB,
        calm_p99_ms=_p99_ms(calm),
        attacked_p99_ms=_p99_ms(meanwhile),
        attacked_pushes=len(meanwhile),
        honest_refused=honest.refused,
        honest_lost=honest.acknowledged - stored,
    )


async def _attacker(name: str, port: int, key: str) -> asyncio.subprocess.Process:
    attacker = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.abuse.attacker", name, str(port), key),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        limit=64 * MIB,
    )
    assert attacker.stdout is not None
    assert (await attacker.stdout.readline()).strip() == b"ready"
    return attacker


async def _attack(attacker: asyncio.subprocess.Process) -> dict[str, Any]:
    async with asyncio.timeout(ATTACK_SECONDS_MAX):
        told, _ = await attacker.communicate(b"go\n")
    figures: dict[str, Any] = json.loads(told)
    return figures


async def stored_samples(database_url: str, expected: int) -> int:
    """Count the samples of the honest sender once as many as expected are rated."""
    ends = time.monotonic() + RATING_SECONDS_MAX
    while True:
        [[count]] = await query(
            database_url,
            """
            SELECT count(*) FROM sample JOIN series s ON s.id = sample.series_id
            JOIN project p ON p.id = s.project_id WHERE p.name = %s
            """,
            PROJECT,
        )
        if count >= expected or time.monotonic() > ends:
            return int(count)
        await asyncio.sleep(0.5)


def _p99_ms(seconds: list[float]) -> float:
    if not seconds:
        return math.nan
    return 1000 * sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.99))]
