"""The simulated cloud fits the meter file that is shipped."""

import tomllib
from decimal import Decimal
from pathlib import Path

import os_credits
from os_credits.demo.cast import (
    CREDITS_PER_GIB_HOUR,
    CREDITS_PER_VCPU_HOUR,
    CREDITS_PER_VOLUME_GIB_HOUR,
    PROJECTS,
    Flavor,
)
from os_credits.demo.cloud import samples_between
from os_credits.demo.rhythm import ANCHOR_MS, DAY_MS
from os_credits.domain.meter import MeterDefinition

SHIPPED = tomllib.loads((Path(os_credits.__file__).parent / "meters.toml").read_text())
PRICES = {
    (price["meter"], price.get("flavor")): Decimal(price["credits_per_unit"])
    for price in SHIPPED["price"]
}


def test_the_budgets_are_sized_by_the_shipped_prices() -> None:
    assumed: dict[tuple[str, str | None], Decimal] = {
        ("project_vcpu_usage", None): CREDITS_PER_VCPU_HOUR,
        ("project_mb_usage", None): CREDITS_PER_GIB_HOUR,
        ("openstack_cinder_volume_gb", None): CREDITS_PER_VOLUME_GIB_HOUR,
    }
    for flavor in Flavor:
        assumed["openstack_nova_server_status", flavor.label] = flavor.credits_per_hour

    assert assumed.items() <= PRICES.items()


def test_every_sample_belongs_to_a_shipped_meter_that_finds_its_labels() -> None:
    meters = {table["metric"]: MeterDefinition(**table) for table in SHIPPED["meter"]}
    day = samples_between(ANCHOR_MS, ANCHOR_MS + DAY_MS, 300_000)
    label_sets = [dict(labels) for series in day.values() for labels, _ in series]

    assert label_sets
    for labels in label_sets:
        meter = meters[labels["__name__"]]
        wanted = [meter.project_id, meter.project_name, meter.site, meter.resource, meter.flavor]
        assert {name for name in wanted if name} <= set(labels)


def test_four_projects_leave_very_different_shares_of_their_budgets() -> None:
    shares = sorted(project.left_percent for project in PROJECTS)

    assert len(PROJECTS) == 4
    assert shares[0] == 0
    assert 0 < shares[1] < 20 < shares[2] < 50 < shares[3]
    assert all(project.owners for project in PROJECTS)
