"""The attacks: what each sends, and how. Bodies are made before the clock starts."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.abuse.bodies import MIB
from tests.abuse.sockets import (
    NO_HEADERS,
    Outcome,
    Victim,
    chunked,
    crowd,
    exchange,
    head,
    hold,
    pieces,
    post,
)
from tests.acceptance.senders import V1

Make = Callable[[], bytes]
Run = Callable[[Victim, Outcome, list[bytes]], Awaitable[None]]

# As many of the worst bodies at once as a handful of hostile senders would send.
AT_ONCE = 8
# Longer than any time that the service gives to a half-sent head or body.
HOLD_SECONDS = 25.0
# How long an attack of many requests goes on, at most.
FLOOD_SECONDS = 15.0
FLOOD_SENDERS = 16
HUNDRED_MB = 100_000_000


@dataclass(frozen=True, slots=True)
class Attack:
    """What is told about an attack, the bodies to make before it, and the attack itself."""

    what: str
    make: Callable[[], list[bytes]]
    run: Run


def once(what: str, path: str, make: Make, headers: Mapping[str, object] = NO_HEADERS) -> Attack:
    """Send one body."""
    return _at_once(what, path, make, 1, headers)


def many(what: str, path: str, make: Make, headers: Mapping[str, object] = NO_HEADERS) -> Attack:
    """Send the same body by several senders at once."""
    return _at_once(f"{what}, {AT_ONCE} at once", path, make, AT_ONCE, headers)


def _at_once(what: str, path: str, make: Make, count: int, headers: Mapping[str, object]) -> Attack:
    async def run(victim: Victim, outcome: Outcome, made: list[bytes]) -> None:
        await asyncio.gather(*(post(victim, outcome, path, made[0], headers) for _ in range(count)))

    return Attack(what, lambda: [make()], run)


def flood(
    what: str,
    path: str,
    make: Callable[[], list[bytes]],
    headers: Mapping[str, object] = NO_HEADERS,
) -> Attack:
    """Send one body after the other, by several senders, for some time."""

    async def run(victim: Victim, outcome: Outcome, made: list[bytes]) -> None:
        queue = iter(made)

        async def send() -> None:
            for body in queue:
                await post(victim, outcome, path, body, headers)

        try:
            async with asyncio.timeout(FLOOD_SECONDS):
                await asyncio.gather(*(send() for _ in range(min(FLOOD_SENDERS, len(made)))))
        except TimeoutError:
            outcome.notes.append(f"{sum(outcome.answers.values())} of {len(made)} sent")

    return Attack(what, make, run)


def crowded(what: str, count: int, first: Callable[[Victim], bytes]) -> Attack:
    """Open many connections, write something to each, and wait."""

    async def run(victim: Victim, outcome: Outcome, _: list[bytes]) -> None:
        await hold(victim, outcome, count, first(victim), HOLD_SECONDS)

    return Attack(what, list, run)


async def declared_body(victim: Victim, outcome: Outcome, _: list[bytes]) -> None:
    await post(victim, outcome, "/api/v1/write", bytes(HUNDRED_MB), V1)


async def chunked_body(victim: Victim, outcome: Outcome, _: list[bytes]) -> None:
    start = head("/api/v1/write", victim.key, {**V1, "Transfer-Encoding": "chunked"})
    await exchange(victim, outcome, [start, *chunked(pieces(bytes(HUNDRED_MB)))])


async def never_read(victim: Victim, outcome: Outcome, _: list[bytes]) -> None:
    """Ask for large files a hundred times on each connection, and read nothing."""
    ask = head("/static/vendor/swagger-ui/swagger-ui-bundle.js", method="GET")
    async with crowd(victim, 1000, ask * 100) as opened:
        outcome.answers["not connected"] += 1000 - len(opened)
        await asyncio.sleep(HOLD_SECONDS)


async def pipelined(victim: Victim, outcome: Outcome, _: list[bytes]) -> None:
    """Ask for something small again and again, without waiting for answers, and read nothing."""
    ask = head("/ping", method="GET") * 4000
    async with crowd(victim, 300, ask) as opened:
        outcome.answers["not connected"] += 300 - len(opened)
        await asyncio.sleep(HOLD_SECONDS)


async def garbage(victim: Victim, outcome: Outcome, made: list[bytes]) -> None:
    await asyncio.gather(*(exchange(victim, outcome, pieces(one)) for one in made))


def garbage_bodies() -> list[bytes]:
    chance = random.Random(1)
    ping = head("/ping", method="GET")
    return [
        ping * chance.randrange(3)
        + chance.choice([ping * 20_000, chance.randbytes(MIB), b"A" * MIB])
        for _ in range(200)
    ]


async def unknown_keys(victim: Victim, outcome: Outcome, made: list[bytes]) -> None:
    queue = iter(range(5_000))

    async def send() -> None:
        for number in queue:
            stranger = Victim(victim.port, f"no-such-key-{number}")
            await post(stranger, outcome, "/api/v1/write", made[0], V1)

    try:
        async with asyncio.timeout(FLOOD_SECONDS):
            await asyncio.gather(*(send() for _ in range(FLOOD_SENDERS)))
    except TimeoutError:
        outcome.notes.append(f"{sum(outcome.answers.values())} of 5000 sent")


def in_parts(make: Callable[[int, int], bytes], parts: int, each: int) -> list[bytes]:
    return [make(part * each, each) for part in range(parts)]


def half_body(victim: Victim, *, key: bool) -> bytes:
    start = head("/write", victim.key if key else "", {"Content-Length": MIB})
    return start + b"m v=1\n" * 10_000
