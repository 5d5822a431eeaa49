"""Fuzz the doors of a running service: python -m tests.fuzz.doors SECONDS SEED.

Requests with damaged bodies, headers and paths, four at once: never a 5xx, never a hang, no
exception in the log, and memory that stays flat. The exit status is 1 otherwise.
"""

import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from os_credits.store.migrate import migrate
from tests import database
from tests.abuse.memory import MIB, Memory
from tests.abuse.sockets import Outcome, Victim, chunked, exchange, head, pieces
from tests.acceptance.own_process import ServiceProcess, own_process
from tests.fuzz.mutations import bytes_mutator
from tests.fuzz.targets import TARGETS

SENDERS = 4
REQUEST_SECONDS_MAX = 10.0
GROWTH_MIB_MAX = 64
# The first requests fill caches and pools; what is held after them must stay.
WARM_SHARE = 0.3
INPUT_BYTES_MAX = 256 * 1024
CHUNKED_SHARE = 0.2
UNSOUND_SHARE = 0.3
GIVE_UP_SECONDS = 1.0

# Each way in: its path, the headers it wants, the target that makes its bodies, bytes to cut off.
DOORS = (
    ("/api/v1/write", "application/x-protobuf", "snappy", "remote_write_packed", 1),
    (
        "/api/v1/write",
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "snappy",
        "remote_write_packed",
        1,
    ),
    ("/write?precision=ns", "text/plain", "", "line_protocol", 1),
    ("/api/v2/write?precision=s", "text/plain", "identity", "line_protocol", 1),
    ("/write", "", "gzip", "gzip", 0),
    ("/telegraf", "application/json", "", "telegraf_json", 0),
    ("/query", "application/x-www-form-urlencoded", "", "line_protocol", 0),
    ("/cost_per_hour", "application/json", "", "telegraf_json", 0),
)
# What headers may not disturb, alone or in company.
HEADERS = (
    *(
        b"Content-Type: ",
        b"Content-Type: application/x-protobuf; proto=x; proto=y",
        b"Content-Type: \xff",
    ),
    *(b"Content-Encoding: gzip, gzip", b"Content-Encoding: br", b"Content-Encoding: gzip"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Length: -1"),
    *(b"Content-Length: 5", b"Content-Length: 99999999999999999999", b"Expect: 100-continue"),
    *(b"Authorization: Basic !!!", b"Authorization: Bearer \xe2\x80\xae", b"Authorization:"),
    *(b"X-Prometheus-Remote-Write-Version: 9.9", b"Retry-Attempt: -1", b"Accept: \x01"),
    *(
        b"Range: bytes=0-",
        b"Upgrade: websocket",
        b"Connection: upgrade, close",
        b"X: " + b"y" * 9000,
    ),
    *(b"Host: \r\nX-Folded:\r\n folded", b"No colon", b": empty", b"Cookie: " + b"a=b;" * 500),
)
PATHS = (
    b"?precision=q",
    b"?precision=s&precision=ns",
    b"/",
    b"//",
    b"%2e%2e/",
    b"?q=%00",
    b"?db=%ff",
    b"#x",
)


@dataclass
class Doors:
    """What a service answered: to requests whose head was sound, and to all others."""

    process: ServiceProcess
    key: str
    sound: Outcome = field(default_factory=Outcome)
    unsound: Outcome = field(default_factory=Outcome)

    async def fuzz(self, seconds: float, seed: int) -> None:
        """Send damaged requests for some time."""
        ends = time.monotonic() + seconds
        senders = (self._send(random.Random(seed + one), ends) for one in range(SENDERS))
        await asyncio.gather(*senders)

    async def _send(self, chance: random.Random, ends: float) -> None:
        victim = Victim(self.process.port, self.key)
        mutate = bytes_mutator(chance)
        seeds = {name: target.seeds() for name, target in TARGETS.items()}
        while time.monotonic() < ends:
            path, media_type, encoding, name, cut = chance.choice(DOORS)
            body = chance.choice(seeds[name])
            for _ in range(chance.choice((0, 1, 1, 2, 4))):
                body = TARGETS[name].mutation(body, mutate, chance)[:INPUT_BYTES_MAX]
            headers = {"Content-Type": media_type, "Content-Encoding": encoding}
            start = head(path, self.key, headers)
            parts = list(pieces(body[cut:]))
            if chance.random() < CHUNKED_SHARE:
                parts = list(chunked(parts))
                start = with_line(start, b"Transfer-Encoding: chunked")
            else:
                start = with_line(start, b"Content-Length: %d" % sum(map(len, parts)))
            if chance.random() < UNSOUND_SHARE:
                start = _damaged(start, chance)
                # It may have declared more than comes: then it is we who give up.
                await exchange(victim, self.unsound, [start, *parts], GIVE_UP_SECONDS)
            else:
                await exchange(victim, self.sound, [start, *parts])


def with_line(start: bytes, line: bytes) -> bytes:
    """Put one more line at the end of a head."""
    return start[:-2] + line + b"\r\n\r\n"


def _damaged(start: bytes, chance: random.Random) -> bytes:
    match chance.randrange(3):
        case 0:
            return with_line(start, chance.choice(HEADERS))
        case 1:
            return start.replace(b" HTTP/", chance.choice(PATHS) + b" HTTP/", 1)
    return bytes_mutator(chance)(start)


async def _fuzz(url: str, seconds: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with own_process(url, Path(folder)) as (process, service):
            doors = Doors(process, service.keys["ingest"])
            memory = Memory(process.pid)
            await doors.fuzz(seconds * WARM_SHARE, seed)
            base = memory.now_bytes()
            await doors.fuzz(seconds * (1 - WARM_SHARE), seed + SENDERS)
            grown = (memory.now_bytes() - base) / MIB
            unexpected = process.times_said("unexpected") + process.times_said("Traceback")
            log = process.log()
    slowest = max(doors.sound.seconds)
    answers = doors.sound.answers + doors.unsound.answers
    sys.stdout.write(
        f"doors: {answers.total()} requests, slowest {slowest:.2f} s, memory {grown:+.0f} MiB, "
        f"{unexpected} exceptions; {dict(sorted(answers.items()))}\n"
    )
    wrong = [one for one in answers if one.startswith("5")] or "no answer" in doors.sound.answers
    if not wrong and not unexpected and grown < GROWTH_MIB_MAX and slowest < REQUEST_SECONDS_MAX:
        return 0
    sys.stdout.write(log)
    return 1


def main() -> None:
    """Fuzz the doors and end with the exit status."""
    seconds, seed = int(sys.argv[1]), int(sys.argv[2])
    with database.database(database.server_url()) as owner_url:
        url = database.as_service(owner_url)
        migrate(owner_url, url)
        status = asyncio.run(_fuzz(url, seconds, seed))
    raise SystemExit(status)


if __name__ == "__main__":
    main()
