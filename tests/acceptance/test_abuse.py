"""Hostile bodies and sockets are refused; an honest sender is served meanwhile and loses nothing.

The quick ones only; `make abuse` tries all of them and measures (docs/bounds.md).
"""

import asyncio
from collections import Counter
from pathlib import Path

from os_credits.domain.access import Scope
from tests.abuse.catalogue import ATTACKS, HALF_HEAD
from tests.abuse.honest import Honest, sending
from tests.abuse.memory import MIB, Memory
from tests.abuse.scene import stored_samples
from tests.abuse.sockets import Outcome, Victim, crowd, exchange, head
from tests.acceptance.own_process import own_process

# What each attack is answered.
REFUSED = {
    "body-declared": "413",
    "body-chunked": "413",
    "gzip-over": "413",
    "snappy-4-gib": "413",
    "frames-1": "413",
    "frames-2": "413",
    "symbols-2": "413",
    "label-1-mb": "400",
    "labels-2": "400",
}
# A body of 64 MiB may take some times as much while it is read; it was 2,230 MiB once.
PEAK_MIB_MAX = 600
CONNECTIONS_MAX = 40


async def test_hostile_bodies_are_refused_while_an_honest_sender_is_served(
    database_url: str, tmp_path: Path
) -> None:
    async with own_process(database_url, tmp_path) as (process, service):
        honest = Honest(service.url, await service.new_key(Scope.INGEST))
        victim = Victim(process.port, service.keys["ingest"])
        memory = Memory(process.pid)
        base_bytes = memory.now_bytes()
        answers = {}
        async with sending(honest):
            with memory.watched():
                for name in REFUSED:
                    outcome = Outcome()
                    made = await asyncio.to_thread(ATTACKS[name].make)
                    await ATTACKS[name].run(victim, outcome, made)
                    answers[name] = outcome.answers
        stored = await stored_samples(database_url, honest.acknowledged)

    assert answers == {name: Counter([status]) for name, status in REFUSED.items()}
    assert honest.acknowledged >= 500
    assert (honest.refused, stored) == (0, honest.acknowledged)
    assert (memory.peak_bytes - base_bytes) / MIB < PEAK_MIB_MAX


async def test_half_sent_heads_beyond_all_connections_keep_no_honest_sender_out(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"connections_max": CONNECTIONS_MAX, "head_timeout_seconds": 60}
    async with own_process(database_url, tmp_path, **settings) as (process, service):
        honest = Honest(service.url, await service.new_key(Scope.INGEST))
        victim = Victim(process.port, "")
        async with crowd(victim, 3 * CONNECTIONS_MAX, HALF_HEAD) as opened, sending(honest):
            await asyncio.sleep(1)
        stored = await stored_samples(database_url, honest.acknowledged)

    assert len(opened) == 3 * CONNECTIONS_MAX
    assert honest.acknowledged >= 500
    assert (honest.refused, stored) == (0, honest.acknowledged)


async def test_a_connection_that_is_cut_amid_a_file_takes_no_later_one_with_it(
    database_url: str, tmp_path: Path
) -> None:
    """A new connection may get the number that the system knew the cut one by."""
    ask = head("/static/vendor/swagger-ui/swagger-ui-bundle.js", method="GET")
    async with own_process(database_url, tmp_path, head_timeout_seconds=1) as (process, _service):
        victim = Victim(process.port, "")
        async with crowd(victim, 1, ask * 100) as [(_, writer)]:
            assert isinstance(writer.transport, asyncio.Transport)
            writer.transport.pause_reading()
            while not writer.transport.is_closing():
                writer.write(ask * 100)
                await asyncio.sleep(0.1)
            outcome = Outcome()
            for _ in range(5):
                await exchange(victim, outcome, [head("/ping", method="GET")], 5.0)

    assert outcome.answers == Counter({"200": 5})
