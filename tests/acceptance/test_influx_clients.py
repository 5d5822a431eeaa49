"""InfluxDB's own Python clients, of version 1 and of version 2, against the running service."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from influxdb import InfluxDBClient as V1Client
from influxdb.exceptions import InfluxDBClientError, InfluxDBServerError
from influxdb_client import InfluxDBClient as V2Client
from influxdb_client import Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions
from influxdb_client.rest import ApiException

from tests.acceptance import stored
from tests.acceptance.conftest import Service
from tests.acceptance.outage import cut_off
from tests.acceptance.shipped import VCPU

DATABASE = "cloud"
# What each unit of a timestamp is in milliseconds; what is finer comes from Python's microseconds.
V1_PRECISIONS = {None: 1, "n": 1, "u": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
V2_PRECISIONS = {
    WritePrecision.NS: 1,
    WritePrecision.US: 1,
    WritePrecision.MS: 1,
    WritePrecision.S: 1000,
}
NAMES = ("plain", "with blank, comma = and more", "Ökologie 生態", 'a "quoted" name')


@contextmanager
def v1_client(service: Service, key: str = "ingest", **more: Any) -> Iterator[V1Client]:
    """Give the client of InfluxDB 1, with the key as its password."""
    parts = urlsplit(service.url)
    client = V1Client(
        host=parts.hostname,
        port=parts.port,
        username="anybody",
        password=service.keys.get(key, key),
        database=DATABASE,
        **more,
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def v2_client(service: Service, key: str = "ingest", **more: Any) -> Iterator[V2Client]:
    """Give the client of InfluxDB 2, with the key as its token."""
    with V2Client(service.url, token=service.keys.get(key, key), org="org", **more) as client:
        yield client


def point(at: datetime, value: float, project: str = "alpha") -> dict[str, Any]:
    """Write a sample of a project's counter as both clients take it."""
    tags = {"project_id": f"id/{project}", "project_name": project, "location_id": "site"}
    return {"measurement": VCPU, "tags": tags, "time": at, "fields": {"value": value}}


def an_hour_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=987_654) - timedelta(hours=1)


def ms(at: datetime, unit_ms: int = 1) -> int:
    """Give the time that is stored when a client sends it in whole units."""
    return int(at.timestamp() * 1000) // unit_ms * unit_ms


async def counts(service: Service) -> dict[str, Any]:
    async with service.request("GET", "/stats", key="admin") as response:
        seen: dict[str, Any] = await response.json()
        return seen


async def read_back(service: Service) -> dict[tuple[str, int], float]:
    """Give the value of each project and time that is stored of the counter."""
    await service.rated()
    return {
        (project.removeprefix("id/"), time): value
        for (_, project, _, time), value in (
            await stored.samples(service.settings.database_url)
        ).items()
    }


class TestV1:
    async def test_it_finds_what_it_asks_before_it_writes(self, service: Service) -> None:
        def ask() -> None:
            for gzip in (False, True):
                with v1_client(service, gzip=gzip) as client:
                    assert client.ping() == "1.8.10"
                    assert client.create_database(DATABASE) is None
                    with pytest.raises(InfluxDBClientError, match="only CREATE DATABASE") as error:
                        client.get_list_database()
                    assert error.value.code == 400

        await asyncio.to_thread(ask)

    async def test_every_precision_arrives_at_its_time(self, service: Service) -> None:
        at = an_hour_ago()

        def write(gzip: bool) -> None:
            with v1_client(service, gzip=gzip) as client:
                for number, precision in enumerate(V1_PRECISIONS):
                    assert client.write_points(
                        [point(at, number, f"{gzip} {number}")],
                        time_precision=precision,
                        retention_policy="autogen",
                        consistency="all",
                    )

        for gzip in (False, True):
            await asyncio.to_thread(write, gzip)

        assert await read_back(service) == {
            (f"{gzip} {number}", ms(at, unit)): number
            for number, unit in enumerate(V1_PRECISIONS.values())
            for gzip in (False, True)
        }

    async def test_batches_shared_tags_odd_names_and_every_kind_of_number_arrive_whole(
        self, service: Service
    ) -> None:
        at = an_hour_ago()
        points = [
            point(at + timedelta(milliseconds=number), number / 8, name)
            for number in range(100)
            for name in NAMES
        ]
        points += [point(at, 3, "whole"), point(at, True, "true")]
        for one in points:
            del one["tags"]["location_id"]
        line = f"{VCPU},project_name=line,project_id=id/line value=7i {ms(at)}"

        def write() -> None:
            with v1_client(service, gzip=True) as client:
                client.write_points(points, tags={"location_id": "site"}, batch_size=50)
                client.write_points([line, line], time_precision="ms", protocol="line")

        await asyncio.to_thread(write)

        several = {
            (name, ms(at + timedelta(milliseconds=number))): number / 8
            for number in range(100)
            for name in NAMES
        }
        single = {("whole", ms(at)): 3, ("true", ms(at)): 1, ("line", ms(at)): 7}
        assert await read_back(service) == several | single
        assert (await counts(service))["pushes"] == {"line_protocol": 10}

    async def test_a_bad_point_harms_only_itself_and_is_named(self, service: Service) -> None:
        at = an_hour_ago()
        lines = [
            f"{VCPU},project_id=id/{name},location_id=site value={value} {ms(at)}"
            for name, value in (("one", "1"), ("bad", "1x"), ("two", "2"))
        ]

        def write() -> InfluxDBClientError:
            with v1_client(service) as client, pytest.raises(InfluxDBClientError) as error:
                client.write_points(lines, time_precision="ms", protocol="line")
            return error.value

        error = await asyncio.to_thread(write)

        assert error.code == 400
        assert "partial write: line 2" in error.content
        assert await read_back(service) == {("one", ms(at)): 1, ("two", ms(at)): 2}

    async def test_a_wrong_password_is_401_and_an_outage_a_server_error(
        self, service: Service
    ) -> None:
        at = an_hour_ago()

        def write(key: str) -> None:
            with v1_client(service, key) as client:
                client.write_points([point(at, 1)])

        with pytest.raises(InfluxDBClientError) as refused:
            await asyncio.to_thread(write, "osc_wrong")
        with cut_off(service.settings.database_url):
            for key in ("osc_wrong", "ingest"):
                with pytest.raises(InfluxDBServerError, match="temporarily unavailable"):
                    await asyncio.to_thread(write, key)
        await asyncio.to_thread(write, "ingest")

        assert refused.value.code == 401
        assert await read_back(service) == {("alpha", ms(at)): 1}


class TestV2:
    async def test_it_finds_what_it_asks_and_sees_that_the_database_is_away(
        self, service: Service
    ) -> None:
        def ask() -> tuple[bool, str, str]:
            with v2_client(service) as client:
                with pytest.warns(DeprecationWarning, match="ping"):
                    health = client.health()
                return client.ping(), client.version(), health.status

        assert await asyncio.to_thread(ask) == (True, "1.8.10", "pass")
        with cut_off(service.settings.database_url):
            assert await asyncio.to_thread(ask) == (True, "1.8.10", "fail")

    async def test_every_precision_arrives_at_its_time(self, service: Service) -> None:
        at = an_hour_ago()

        def write(gzip: bool) -> None:
            with v2_client(service, enable_gzip=gzip) as client:
                api = client.write_api(write_options=SYNCHRONOUS)
                for number, precision in enumerate(V2_PRECISIONS):
                    record = point(at, number, f"{gzip} p{number}")
                    api.write(DATABASE, record=record, write_precision=precision)
                    one = Point.from_dict(point(at, number, f"{gzip} q{number}"), precision)
                    api.write(DATABASE, record=[one, one])

        for gzip in (False, True):
            await asyncio.to_thread(write, gzip)

        assert await read_back(service) == {
            (f"{gzip} {kind}{number}", ms(at, unit)): number
            for number, unit in enumerate(V2_PRECISIONS.values())
            for kind in "pq"
            for gzip in (False, True)
        }

    async def test_a_batching_writer_delivers_every_point_once(self, service: Service) -> None:
        at = an_hour_ago()
        delivered: list[str] = []
        failed: list[Exception] = []

        def write() -> None:
            with (
                v2_client(service, enable_gzip=True) as client,
                client.write_api(
                    write_options=WriteOptions(batch_size=100, flush_interval=200),
                    success_callback=lambda _key, data: delivered.append(data),
                    error_callback=lambda _key, _data, error: failed.append(error),
                ) as api,
            ):
                for number in range(300):
                    moment = at + timedelta(milliseconds=number)
                    for name in NAMES:
                        api.write(DATABASE, record=point(moment, number / 8, name))

        await asyncio.to_thread(write)

        assert failed == []
        assert await read_back(service) == {
            (name, ms(at + timedelta(milliseconds=number))): number / 8
            for number in range(300)
            for name in NAMES
        }
        assert (await counts(service))["duplicate_samples"] == 0
        assert len(delivered) == (await counts(service))["pushes"]["line_protocol"]

    async def test_a_bad_point_harms_only_itself_and_is_named(self, service: Service) -> None:
        at = an_hour_ago()
        lines = [
            f"{VCPU},project_id=id/{name},location_id=site value={value} {ms(at)}"
            for name, value in (("one", "1"), ("bad", "1x"), ("two", "2"))
        ]

        def write(records: list[str], key: str = "ingest") -> ApiException:
            with v2_client(service, key) as client, pytest.raises(ApiException) as error:
                client.write_api(write_options=SYNCHRONOUS).write(
                    DATABASE, record=records, write_precision=WritePrecision.MS
                )
            return error.value

        partial = await asyncio.to_thread(write, lines)
        wrong = await asyncio.to_thread(write, [lines[1]])
        stranger = await asyncio.to_thread(write, lines, "osc_wrong")

        assert (partial.status, partial.message[:21]) == (422, "partial write: line 2")
        assert (wrong.status, wrong.message[:7]) == (400, "line 1:")
        assert stranger.status == 401
        assert await read_back(service) == {("one", ms(at)): 1, ("two", ms(at)): 2}
