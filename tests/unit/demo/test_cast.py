"""The simulated cloud fits the meter file that is shipped."""

import tomllib
from decimal import Decimal
from pathlib import Path

import os_credits
from os_credits.demo.cast import (
    CREDITS_PER_GIB_HOUR,
    CREDITS_PER_VCPU_HOUR,
    CREDITS_PER_VOLUME_GIB_HOUR,
    Flavor,
)
from os_credits.demo.cloud import samples_between
from os_credits.demo.projects import BUDGETS, MANAGED, PROJECTS, TREE
from os_credits.demo.rhythm import ANCHOR_MS, DAY_MS
from os_credits.domain.meter import MeterDefinition

PACKAGE = Path(os_credits.__file__).parent
# `make run` appends the one to the other.
FILE = tomllib.loads(
    "\n".join((PACKAGE / name).read_text() for name in ("meters.toml", "demo/meters.toml"))
)
PRICES = {
    (price["meter"], price.get("flavor")): Decimal(price["credits_per_unit"])
    for price in FILE["price"]
}


def meter_of(flavor: Flavor) -> str:
    own = flavor.label.startswith(("t3.", "c6i.", "r7iz."))
    return "aws_ec2_instance" if own else "openstack_nova_server_status"


def test_the_budgets_are_sized_by_the_shipped_prices() -> None:
    assumed: dict[tuple[str, str | None], Decimal] = {
        ("project_vcpu_usage", None): CREDITS_PER_VCPU_HOUR,
        ("project_mb_usage", None): CREDITS_PER_GIB_HOUR,
        ("openstack_cinder_volume_gb", None): CREDITS_PER_VOLUME_GIB_HOUR,
    }
    for flavor in Flavor:
        if flavor.credits_per_hour:
            assumed[meter_of(flavor), flavor.label] = flavor.credits_per_hour

    assert assumed.items() <= PRICES.items()


def test_flavors_are_made_of_what_the_meter_files_say() -> None:
    specs = {one["name"]: (one["vcpus"], one["ram_gib"], one["disk_gib"]) for one in FILE["flavor"]}

    assert specs == {one.label: (one.vcpus, one.memory_gib, one.disk_gib) for one in Flavor}


def test_one_flavor_has_no_price() -> None:
    unpriced = [flavor for flavor in Flavor if (meter_of(flavor), flavor.label) not in PRICES]

    assert [Flavor.R7IZ_XLARGE] == unpriced
    assert 0 == Flavor.R7IZ_XLARGE.credits_per_hour
    assert any(unpriced[0] in server.flavors for one in PROJECTS for server in one.servers)


def test_every_sample_belongs_to_a_shipped_meter_that_finds_its_labels() -> None:
    meters = {table["metric"]: MeterDefinition(**table) for table in FILE["meter"]}
    day = samples_between(ANCHOR_MS, ANCHOR_MS + DAY_MS, 300_000)
    label_sets = [dict(labels) for series in day.values() for labels, _ in series]

    assert label_sets
    for labels in label_sets:
        meter = meters[labels["__name__"]]
        wanted = [meter.project_id, meter.project_name, meter.site, meter.resource, meter.flavor]
        assert {name for name in wanted if name} <= set(labels)


def test_projects_leave_very_different_shares_of_their_budgets() -> None:
    shares = sorted(project.left_percent for project in PROJECTS)

    assert shares[0] < 0
    assert [part for part in (10, 20, 50, 80) if not any(one > part for one in shares)] == []
    assert any(0 < share < 20 for share in shares)
    assert all(project.owners for project in PROJECTS)
    assert len(PROJECTS) == len({project.id for project in PROJECTS})


def test_every_project_belongs_to_a_team_of_the_tree() -> None:
    teams = {team for teams in TREE.values() for team in teams}

    assert teams == {project.organisation for project in PROJECTS}
    assert {MANAGED, *BUDGETS} <= teams | set(TREE)
