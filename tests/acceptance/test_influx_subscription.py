"""A real InfluxDB 1.6 that hands on what it is sent, and its own command line against the service.

The oracle is fed with what InfluxDB itself has stored.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from influxdb import InfluxDBClient

from os_credits.settings import BUILT_IN_METERS
from tests.acceptance import influxd, stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.influxd import DATABASE, InfluxDB, influx, influxdb
from tests.acceptance.jobs_meter import JOBS, OWN_METER, PRICED
from tests.acceptance.senders import vcpu_line
from tests.acceptance.shipped import VCPU
from tests.laws import oracle

HOUR_NS = 3600 * 10**9
ARRIVING_SECONDS_MAX = 20
PROJECTS = ("alpha", "with blank, comma = and \\ in it", "Ökologie 生態")
# What InfluxDB's command line imports.
IMPORT = "# DDL\nCREATE DATABASE {database}\n\n# DML\n# CONTEXT-DATABASE: {database}\n"
IMPORTED_LINES, CLIENT_LINES = 1000, 500


def escaped(name: str) -> str:
    """Write the name of a project as the value of a tag."""
    return "".join(f"\\{sign}" if sign in ",= " else sign for sign in name)


def lines(count: int, start_ns: int, chance: random.Random) -> list[str]:
    """Write points of both meters and all projects, whose counters grow, half a second apart."""
    totals = dict.fromkeys(PROJECTS, 0.0)
    written = []
    for number in range(count):
        project = PROJECTS[number % len(PROJECTS)]
        at = start_ns + number * 5 * 10**8 + chance.randrange(10**6)
        totals[project] += chance.randrange(1000) / 64
        tags = f"project_id={escaped(project)},location_id=site"
        written.append(f"{VCPU},{tags} value={totals[project]!r} {at}")
        written.append(f"{JOBS},{tags} value={chance.randrange(100)}i {at}")
    return written


async def stored_by(one: InfluxDB) -> dict[tuple[str, str], list[oracle.Sample]]:
    """Ask InfluxDB for all it has, by meter and project."""
    return {
        (meter, tags["project_id"]): [
            oracle.Sample("", at // 10**6, float(value)) for at, value in points
        ]
        for meter in PRICED
        for tags, points in await one.samples(meter)
    }


def expected_samples(
    samples: dict[tuple[str, str], list[oracle.Sample]],
) -> dict[stored.SamplePlace, float]:
    """Say which samples must be stored of these."""
    return {
        (meter, project, "", sample.time): float(sample.value)
        for (meter, project), them in samples.items()
        for sample in them
    }


def expected_charges(
    samples: dict[tuple[str, str], list[oracle.Sample]],
) -> dict[stored.Place, int]:
    """Ask the oracle what these samples cost."""
    return {
        (project, meter, flavor, hour): micro
        for (meter, project), them in samples.items()
        for (flavor, hour), micro in oracle.credits(PRICED[meter], them).items()
    }


async def rated_count(service: Service) -> int:
    """Count the samples that are rated, the repeated ones too."""
    await service.rated()
    async with service.request("GET", "/stats", key="admin") as response:
        seen = await response.json()
    return int(seen["rated_samples"] + seen["duplicate_samples"])


async def wait_until_rated(service: Service, count: int) -> None:
    """Wait until so many samples have come through the subscription."""
    async with asyncio.timeout(ARRIVING_SECONDS_MAX):
        while await rated_count(service) < count:
            await asyncio.sleep(0.05)


async def write_by_command_line(one: InfluxDB, points: Sequence[str], folder: Path) -> None:
    """Import a file with `influx -import`, with blank lines between the points as it sends them."""
    file = folder / "import.txt"
    file.write_text(IMPORT.format(database=DATABASE) + "\n".join(points) + "\n")
    said = await influx(one.url, "-import", "-path", file, "-precision", "ns")
    assert said.status == 0, said.output
    assert f"Processed {len(points)} inserts" in said.output


def write_by_client(one: InfluxDB, points: Sequence[str]) -> None:
    """Write with InfluxDB's Python client, in batches."""
    client = InfluxDBClient(host=one.host, port=one.port, database=DATABASE, gzip=True)
    try:
        client.write_points(points, batch_size=100, protocol="line")
    finally:
        client.close()


async def test_what_influxdb_is_sent_is_billed_exactly_and_a_replay_costs_nothing(
    database_url: str, tmp_path: Path
) -> None:
    """By its command line, its Python client and plain HTTP; then all of it once more."""
    file = tmp_path / "meters.toml"
    file.write_text(BUILT_IN_METERS.read_text() + OWN_METER)
    start = (time.time_ns() // HOUR_NS - 3) * HOUR_NS
    points = lines(1000, start, random.Random(167))
    imported, others = points[:IMPORTED_LINES], points[IMPORTED_LINES + CLIENT_LINES :]
    by_client = points[IMPORTED_LINES : IMPORTED_LINES + CLIENT_LINES]
    async with (
        running(settings_for(database_url, meter_file=file)) as service,
        influxdb(tmp_path) as one,
    ):
        await one.subscribe(service.url, service.keys["ingest"])
        await write_by_command_line(one, imported, tmp_path)
        await asyncio.to_thread(write_by_client, one, by_client)
        for begin in range(0, len(others), 100):
            await one.write("\n".join(others[begin : begin + 100]))
        await wait_until_rated(service, len(points))
        samples = await stored_by(one)

        assert sum(map(len, samples.values())) == len(points)
        assert await stored.samples(database_url) == expected_samples(samples)
        expected = expected_charges(samples)
        assert {meter for _, meter, *_ in expected} == set(PRICED)
        assert await stored.charges(database_url) == expected

        await write_by_command_line(one, random.Random(1).sample(points, len(points)), tmp_path)
        await wait_until_rated(service, 2 * len(points))

        assert await stored.samples(database_url) == expected_samples(samples)
        assert await stored.charges(database_url) == expected
        assert one.times_said("lvl=error") == 0


async def test_its_command_line_imports_straight_into_the_service(
    service: Service, tmp_path: Path
) -> None:
    points = [vcpu_line(number, f"p{number}") for number in range(7)]
    file = tmp_path / "import.txt"
    file.write_text(IMPORT.format(database="cloud") + "\n".join(points) + "\n")

    async def imported(key: str | None, *words: str) -> influxd.Said:
        return await influx(service.url, "-import", "-path", file, *words, key=key)

    key = service.keys["ingest"]
    well = await imported(key, "-consistency", "all")
    file.write_text(IMPORT.format(database="cloud") + "\n".join([*points[:3], "bad line"]) + "\n")
    partial = await imported(key)
    stranger = await imported(None)
    await service.rated()

    assert (well.status, "Processed 7 inserts" in well.output) == (0, True)
    assert "Failed 0 inserts" in well.output
    # It says that no point of its request was inserted, and what the service says: all but one.
    assert (partial.status, "4 points were not inserted" in partial.output) == (1, True)
    assert "partial write: line 7" in partial.output
    assert (stranger.status, "API key" in stranger.output) == (1, True)
    assert len(await stored.samples(service.settings.database_url)) == 7


async def test_its_command_line_may_create_a_database_insert_a_point_and_ask_nothing(
    service: Service,
) -> None:
    key = service.keys["ingest"]
    for name in ("cloud", '"a b"', r'"a \"quoted\" name"'):
        created = await influx(service.url, "-execute", f"CREATE DATABASE {name}", key=key)

        assert (created.status, created.output) == (0, "")
    asked = await influx(service.url, "-execute", "SELECT * FROM cloud", key=key)

    assert asked.status == 1
    assert asked.output.startswith("ERR: only CREATE DATABASE is answered here")

    point, _, _ = vcpu_line(3).rpartition(" ")
    before = datetime.now(UTC)
    said = await influx(service.url, "-database", "x", "-execute", f"INSERT {point}", key=key)
    await service.rated()
    ((place, value),) = (await stored.samples(service.settings.database_url)).items()

    assert (said.status, said.output) == (0, "")
    assert value == 3
    # It sent no time, so it is the time of receipt.
    assert before.timestamp() * 1000 - 1 <= place[3] <= datetime.now(UTC).timestamp() * 1000
