"""What the simulated exporters measure."""

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from os_credits.demo.budget import credits_between
from os_credits.demo.cast import PROJECTS, SOON_IN_DEBT, Door, Measure, Project
from os_credits.demo.cloud import samples_between
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
    flavors["g1.large"] = "60"
    by_server: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    cost = Decimal(0)
    for labels, samples in measured(START_MS, START_MS + 7 * DAY_MS + 1).items():
        by_name = dict(labels)
        metric = by_name["__name__"]
        if project.id not in (by_name.get("project_id"), by_name.get("tenant_id")):
            continue
        if metric in prices:
            cost += Decimal(samples[-1][1] - samples[0][1]) * prices[metric]
        elif metric == "openstack_cinder_volume_gb":
            cost += Decimal(sum(value for _, value in samples[:-1])) * STEP_MS / HOUR_MS / 1000
        else:
            by_server[by_name["id"]] += [(time_ms, by_name) for time_ms, _ in samples]
    for seen in by_server.values():
        for before, after in pairwise(sorted(seen, key=lambda one: one[0])):
            if before[1]["status"] == "ACTIVE":
                hours = Decimal(after[0] - before[0]) / HOUR_MS
                cost += Decimal(flavors[before[1]["flavor_id"]]) * hours

    foreseen = credits_between(project, START_MS, START_MS + 7 * DAY_MS, STEP_MS)
    assert foreseen == pytest.approx(cost, abs=Decimal("0.01"))


def test_one_project_spends_enough_for_a_newcomer_to_see_it_fall() -> None:
    hour = credits_between(SOON_IN_DEBT, START_MS, START_MS + HOUR_MS, 1000)

    assert hour / 360 > Decimal("0.1")
