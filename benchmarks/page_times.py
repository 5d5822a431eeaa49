"""Asks two copies of the service for every route, and reads in their logs how long it took."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.big_cloud import session_token
from benchmarks.page_targets import LEFT_OUT, ROLES, Targets
from os_credits.api.routes import ALL_ROUTES, Route
from os_credits.app import create_app
from os_credits.domain.visit import SESSION_COOKIE
from os_credits.settings import Settings
from scripts import places, ports
from scripts.children import start_child, stop_child

READY_SECONDS_MAX = 60
WARM_UP = 3
LIMIT_MS = 150
RATIO_LIMIT = 3


@dataclass(slots=True)
class Copy:
    """One copy of the service over one of the databases, and its log."""

    name: str
    database_url: str
    log: Path
    targets: Targets
    port: int = field(default_factory=ports.free_port)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; it only answers requests."""
        environment = {
            **os.environ,
            "OS_CREDITS_DATABASE_URL": self.database_url,
            "OS_CREDITS_PORT": str(self.port),
            "OS_CREDITS_ENDPOINTS_ONLY": "true",
            "OS_CREDITS_ALLOW_UNSAFE_DATABASE": "true",
            "OS_CREDITS_LOG_LEVEL": "DEBUG",
            "OS_CREDITS_LOG_FORMAT": "json",
        }
        program = places.VENV / "bin" / "os-credits"
        with self.log.open("wb") as output:
            process = start_child([program, "serve"], output=output, env=environment, cwd="/")
        try:
            yield
        finally:
            stop_child(process, signal.SIGTERM, 20)

    def seconds(self) -> dict[str, float]:
        """Read how long each request took, by its number."""
        found = {}
        for line in self.log.read_text(errors="replace").splitlines():
            if '"request_id"' in line and '"seconds"' in line:
                record = json.loads(line)
                found[record["request_id"]] = record["seconds"]
        return found


@dataclass(frozen=True, slots=True)
class Row:
    """One route and role: milliseconds at the big and the small cloud."""

    path: str
    role: str
    is_page: bool
    big_ms: list[float]
    small_ms: list[float]

    @property
    def ratio(self) -> float:
        """Compare the times under which 95 of 100 answers stay."""
        return self.p95 / max(percentile(self.small_ms, 95), 0.1)

    @property
    def p95(self) -> float:
        """Give the time under which 95 of 100 answers of the big cloud stay."""
        return percentile(self.big_ms, 95)


def percentile(values: list[float], percent: int) -> float:
    """Give the value under which so many of a hundred lie."""
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def routes() -> list[Route]:
    """List what is timed."""
    app = create_app(Settings(_env_file=None))
    return [
        route
        for route in app[ALL_ROUTES]
        if route.method == "GET" and not LEFT_OUT.match(route.path)
    ]


async def time_routes(small: Copy, big: Copy, calls: int, wanted: Sequence[Route]) -> list[Row]:
    """Ask for each route by each role, in turns at the small and the big cloud."""
    ids: dict[tuple[str, str, str], list[str]] = {}
    timeout = aiohttp.ClientTimeout(total=150)
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
    ) as session:
        for copy in (small, big):
            await _wait_until_ready(session, copy)
        for route in wanted:
            for role in ROLES:
                for copy in (small, big):
                    ids[route.path, role, copy.name] = []
                await _ask_in_turns(session, route, role, (small, big), calls, ids)
    await asyncio.sleep(1)
    seconds = {copy.name: copy.seconds() for copy in (small, big)}
    rows = []
    for route in wanted:
        for role in ROLES:
            big_ids, small_ids = (ids[route.path, role, copy.name] for copy in (big, small))
            if big_ids and small_ids:
                big_ms, small_ms = (
                    [seconds[name][one] * 1000 for one in of_copy if one in seconds[name]]
                    for name, of_copy in (("big", big_ids), ("small", small_ids))
                )
                is_page = route.is_page or route.is_page_too
                rows.append(Row(route.path, role, is_page, big_ms, small_ms))
    return rows


async def _ask_in_turns(
    session: aiohttp.ClientSession,
    route: Route,
    role: str,
    copies: tuple[Copy, Copy],
    calls: int,
    ids: dict[tuple[str, str, str], list[str]],
) -> None:
    """Leave out what a role may not see, and the first calls."""
    refused: dict[int, int] = {}
    began = time.monotonic()
    for number in range(WARM_UP + calls):
        for copy in copies:
            paths = copy.targets.paths(_variable(route), role)
            if not paths:
                print(f"    {route.path}: nothing is known to ask about")
                return
            path = paths[number % len(paths)]
            is_page = route.is_page or route.is_page_too
            status, request_id = await _ask(session, copy, path, role, is_page=is_page)
            if status != 200:  # noqa: PLR2004
                refused[status] = refused.get(status, 0) + 1
            elif number >= WARM_UP:
                ids[route.path, role, copy.name].append(request_id)
        if number + 1 == WARM_UP and refused:
            break
    took = time.monotonic() - began
    print(f"    {route.path} {role}: {took:.1f} s {refused or ''}", flush=True)


def _variable(route: Route) -> str:
    """Tell numbers of organisations, grants and so on apart, as far as a path does not."""
    path = route.path
    for word, name in (("/organisations/", "of_organisation"), ("/grants/", "of_grant")):
        path = path.replace(f"{word}{{number}}", f"{word}{{{name}}}")
    return path


async def _ask(
    session: aiohttp.ClientSession, copy: Copy, path: str, role: str, *, is_page: bool
) -> tuple[int, str]:
    from yarl import URL

    url = URL(f"http://{ports.LOOPBACK}:{copy.port}{path}", encoded=True)
    headers = {
        "Cookie": f"{SESSION_COOKIE}={session_token(ROLES[role])}",
        "Accept": "text/html" if is_page else "application/json",
    }
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        await response.read()
        return response.status, response.headers["X-Request-Id"]


async def _wait_until_ready(session: aiohttp.ClientSession, copy: Copy) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            async with session.get(f"http://{ports.LOOPBACK}:{copy.port}/readyz") as response:
                if response.status == 200:  # noqa: PLR2004
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
    raise SystemExit(f"the service does not get ready: {copy.log}")


def table_of(rows: list[Row]) -> str:
    """Write the times of all routes, slowest first, and which miss the limits."""
    lines = [
        "| route | role | p50 | p95 | p95 small | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row.p95):
        p50 = statistics.median(row.big_ms)
        missed = row.p95 > LIMIT_MS or row.ratio > RATIO_LIMIT
        mark = " **" if missed else ""
        kind = "" if row.is_page else " (JSON)"
        lines.append(
            f"| `{row.path}`{kind}{mark} | {row.role} | {p50:.1f} | {row.p95:.1f} "
            f"| {percentile(row.small_ms, 95):.1f} | {row.ratio:.1f} |"
        )
    return "\n".join(lines) + "\n"
