"""Real senders through an outage of the database and a `kill -9` of the service.

Each is run by its file of `examples/` and scrapes a cloud of its own; all go through the same, and
some answers to what was stored get lost on their way. What each scraped by its own word must be
stored, and the account must be what the oracle makes of it.
`make senders` does it with an outage of a minute and prints the figures.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance import stored
from tests.acceptance.outage import OUTAGE_SECONDS, cut_off
from tests.acceptance.own_process import ServiceProcess, own_process
from tests.acceptance.real_senders import Sender, prometheus_sender, vmagent_sender
from tests.acceptance.scraped import expected_charges, expected_samples
from tests.acceptance.vmagent import victoria_metrics

BEFORE_SECONDS = 2.0
BETWEEN_SECONDS = 1.0
AFTER_SECONDS = 2.0
STARTING_SECONDS_MAX = 30
# vmagent doubles its patience up to a minute, so it may come that long after an outage.
ARRIVING_SECONDS_MAX = 90


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of what one sender scraped."""

    sender: Sender
    scraped: int
    stored: int
    lost: int
    not_scraped: int
    over: int
    under: int
    dropped: float

    def line(self) -> str:
        """Write them for a person."""
        one = self.sender
        answers = one.way.answers
        return (
            f"{one.name} {one.version}, remote write {one.protocol}: scraped {self.scraped}, "
            f"stored {self.stored}, lost {self.lost}, billed twice {stored.shown(self.over)}, "
            f"billed too little {stored.shown(self.under)}, requests retried {answers[503]}, "
            f"answers lost {one.way.lost_answers}, requests taken {answers[204]}, "
            f"other answers {_others(answers)}"
        )


def _others(answers: Counter[int]) -> dict[int, int]:
    return {status: count for status, count in answers.items() if status not in {204, 503}}


@asynccontextmanager
async def all_senders(
    process: ServiceProcess, key: str, folder: Path
) -> AsyncIterator[list[Sender]]:
    """Run them all, each with its files in a folder of its own."""

    def own(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    async with AsyncExitStack() as running:
        beside = await running.enter_async_context(victoria_metrics(own("beside")))
        senders = [
            prometheus_sender("p2", "prometheus", process, key, own("p2")),
            prometheus_sender("p3", "prometheus-3", process, key, own("p3")),
            prometheus_sender("p3-2.0", "prometheus-3", process, key, own("p3-2.0")),
            vmagent_sender("vmagent", process, key, own("v1"), beside),
            vmagent_sender("vmagent-1.145", process, key, own("v1.145"), beside),
        ]
        yield await asyncio.gather(*map(running.enter_async_context, senders))


@pytest.mark.timeout(180 + 2 * OUTAGE_SECONDS)
async def test_real_senders_lose_nothing_and_nothing_is_billed_twice(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        own_process(database_url, tmp_path) as (process, service),
        all_senders(process, service.keys["ingest"], tmp_path) as senders,
    ):
        for sender in senders:
            sender.cloud.begin()
        await asyncio.sleep(BEFORE_SECONDS)
        with cut_off(database_url):
            await asyncio.sleep(OUTAGE_SECONDS)
        await asyncio.sleep(BETWEEN_SECONDS)
        process.kill()
        await process.start()
        await asyncio.sleep(AFTER_SECONDS)
        for sender in senders:
            sender.cloud.end()
        figures = await asyncio.gather(*(figures_of(one, database_url) for one in senders))

    for one in figures:
        print(one.line())  # noqa: T201 - `make senders` shows it
    for one in figures:
        assert (one.lost, one.not_scraped, one.over, one.under, one.dropped) == (0,) * 5, one.line()
        # The story did happen.
        assert one.scraped > len(one.sender.cloud.project_ids) * OUTAGE_SECONDS
        assert one.sender.way.answers[503] > 0
        assert one.sender.way.lost_answers > 0
        assert set(_others(one.sender.way.answers)) <= {415}


async def figures_of(sender: Sender, database_url: str) -> Figures:
    """Wait until everything arrived, or for as long as it can take, and compare."""
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while not await sender.saw_the_end():
            await asyncio.sleep(0.2)
    samples = await sender.scraped()
    expected = expected_samples(samples)
    projects = sender.cloud.project_ids
    try:
        async with asyncio.timeout(ARRIVING_SECONDS_MAX):
            while not expected <= set(await stored.samples(database_url, *projects)):
                await asyncio.sleep(0.3)
    except TimeoutError:
        pass  # what is missing is counted
    there = set(await stored.samples(database_url, *projects))
    charges = Counter(
        {
            place: micro
            for place, micro in (await stored.charges(database_url)).items()
            if place[0] in projects
        }
    )
    should = Counter(expected_charges(samples))
    return Figures(
        sender,
        scraped=len(expected),
        stored=len(there),
        lost=len(expected - there),
        not_scraped=len(there - expected),
        over=(charges - should).total(),
        under=(should - charges).total(),
        dropped=await sender.dropped(),
    )
