"""The examples for senders fit the meter file that is shipped."""

import re
import tomllib
from pathlib import Path

import yaml

import os_credits

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
