"""Every sender of InfluxDB's family lives through an outage of the database and a kill of us.

What each sender was given must be stored once and cost what the oracle says; only InfluxDB's
subscription may lose, and what it lost is counted.
"""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from os_credits.settings import BUILT_IN_METERS
from tests.acceptance import stored
from tests.acceptance.influx_senders import Fed, all_senders
from tests.acceptance.influxd import influxdb
from tests.acceptance.jobs_meter import JOBS, OWN_METER, PRICED
from tests.acceptance.outage import OUTAGE_SECONDS, cut_off
from tests.acceptance.own_process import own_process
from tests.acceptance.shipped import VCPU
from tests.acceptance.telegraf_metric import SECOND_NS, Metric
from tests.checker import checked_at
from tests.laws import oracle

TICK_SECONDS = 0.1
WELL_SECONDS, KILLED_SECONDS = 1.0, 1.0
DELIVERING_SECONDS_MAX = 60
# This one sends whole seconds, so that what is measured more often would fall together.
SECONDS_ONLY = "http-json-seconds"
# Remote write has no amounts.
WITHOUT_DELTAS = "http-remote-write"
SUBSCRIPTION = "subscription"


class Feeding:
    """Gives every sender a point of its own project at each tick, and remembers what it gave."""

    def __init__(self, senders: Mapping[str, Fed]) -> None:
        self._senders = senders
        self.is_over = False
        self.samples: dict[str, dict[stored.SamplePlace, float]] = {one: {} for one in senders}

    async def run(self) -> None:
        """Feed until told to stop."""
        for tick in itertools.count():
            if self.is_over:
                return
            now_ns = time.time_ns()
            for project, sender in self._senders.items():
                if project == SECONDS_ONLY and tick % 11:
                    continue
                await self._feed(project, sender, tick, now_ns)
            await asyncio.sleep(TICK_SECONDS)

    async def _feed(self, project: str, sender: Fed, tick: int, time_ns: int) -> None:
        if project == SECONDS_ONLY:
            time_ns = time_ns // SECOND_NS * SECOND_NS
        fields = {VCPU: tick / 8, JOBS: tick % 7 + 1}
        if project == WITHOUT_DELTAS:
            del fields[JOBS]
        tags = {"project_id": project, "location_id": "site", "host": "tg"}
        await sender.give([Metric("prometheus", tags, fields, time_ns)])
        for meter, value in fields.items():
            self.samples[project][meter, project, "", time_ns // 10**6] = value


def expected_charges(samples: Mapping[stored.SamplePlace, float]) -> dict[stored.Place, int]:
    """Ask the oracle what these samples cost."""
    groups: dict[tuple[str, str], list[oracle.Sample]] = defaultdict(list)
    for (meter, project, _, time_ms), value in samples.items():
        groups[meter, project].append(oracle.Sample("", time_ms, value))
    return {
        (project, meter, flavor, hour): micro
        for (meter, project), them in groups.items()
        for (flavor, hour), micro in oracle.credits(PRICED[meter], them).items()
    }


def total(charges: Mapping[stored.Place, int], project: str, meter: str) -> int:
    """Add up what a project is charged for one meter."""
    return sum(micro for place, micro in charges.items() if place[:2] == (project, meter))


@pytest.mark.timeout(180 + OUTAGE_SECONDS)
async def test_nobody_loses_and_nothing_is_billed_twice_but_a_subscription_loses_an_outage(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "meters.toml"
    file.write_text(BUILT_IN_METERS.read_text() + OWN_METER)
    async with (
        own_process(database_url, tmp_path, meter_file=file) as (process, service),
        influxdb(tmp_path) as one,
        all_senders(service, one) as senders,
    ):
        feeding = Feeding(senders)
        feeder = asyncio.create_task(feeding.run())
        await asyncio.sleep(WELL_SECONDS)
        with cut_off(database_url):
            await asyncio.sleep(OUTAGE_SECONDS)
        await asyncio.sleep(WELL_SECONDS)
        process.kill()
        await asyncio.sleep(KILLED_SECONDS)
        await process.start()
        await asyncio.sleep(WELL_SECONDS)
        feeding.is_over = True
        await feeder
        async with asyncio.timeout(DELIVERING_SECONDS_MAX):
            await asyncio.gather(*(sender.done() for sender in senders.values()))
        await asyncio.sleep(0.5)
        await service.rated()
        got = await stored.samples(database_url)
        charged = await stored.charges(database_url)
        troubles = {name: sender.troubles() for name, sender in senders.items()}
        given_up = {name: sender.given_up() for name, sender in senders.items()}
    await checked_at(database_url)

    given = feeding.samples
    show(given, got, charged, troubles)

    assert got.keys() <= {place for samples in given.values() for place in samples}
    assert all(troubles.values()), troubles
    assert given_up == dict.fromkeys(senders, 0)
    expected = given | {SUBSCRIPTION: {p: v for p, v in got.items() if p[1] == SUBSCRIPTION}}
    for name in senders:
        mine = {place: value for place, value in got.items() if place[1] == name}
        assert mine == expected[name], name
    assert charged == expected_charges({p: v for one in expected.values() for p, v in one.items()})
    check_subscription(given[SUBSCRIPTION], expected[SUBSCRIPTION], charged)


def show(
    given: Mapping[str, Mapping[stored.SamplePlace, float]],
    got: Mapping[stored.SamplePlace, float],
    charged: Mapping[stored.Place, int],
    troubles: Mapping[str, int],
) -> None:
    """Print one line for each sender, for `make senders`."""
    for name, samples in given.items():
        due = expected_charges(samples)
        over, under = (
            sum(max(0, sign * (charged.get(place, 0) - micro)) for place, micro in due.items())
            for sign in (1, -1)
        )
        there = len(samples.keys() & got.keys())
        print(  # noqa: T201
            f"{name}: given {len(samples)}, stored {there}, lost {len(samples) - there}, "
            f"billed twice {stored.shown(over)}, billed too little {stored.shown(under)}, "
            f"requests refused or cut {troubles[name]}"
        )


def check_subscription(
    given: Mapping[stored.SamplePlace, float],
    arrived: Mapping[stored.SamplePlace, float],
    charged: Mapping[stored.Place, int],
) -> None:
    """Say what InfluxDB's subscription lost: money of amounts, none of a counter."""
    lost = given.keys() - arrived.keys()
    whole = expected_charges(given)
    loss = total(whole, SUBSCRIPTION, JOBS) - total(charged, SUBSCRIPTION, JOBS)
    away_seconds = OUTAGE_SECONDS + KILLED_SECONDS
    assert len(lost) >= 2 * 0.5 * away_seconds / TICK_SECONDS
    assert loss == sum(int(given[place]) for place in lost if place[0] == JOBS) * 250_000 > 0
    assert total(whole, SUBSCRIPTION, VCPU) == total(charged, SUBSCRIPTION, VCPU)
