"""Each output of Telegraf's that can send here: what arrives, and what it does with our answers.

Telegraf itself cannot run here: `telegraf_outputs.py` does what its sources do.
"""

import math
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from os_credits.settings import BUILT_IN_METERS
from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.outage import cut_off
from tests.acceptance.shipped import MEMORY, VCPU
from tests.acceptance.telegraf import PROJECTS
from tests.acceptance.telegraf_agent import Agent
from tests.acceptance.telegraf_examples import TelegrafOutput, outputs
from tests.acceptance.telegraf_metric import SECOND_NS, Metric, to_json
from tests.acceptance.telegraf_outputs import HTTPOutput, InfluxDBOutput, InfluxDBV2Output

OUTPUTS = (
    "influxdb",
    "influxdb_v2",
    "http-influx",
    "http-json",
    "http-json-seconds",
    "http-remote-write",
)
DELTA = """
[[meter]]
name = "jobs"
metric = "jobs"
kind = "delta"
unit = "job"
project_id = "project_id"
"""


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Give the connections of a Telegraf."""
    async with aiohttp.ClientSession() as one:
        yield one


def output(
    name: str, service: Service, session: aiohttp.ClientSession, *, key: str = "ingest"
) -> TelegrafOutput:
    """Give an output that sends to the service."""
    return outputs(session, service.url, service.keys.get(key, key))[name]


def an_hour_ago() -> int:
    """Give a whole second, in nanoseconds."""
    return (int(time.time()) - 3600) * SECOND_NS


def metrics(
    count: int, start_ns: int, *, sender: str = "tg", projects: Sequence[Any] = PROJECTS
) -> list[Metric]:
    """Make what inputs.prometheus gathers of two counters, with fields that no meter names."""
    return [
        Metric(
            "prometheus",
            {"project_name": name, "project_id": f"{sender} {project_id}", "location_id": "site"},
            {MEMORY: number, VCPU: number / 64, "up": True, "gone": math.nan, "text": 'a "b"\n'},
            start_ns + number * SECOND_NS,
        )
        for number in range(count)
        for name, project_id, *_ in projects
    ]


def samples_of(*sent: Sequence[Metric]) -> dict[stored.SamplePlace, float]:
    """Say which samples must be stored of what was sent."""
    return {
        (meter, metric.tags["project_id"], "", metric.time_ns // 10**6): float(metric.fields[meter])
        for metric in chain(*sent)
        for meter in (VCPU, MEMORY)
    }


async def read_back(service: Service) -> dict[stored.SamplePlace, float]:
    """Give what is stored, once all is rated."""
    await service.rated()
    return await stored.samples(service.settings.database_url)


def fate(agent: Agent) -> str:
    """Say what became of what an agent was given."""
    one = agent.output
    assert isinstance(one, TelegrafOutput)
    if agent.rejected:
        return "given up"
    if one.lost:
        return "dropped"
    return "kept" if len(agent) else "taken"


def object_of(metrics: Sequence[Metric]) -> bytes:
    """Write a metric by itself, as Telegraf does without its batch format."""
    text = to_json(metrics, unit_ns=1).decode()
    return text.removeprefix('{"metrics":[').replace("]}\n", "\n").encode()


async def test_a_full_buffer_arrives_exactly(
    service: Service, session: aiohttp.ClientSession
) -> None:
    sent = {name: metrics(100, an_hour_ago(), sender=name) for name in OUTPUTS}
    for name, batch in sent.items():
        agent = Agent(output(name, service, session), batch_size=130)
        await agent.output.connect()
        agent.add(batch)

        assert await agent.flush(), name
    sent["single"] = metrics(4, an_hour_ago(), sender="single")
    one = output("http-json", service, session)
    assert isinstance(one, HTTPOutput)
    agent = Agent(replace(one, use_batch_format=False, serializer=object_of))
    agent.add(sent["single"])

    assert await agent.flush()
    assert await read_back(service) == samples_of(*sent.values())
    async with service.request("GET", "/stats", key="admin") as response:
        assert (await response.json())["duplicate_samples"] == 0


async def test_of_a_partly_bad_batch_the_good_is_stored_whatever_telegraf_does(
    service: Service, session: aiohttp.ClientSession
) -> None:
    """One metric of the batch is from the future."""
    fates, good = {}, {}
    for name in OUTPUTS:
        good[name] = metrics(5, an_hour_ago(), sender=name)
        bad = metrics(1, time.time_ns() + 10**16, projects=[("other", "other")])
        one = output(name, service, session)
        agent = Agent(one)
        agent.add([*good[name][:7], *bad, *good[name][7:]])
        if isinstance(one, HTTPOutput):
            # It would come for ever, with all that is behind it, had the file no list of statuses.
            agent.output = replace(one, non_retryable_statuscodes=frozenset())
            assert not await agent.flush()
            assert fate(agent) == "kept"
            agent.output = one
        await agent.flush()
        fates[name] = (fate(agent), dict(one.statuses))

    assert fates == {
        "influxdb": ("dropped", {400: 1}),
        "influxdb_v2": ("given up", {422: 1}),
        "http-influx": ("dropped", {400: 1}),
        "http-json": ("dropped", {400: 1}),
        "http-json-seconds": ("dropped", {400: 1}),
        "http-remote-write": ("dropped", {400: 1}),
    }
    assert await read_back(service) == samples_of(*good.values())


async def test_a_wrong_key_loses_only_with_outputs_influxdb_and_a_database_may_have_any_name(
    service: Service, session: aiohttp.ClientSession
) -> None:
    warnings = {}
    for database in ("telegraf", 'a "b" \\ c', "two\nlines"):
        creating = output("influxdb", service, session)
        assert isinstance(creating, InfluxDBOutput)
        creating.database, creating.skip_database_creation = database, False
        await creating.connect()
        warnings[database] = creating.warnings
    fates = {}
    for name in OUTPUTS:
        one = output(name, service, session, key="osc_wrong")
        agent = Agent(one)
        agent.add(metrics(1, an_hour_ago()))
        await agent.flush()
        fates[name] = (fate(agent), dict(one.statuses))

    assert not any(warnings.values()), warnings
    kept = dict.fromkeys(OUTPUTS, ("kept", {401: 1}))
    assert fates == kept | {"influxdb": ("dropped", {401: 1})}


async def test_of_a_buffer_that_overflows_in_an_outage_the_newest_arrive(
    service: Service, session: aiohttp.ClientSession
) -> None:
    sent = {name: metrics(40, an_hour_ago(), sender=name) for name in OUTPUTS}
    agents = {
        name: Agent(output(name, service, session), batch_size=20, buffer_limit=60)
        for name in OUTPUTS
    }
    with cut_off(service.settings.database_url):
        for name, agent in agents.items():
            for start in range(0, len(sent[name]), 30):
                agent.add(sent[name][start : start + 30])
                assert not await agent.flush()
                assert fate(agent) == "kept"
            assert agent.dropped == len(sent[name]) - 60
    for agent in agents.values():
        one = agent.output
        if isinstance(one, InfluxDBV2Output):
            assert 0 < one.retry_at - time.monotonic() <= 15
            one.retry_at = 0
        assert await agent.flush()
        assert isinstance(one, TelegrafOutput)
        assert set(one.statuses) == {503, 204}

    assert await read_back(service) == samples_of(*(them[-60:] for them in sent.values()))


class TestTooLarge:
    @pytest.fixture
    async def small(self, database_url: str) -> AsyncIterator[Service]:
        """Give a service that takes bodies of 8 KiB."""
        async with running(settings_for(database_url, body_bytes_max=8192)) as one:
            yield one

    async def test_outputs_influxdb_v2_halves_until_it_fits_and_keeps_what_never_does(
        self, small: Service, session: aiohttp.ClientSession
    ) -> None:
        sent, noise = {}, "".join(map(str, range(20_000)))
        for encoding in ("identity", "gzip"):
            one = output("influxdb_v2", small, session)
            assert isinstance(one, InfluxDBV2Output)
            one.content_encoding = encoding
            batch = metrics(100, an_hour_ago(), sender=encoding)
            large = replace(batch[40], fields={**batch[40].fields, "text": noise})
            sent[encoding] = [*batch[:40], *batch[41:]]
            agent = Agent(one)
            agent.add([*batch[:40], large, *batch[41:]])
            await agent.flush()

            assert (len(agent), agent.rejected) == (1, 0)
            # Of the large one alone, one half is nothing at all, which is a success.
            assert set(one.statuses) == {413, 204}
        assert await read_back(small) == samples_of(*sent.values())

    async def test_the_others_lose_it(self, small: Service, session: aiohttp.ClientSession) -> None:
        fates = {}
        for name in OUTPUTS:
            one = output(name, small, session)
            if isinstance(one, InfluxDBV2Output):
                continue
            one.content_encoding = "identity"
            agent = Agent(one)
            agent.add(metrics(300, an_hour_ago()))
            await agent.flush()
            fates[name] = (fate(agent), set(one.statuses))

        assert fates == {
            "influxdb": ("dropped", {413}),
            "http-influx": ("dropped", {413}),
            "http-json": ("dropped", {413}),
            "http-json-seconds": ("dropped", {413}),
            "http-remote-write": ("dropped", {413}),
        }


@pytest.fixture
async def with_amounts(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """Give a service with a meter of amounts."""
    file = tmp_path / "meters.toml"
    file.write_text(BUILT_IN_METERS.read_text() + DELTA)
    async with running(settings_for(database_url, meter_file=file)) as one:
        yield one


async def test_amounts_want_nanoseconds_and_no_remote_write(
    with_amounts: Service, session: aiohttp.ClientSession
) -> None:
    start = an_hour_ago()
    for name in ("http-json", "http-json-seconds"):
        agent = Agent(output(name, with_amounts, session))
        agent.add(
            Metric("jobs", {"project_id": name}, {"value": number}, start + number * 10**8)
            for number in range(1, 10)
        )
        assert await agent.flush()

    start_ms = start // 10**6
    assert await read_back(with_amounts) == {
        ("jobs", "http-json-seconds", "", start_ms): 9,
        **{("jobs", "http-json", "", start_ms + 100 * one): one for one in range(1, 10)},
    }

    # Remote write has no amounts, and names each field.
    tags = {"project_id": "p", "location_id": "site"}
    one = output("http-remote-write", with_amounts, session)
    assert isinstance(one, HTTPOutput)
    one.non_retryable_statuscodes = frozenset()
    agent = Agent(one)
    agent.add(
        [
            Metric(VCPU, tags, {"value": 1}, an_hour_ago()),
            Metric("project", tags, {"vcpu_usage": 2}, an_hour_ago()),
        ]
    )
    assert await agent.flush()
    agent.add([Metric("prometheus", tags, {"jobs": 1}, an_hour_ago())])
    assert not await agent.flush()
    async with with_amounts.request("GET", "/stats", key="admin") as response:
        seen = await response.json()

    assert seen["unknown_metrics"] == {f"{VCPU}_value": 1}
    assert seen["accepted_samples"] == {VCPU: 1, "jobs": 18}
    assert "takes amounts" in agent.last_error
