"""Each output of Telegraf's that can send here: what arrives, and what it does with our answers.

Telegraf itself cannot run here: `telegraf_outputs.py` does what its sources do.
"""

import math
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from os_credits.settings import BUILT_IN_METERS
from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.influx_senders import TelegrafOutput, outputs
from tests.acceptance.outage import cut_off
from tests.acceptance.shipped import MEMORY, VCPU
from tests.acceptance.telegraf import PROJECTS
from tests.acceptance.telegraf_agent import Agent
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
# What docs/senders.md tells users of outputs.http to set.
PERMANENT = frozenset({400, 413, 415, 422})
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


def metrics(count: int, start_ns: int, *, projects: Sequence[Any] = PROJECTS) -> list[Metric]:
    """Make what inputs.prometheus gathers of two counters, with fields that no meter names."""
    return [
        Metric(
            "prometheus",
            {"host": "tg", "project_name": name, "project_id": project_id, "location_id": "site"},
            {MEMORY: number, VCPU: number / 64, "up": True, "gone": math.nan, "text": 'a "b"\n'},
            start_ns + number * SECOND_NS,
        )
        for number in range(count)
        for name, project_id, *_ in projects
    ]


def samples_of(sent: Sequence[Metric]) -> dict[stored.SamplePlace, float]:
    """Say which samples must be stored."""
    return {
        (meter, metric.tags["project_id"], "", metric.time_ns // 10**6): float(metric.fields[meter])
        for metric in sent
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


@pytest.mark.parametrize("name", OUTPUTS)
async def test_a_full_buffer_arrives_exactly(
    name: str, service: Service, session: aiohttp.ClientSession
) -> None:
    sent = metrics(800, an_hour_ago())
    agent = Agent(output(name, service, session))
    await agent.output.connect()
    agent.add(sent)

    assert await agent.flush()
    assert await read_back(service) == samples_of(sent)
    async with service.request("GET", "/stats", key="admin") as response:
        assert (await response.json())["duplicate_samples"] == 0


# A batch that holds one metric from the future, among good ones.
PARTLY_BAD = {
    "influxdb": ("dropped", 400),
    "influxdb_v2": ("given up", 422),
    "http-influx": ("kept", 400),
    "http-json": ("kept", 400),
    "http-remote-write": ("kept", 400),
}
WRONG_KEY = {
    "influxdb": ("dropped", 401),
    "influxdb_v2": ("kept", 401),
    "http-influx": ("kept", 401),
    "http-json": ("kept", 401),
    "http-remote-write": ("kept", 401),
}


@pytest.mark.parametrize("name", PARTLY_BAD)
async def test_of_a_partly_bad_batch_the_good_is_stored_whatever_telegraf_does(
    name: str, service: Service, session: aiohttp.ClientSession
) -> None:
    good = metrics(5, an_hour_ago())
    bad = metrics(1, time.time_ns() + 10**16, projects=[("other", "other")])
    one = output(name, service, session)
    agent = Agent(one)
    agent.add([*good[:7], *bad, *good[7:]])
    await agent.flush()

    assert (fate(agent), dict(one.statuses)) == (PARTLY_BAD[name][0], {PARTLY_BAD[name][1]: 1})
    assert await read_back(service) == samples_of(good)

    if isinstance(one, HTTPOutput):
        # It would come for ever, with all that is behind it, were it not told what is permanent.
        assert not await agent.flush()
        agent.output = replace(one, non_retryable_statuscodes=PERMANENT)
        assert await agent.flush()
        assert fate(agent) == "dropped"
        assert await read_back(service) == samples_of(good)


@pytest.mark.parametrize("name", WRONG_KEY)
async def test_a_wrong_key_is_not_for_ever_but_to_outputs_influxdb(
    name: str, service: Service, session: aiohttp.ClientSession
) -> None:
    one = output(name, service, session, key="osc_wrong")
    agent = Agent(one)
    agent.add(metrics(1, an_hour_ago()))
    await agent.flush()

    assert (fate(agent), dict(one.statuses)) == (WRONG_KEY[name][0], {WRONG_KEY[name][1]: 1})


@pytest.mark.parametrize("name", OUTPUTS)
async def test_of_a_buffer_that_overflows_in_an_outage_the_newest_arrive(
    name: str, service: Service, session: aiohttp.ClientSession
) -> None:
    sent = metrics(40, an_hour_ago())
    one = output(name, service, session)
    agent = Agent(one, batch_size=20, buffer_limit=60)
    with cut_off(service.settings.database_url):
        for start in range(0, len(sent), 30):
            agent.add(sent[start : start + 30])
            assert not await agent.flush()
            assert fate(agent) == "kept"
        for_v2 = isinstance(one, InfluxDBV2Output) and one.retry_at - time.monotonic()
    if isinstance(one, InfluxDBV2Output):
        assert 1 < for_v2 <= 2
        one.retry_at = 0
    assert await agent.flush()

    assert set(one.statuses) == {503, 204}
    assert agent.dropped == len(sent) - 60
    assert await read_back(service) == samples_of(sent[-60:])


class TestTooLarge:
    @pytest.fixture
    async def small(self, database_url: str) -> AsyncIterator[Service]:
        """Give a service that takes bodies of 8 KiB."""
        async with running(settings_for(database_url, body_bytes_max=8192)) as one:
            yield one

    async def test_outputs_influxdb_v2_halves_until_it_fits(
        self, small: Service, session: aiohttp.ClientSession
    ) -> None:
        sent = metrics(100, an_hour_ago())
        one = output("influxdb_v2", small, session)
        assert isinstance(one, InfluxDBV2Output)
        agent = Agent(replace(one, content_encoding="identity"))
        agent.add(sent)

        assert await agent.flush()
        assert await read_back(small) == samples_of(sent)

    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    async def test_outputs_influxdb_v2_keeps_a_metric_that_alone_is_too_large(
        self, small: Service, session: aiohttp.ClientSession, encoding: str
    ) -> None:
        sent = metrics(3, an_hour_ago())
        noise = "".join(map(str, range(20_000)))
        large = replace(sent[4], fields={**sent[4].fields, "text": noise})
        one = output("influxdb_v2", small, session)
        assert isinstance(one, InfluxDBV2Output)
        one.content_encoding = encoding
        agent = Agent(one)
        agent.add([*sent[:4], large, *sent[5:]])
        await agent.flush()

        assert (len(agent), agent.rejected) == (1, 0)
        # Its other half was nothing at all, which is a success.
        assert set(one.statuses) == {413, 204}
        assert await read_back(small) == samples_of([*sent[:4], *sent[5:]])

    async def test_the_others_lose_it_or_send_it_for_ever(
        self, small: Service, session: aiohttp.ClientSession
    ) -> None:
        fates = {}
        for name in OUTPUTS:
            one = output(name, small, session)
            if isinstance(one, InfluxDBV2Output):
                continue
            one.content_encoding = "identity"
            agent = Agent(one)
            agent.add(metrics(1000, an_hour_ago()))
            await agent.flush()
            fates[name] = (fate(agent), set(one.statuses))

        assert fates == {
            "influxdb": ("dropped", {413}),
            "http-influx": ("kept", {413}),
            "http-json": ("kept", {413}),
            "http-json-seconds": ("kept", {413}),
            "http-remote-write": ("kept", {413}),
        }


async def test_outputs_influxdb_creates_its_database_whatever_its_name(
    service: Service, session: aiohttp.ClientSession
) -> None:
    warnings = {}
    for database in ("telegraf", 'a "b" \\ c', "two\nlines"):
        one = output("influxdb", service, session)
        assert isinstance(one, InfluxDBOutput)
        one.database = database
        await one.connect()
        warnings[database] = one.warnings

    assert not any(warnings.values()), warnings


async def test_whole_seconds_let_amounts_fall_together_and_nanoseconds_do_not(
    database_url: str, session: aiohttp.ClientSession, tmp_path: Any
) -> None:
    file = tmp_path / "meters.toml"
    file.write_text(BUILT_IN_METERS.read_text() + DELTA)
    start = an_hour_ago()
    async with running(settings_for(database_url, meter_file=file)) as service:
        for name in ("http-json", "http-json-seconds"):
            agent = Agent(output(name, service, session))
            agent.add(
                Metric("jobs", {"project_id": name}, {"value": number}, start + number * 10**8)
                for number in range(1, 10)
            )
            assert await agent.flush()
        times = [place[1:] for place in await read_back(service)]

    start_ms = start // 10**6
    assert sorted(times) == [
        *[("http-json", "", start_ms + 100 * number) for number in range(1, 10)],
        ("http-json-seconds", "", start_ms),
    ]


async def test_remote_write_names_each_field_and_cannot_take_amounts(
    database_url: str, session: aiohttp.ClientSession, tmp_path: Any
) -> None:
    file = tmp_path / "meters.toml"
    file.write_text(BUILT_IN_METERS.read_text() + DELTA)
    tags = {"project_id": "p", "location_id": "site"}
    async with running(settings_for(database_url, meter_file=file)) as service:
        one = output("http-remote-write", service, session)
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
        async with service.request("GET", "/stats", key="admin") as response:
            seen = await response.json()

    assert seen["unknown_metrics"] == {f"{VCPU}_value": 1}
    assert seen["accepted_samples"] == {VCPU: 1}
    assert "takes amounts" in agent.last_error


async def test_every_metric_may_be_a_request_of_its_own(
    service: Service, session: aiohttp.ClientSession
) -> None:
    one = output("http-json", service, session)
    assert isinstance(one, HTTPOutput)
    sent = metrics(4, an_hour_ago())

    def object_of(batch: Sequence[Metric]) -> bytes:
        text = to_json(batch, unit_ns=1).decode()
        return text.removeprefix('{"metrics":[').replace("]}\n", "\n").encode()

    agent = Agent(replace(one, use_batch_format=False, serializer=object_of))
    agent.add(sent)

    assert await agent.flush()
    assert await read_back(service) == samples_of(sent)
