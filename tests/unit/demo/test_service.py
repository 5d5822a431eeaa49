"""How the simulated cloud speaks HTTP: patient with trouble that passes, clear about refusals."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from os_credits.demo import service as demo_service
from os_credits.demo.cast import Door
from os_credits.demo.service import Service, open_session, path_of
from os_credits.domain.sample import Labels
from os_credits.errors import InvalidInput, Unavailable
from tests.unit.demo.sink import Sink, running_sink

LABELS: Labels = (("__name__", "project_vcpu_usage"), ("project_id", "p"))


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with running_sink() as one:
        yield one


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def service(sink: Sink, said: list[str]) -> AsyncIterator[Service]:
    async with open_session("osc_key") as session:
        yield Service(session, sink.url, said.append)


@pytest.mark.parametrize("door", list(Door))
async def test_samples_arrive_with_the_key(service: Service, sink: Sink, door: Door) -> None:
    await service.push(door, [(LABELS, [(1000, 2.5), (2000, 3.0)])])

    assert sink.samples == {LABELS: {1000: 2.5, 2000: 3.0}}
    assert {"Bearer osc_key"} == sink.keys


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_trouble_of_the_service_is_waited_for(
    service: Service, sink: Sink, said: list[str], status: int
) -> None:
    sink.answers = [(status, {}), (status, {})]

    await service.push(Door.LINES, [(LABELS, [(1000, 2.5)])])

    assert sink.requests == [("POST", "/write")] * 3
    assert len(said) == 1
    assert str(status) in said[0]


async def test_the_pause_that_the_service_asks_for_is_kept(service: Service, sink: Sink) -> None:
    sink.answers = [(503, {"Retry-After": "1"})]
    began = time.monotonic()

    await service.push(Door.LINES, [(LABELS, [(1000, 2.5)])])

    assert 1 <= time.monotonic() - began < 5


async def test_a_refusal_is_told_at_once(service: Service, sink: Sink) -> None:
    sink.answers = [(400, {})]

    with pytest.raises(InvalidInput, match=r"answered 400.*made up"):
        await service.push(Door.REMOTE_WRITE, [(LABELS, [(1000, 2.5)])])

    assert sink.requests == [("POST", "/api/v1/write")]


async def test_a_redirect_is_a_refusal_and_never_followed(service: Service, sink: Sink) -> None:
    sink.answers = [(302, {"Location": "/elsewhere"})]

    with pytest.raises(InvalidInput, match="302"):
        await service.push(Door.LINES, [(LABELS, [(1000, 2.5)])])

    assert sink.requests == [("POST", "/write")]


async def test_a_service_that_stays_away_is_given_up_after_a_named_number_of_attempts(
    said: list[str], monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(demo_service, "PAUSE_SECONDS_MIN", 0.001)
    monkeypatch.setattr(demo_service, "PAUSE_SECONDS_MAX", 0.002)
    async with open_session("osc_key") as session:
        away = Service(session, f"http://127.0.0.1:{unused_tcp_port}/", said.append)

        with pytest.raises(Unavailable, match="ClientConnectorError"):
            async with asyncio.timeout(10):
                await away.get("/api/metrics")

    assert len(said) == 1


async def test_what_is_not_there_is_none(service: Service) -> None:
    assert await service.get("/api/current_credits/nobody") is None
    assert await service.get("/api/credits_history/nobody", start_date="x") is None


def test_a_path_escapes_its_parts() -> None:
    assert path_of("api", "a/b c?d") == "/api/a%2Fb%20c%3Fd"
