"""When the simulated servers run."""

import itertools

import pytest

from os_credits.demo.cast import Flavor, Rhythm, Server
from os_credits.demo.projects import PROJECTS
from os_credits.demo.rhythm import ANCHOR_MS, DAY_MS, Run, day_of, runs_between, runs_of_day

HOUR_MS = 3_600_000
SERVERS = [server for project in PROJECTS for server in project.servers]
YEAR = range(365)


def test_the_runs_of_a_day_are_the_same_on_every_machine() -> None:
    server = Server("atlas-import", Rhythm.NIGHTLY, (Flavor.XLARGE,))
    start_ms = ANCHOR_MS + 1_329 * 60_000
    end_ms = ANCHOR_MS + 1_542 * 60_000

    assert [Run(start_ms, end_ms, Flavor.XLARGE, 0)] == list(runs_of_day(server, 0))


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server_never_runs_twice_at_once(server: Server) -> None:
    runs = [run for day in YEAR for run in runs_of_day(server, day)]

    assert len(runs) > 50
    assert all(run.start_ms < run.end_ms for run in runs)
    assert all(before.end_ms <= after.start_ms for before, after in itertools.pairwise(runs))


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_looking_at_any_stretch_of_time_finds_every_run_in_it(server: Server) -> None:
    start_ms = ANCHOR_MS + 100 * DAY_MS + 5 * HOUR_MS
    end_ms = start_ms + 3 * DAY_MS
    expected = [
        run
        for day in range(90, 120)
        for run in runs_of_day(server, day)
        if run.start_ms < end_ms and run.end_ms > start_ms
    ]

    assert expected == list(runs_between(server, start_ms, end_ms))


def test_office_servers_rest_at_the_weekend_and_at_night() -> None:
    server = Server("desk", Rhythm.OFFICE, (Flavor.SMALL,))
    weekdays = {run.day % 7 for day in YEAR for run in runs_of_day(server, day)}
    hours = {
        (run.start_ms - ANCHOR_MS) % DAY_MS // HOUR_MS
        for day in YEAR
        for run in runs_of_day(server, day)
    }

    assert {0, 1, 2, 3, 4} == weekdays
    assert {8} == hours


def test_a_server_with_two_flavors_is_resized_every_monday() -> None:
    server = Server("head", Rhythm.ALWAYS, (Flavor.LARGE, Flavor.XLARGE))
    flavors = [run.flavor for day in range(21) for run in runs_of_day(server, day)]

    assert flavors == [Flavor.LARGE] * 7 + [Flavor.XLARGE] * 7 + [Flavor.LARGE] * 7


def test_days_before_the_anchor_count_down() -> None:
    assert (
        day_of(ANCHOR_MS - 1),
        day_of(ANCHOR_MS),
        day_of(ANCHOR_MS + DAY_MS - 1),
        day_of(ANCHOR_MS + DAY_MS),
    ) == (-1, 0, 0, 1)
