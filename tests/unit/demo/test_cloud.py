"""What the simulated exporters measure."""

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from os_credits.demo.budget import credits_between
from os_credits.demo.cast import Door, Measure, Project
from os_credits.demo.cloud import held_back, samples_between
from os_credits.demo.projects import PROJECTS, SOON_IN_DEBT, WITH_A_GAP
from os_credits.demo.rhythm import ANCHOR_MS, DAY_MS, runs_between
from os_credits.domain.sample import Labels

START_MS = ANCHOR_MS + 300 * DAY_MS
STEP_MS = 300_000
HOUR_MS = 3_600_000

Samples = dict[Labels, list[tuple[int, float]]]


def measured(start_ms: int, end_ms: int, step_ms: int = STEP_MS) -> Samples:
    by_labels: Samples = defaultdict(list)
    for series in samples_between(start_ms, end_ms, step_ms).values():
        for labels, samples in series:
            by_labels[labels].extend(samples)
    return by_labels


def test_measuring_in_two_halves_equals_measuring_at_once() -> None:
    middle_ms = START_MS + DAY_MS + 7 * HOUR_MS + 1
    halves = measured(START_MS, middle_ms)
    for labels, samples in measured(middle_ms, START_MS + 3 * DAY_MS).items():
        halves[labels].extend(samples)

    assert measured(START_MS, START_MS + 3 * DAY_MS) == halves


def test_live_samples_agree_with_the_history_of_the_same_moment() -> None:
    coarse = measured(START_MS, START_MS + HOUR_MS)
    fine = measured(START_MS, START_MS + HOUR_MS, 10_000)

    assert coarse
    for labels, samples in coarse.items():
        assert set(samples) <= set(fine[labels])


def test_no_time_at_all_gives_no_samples() -> None:
    assert samples_between(START_MS, START_MS, STEP_MS) == {Door.REMOTE_WRITE: [], Door.LINES: []}


def test_counters_never_fall_and_count_exactly_what_ran() -> None:
    series = measured(START_MS, START_MS + 7 * DAY_MS + 1)
    for project in (one for one in PROJECTS if one.measure is Measure.COUNTERS):
        vcpu = next(
            samples
            for labels, samples in series.items()
            if {("__name__", "project_vcpu_usage"), ("project_id", project.id)} <= set(labels)
        )
        ran_ms = sum(
            run.flavor.vcpus
            * (min(run.end_ms, START_MS + 7 * DAY_MS) - max(run.start_ms, START_MS))
            for server in project.servers
            for run in runs_between(server, START_MS, START_MS + 7 * DAY_MS)
        )

        assert all(before[1] <= after[1] for before, after in pairwise(vcpu))
        assert vcpu[-1][1] - vcpu[0][1] == pytest.approx(ran_ms / HOUR_MS, abs=2e-6)


def test_a_stopped_server_is_still_reported_but_a_deleted_one_is_not() -> None:
    series = measured(START_MS, START_MS + 7 * DAY_MS)
    statuses = defaultdict(set)
    for labels in series:
        by_name = dict(labels)
        if by_name["__name__"] == "openstack_nova_server_status":
            statuses[by_name["name"]].add(by_name["status"])

    assert {"ACTIVE", "SHUTOFF"} == statuses["course-seat-1"]
    assert {"ACTIVE"} == statuses["folding-night"]


def test_a_new_server_of_the_same_name_has_a_new_id() -> None:
    ids = {
        dict(labels)["id"]
        for labels in measured(START_MS, START_MS + 7 * DAY_MS)
        if dict(labels).get("name") == "folding-night"
    }

    assert 7 <= len(ids) <= 8


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_budgets_foresee_what_the_samples_will_cost(project: Project) -> None:
    """An oracle of its own: counters by their growth, gauges from sample to sample."""
    prices = {"project_vcpu_usage": Decimal(1), "project_mb_usage": Decimal("0.3")}
    flavors = {"m1.small": "1.6", "m1.medium": "3.2", "m1.large": "6.4", "m1.xlarge": "12.8"}
    flavors |= {"g1.large": "60", "c1.dedicated": "64"}
    flavors |= {"t3.medium": "3.1", "c6i.xlarge": "7.2", "c6i.4xlarge": "29", "r7iz.xlarge": "0"}
    by_server: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    cost = Decimal(0)
    for labels, samples in measured(START_MS, START_MS + 7 * DAY_MS + 1).items():
        by_name = dict(labels)
        metric = by_name["__name__"]
        if project.id not in {
            by_name.get(one) for one in ("project_id", "tenant_id", "tag_project")
        }:
            continue
        if metric in prices:
            cost += Decimal(samples[-1][1] - samples[0][1]) * prices[metric]
        elif metric == "openstack_cinder_volume_gb":
            cost += Decimal(sum(value for _, value in samples[:-1])) * STEP_MS / HOUR_MS / 1000
        else:
            server = by_name.get("id") or by_name["instance_id"]
            by_server[server] += [(time_ms, by_name) for time_ms, _ in samples]
    for seen in by_server.values():
        for before, after in pairwise(sorted(seen, key=lambda one: one[0])):
            runs = "ACTIVE" in before[1].values() or "running" in before[1].values()
            # A gap of more than an hour is not billed.
            if runs and after[0] - before[0] <= HOUR_MS:
                hours = Decimal(after[0] - before[0]) / HOUR_MS
                flavor = before[1].get("flavor_id") or before[1]["instance_type"]
                cost += Decimal(flavors[flavor]) * hours

    foreseen = credits_between(project, START_MS, START_MS + 7 * DAY_MS, STEP_MS)
    assert foreseen == pytest.approx(cost, abs=Decimal("0.01"))


def test_in_one_night_of_a_fortnight_nobody_measures_a_projects_servers() -> None:
    servers = {
        time_ms
        for labels, samples in measured(START_MS, START_MS + 14 * DAY_MS).items()
        if ("tenant_id", WITH_A_GAP.id) in labels and dict(labels)["__name__"].endswith("_status")
        for time_ms, _ in samples
    }
    pauses = [later - earlier for earlier, later in pairwise(sorted(servers))]

    assert [6 * HOUR_MS] == [pause - STEP_MS for pause in pauses if pause > STEP_MS]


def test_what_comes_late_and_what_comes_in_time_are_everything() -> None:
    everything = samples_between(START_MS, START_MS + DAY_MS, STEP_MS)
    times = range(START_MS + 3 * HOUR_MS, START_MS + 5 * HOUR_MS)
    prompt, late = held_back(everything, "cell-notebooks", times)

    late_times = {time_ms for door in Door for _, part in late[door] for time_ms, _ in part}
    assert late_times == set(times[::STEP_MS])
    for door in Door:
        joined: Samples = defaultdict(list)
        for labels, part in [*prompt[door], *late[door]]:
            joined[labels].extend(part)
        assert {labels: sorted(part) for labels, part in joined.items()} == dict(everything[door])


def test_servers_are_on_hosts_of_their_site_and_move_at_times() -> None:
    hosts = defaultdict(set)
    for labels in measured(START_MS, START_MS + 28 * DAY_MS, HOUR_MS):
        by_name = dict(labels)
        if "hypervisor_hostname" in by_name:
            hosts[by_name["name"]].add(by_name["hypervisor_hostname"])

    assert all(len(of_one) <= 3 for of_one in hosts.values())
    assert any(len(of_one) > 1 for of_one in hosts.values())


def test_one_project_spends_enough_for_a_newcomer_to_see_it_fall() -> None:
    hour = credits_between(SOON_IN_DEBT, START_MS, START_MS + HOUR_MS, 1000)

    assert hour / 360 > Decimal("0.1")
