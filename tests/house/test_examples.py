"""The examples for senders fit the meter file that is shipped."""

import re
import tomllib
from pathlib import Path

import yaml

import os_credits
from os_credits.domain.meter import MeterVersion
from os_credits.domain.period import EPOCH
from os_credits.flows.meters import read_meter_file
from os_credits.flows.opening_file import check_opening, read_opening_file
from os_credits.flows.registry import Limits
from os_credits.settings import BUILT_IN_METERS

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
METERS = tomllib.loads((Path(os_credits.__file__).parent / "meters.toml").read_text())["meter"]
METRICS = {meter["metric"] for meter in METERS}
SITE_LABELS = {meter["site"] for meter in METERS}


def test_prometheus_sends_only_what_a_meter_names_with_the_label_of_the_site() -> None:
    config = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())
    [target] = config["remote_write"]
    [keep] = target["write_relabel_configs"]

    assert target["url"].endswith("/api/v1/write")
    assert keep["action"] == "keep"
    assert set(keep["regex"].split("|")) < METRICS
    assert set(config["global"]["external_labels"]) == SITE_LABELS


def test_telegraf_sends_only_what_a_meter_names_with_the_tag_of_the_site() -> None:
    config = tomllib.loads((EXAMPLES / "telegraf.conf").read_text())
    [output] = config["outputs"]["influxdb"]
    [scrape] = config["inputs"]["prometheus"]

    assert set(config["global_tags"]) == SITE_LABELS
    assert output["content_encoding"] == "gzip"
    assert set(scrape["fieldinclude"]) <= METRICS
    assert scrape["metric_version"] == 2
    measurements = {name for name in output["namepass"] if name != "prometheus"}
    assert all(
        any(metric == name or metric.startswith(f"{name}_") for metric in METRICS)
        for name in measurements
    )


def test_the_examples_hold_no_key_and_no_real_host() -> None:
    for path in EXAMPLES.iterdir():
        source = path.read_text()

        assert not re.search(r"osc_\w{20}", source)
        hosts = re.findall(r"(?:https?://|targets: \[\")([^/:\"]+)", source)
        assert hosts
        assert all(host.endswith(".example") for host in hosts)


def test_the_opening_fits_the_shipped_meters() -> None:
    """Each project of the example is one that the shipped meters would make of its samples."""
    shipped = read_meter_file(BUILT_IN_METERS).meters
    versions = [
        MeterVersion(number, number, definition, EPOCH, None)
        for number, definition in enumerate(shipped, 1)
    ]
    opening = read_opening_file(EXAMPLES / "opening.json")

    checked = check_opening(opening, versions, Limits(64, 1024, 100))

    assert [set(one.meter_ids) < METRICS for one in checked] == [True, True]
    assert [len(one.opening.counters) for one in checked] == [2, 0]
