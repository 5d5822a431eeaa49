"""The examples for senders fit the meters that are shipped, the doors, and their programs.

Prometheus and vmagent are run by these very files in `tests/acceptance/test_real_senders.py`, the
subscription in `test_influx_subscription.py`. Telegraf and the OpenTelemetry collector are not to
be had here: their options are held against the names that their sources know.
"""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

import os_credits
from os_credits.api import influx, push
from os_credits.api.routes import Gate
from os_credits.domain.meter import MeterVersion
from os_credits.domain.period import EPOCH
from os_credits.flows.label_reading import Limits
from os_credits.flows.meters import read_meter_file
from os_credits.flows.opening_file import check_opening, read_opening_file
from os_credits.settings import BUILT_IN_METERS

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# The opening is read by us, the proxy stands before us (`tests/acceptance/test_proxy.py`).
FOR_NO_SENDER = ("opening.json", "nginx.conf")
METERS = tomllib.loads((Path(os_credits.__file__).parent / "meters.toml").read_text())["meter"]
METRICS = {meter["metric"] for meter in METERS}
SITE_LABELS = {meter["site"] for meter in METERS}
DOORS = {
    route.path
    for group in (push.routes, influx.routes)
    for route in group
    if (route.method, route.gate) == ("POST", Gate.INGEST)
}
HOST = "http://os-credits.example:8080"
KEY_HINT = "os-credits key --help"
REFUSALS = [400, 413, 415, 422]

# What Telegraf 1.39 reads, of which the examples may use any.
OF_EVERY_OUTPUT = {"data_format", "namepass", "metric_batch_size", "metric_buffer_limit"}
OUTPUT_OPTIONS = {
    "influxdb": {
        *("urls", "local_address", "username", "password", "database", "database_tag"),
        *("exclude_database_tag", "retention_policy", "retention_policy_tag", "user_agent"),
        *("exclude_retention_policy_tag", "write_consistency", "timeout", "udp_payload"),
        *("http_proxy", "http_headers", "content_encoding", "skip_database_creation"),
        *("influx_uint_support", "influx_omit_timestamp"),
    },
    "influxdb_v2": {
        *("urls", "local_address", "token", "organization", "bucket", "bucket_tag", "timeout"),
        *("exclude_bucket_tag", "http_headers", "http_proxy", "user_agent", "content_encoding"),
        *("influx_uint_support", "influx_omit_timestamp", "ping_timeout", "read_idle_timeout"),
        "concurrent_writes",
    },
    "http": {
        *("url", "method", "timeout", "username", "password", "headers", "content_encoding"),
        *("use_batch_format", "non_retryable_statuscodes", "google_application_credentials"),
        *("aws_service", "json_timestamp_units", "json_timestamp_format", "json_transformation"),
    },
}
# What the collector's exporter reads, of versions 0.90 to 0.162.
EXPORTER_OPTIONS = {
    *("endpoint", "tls", "headers", "external_labels", "namespace", "timeout", "auth"),
    *("add_metric_suffixes", "translation_strategy", "target_info", "retry_on_failure", "wal"),
    *("remote_write_queue", "resource_to_telemetry_conversion", "max_batch_size_bytes"),
}


def telegraf(name: str) -> dict[str, Any]:
    return tomllib.loads((EXAMPLES / name).read_text())


def kept(job: dict[str, Any]) -> set[str]:
    """Give the metrics that a scrape, or a remote write, is told to keep."""
    [keep] = job.get("metric_relabel_configs") or job["write_relabel_configs"]
    assert (keep["action"], keep["source_labels"]) == ("keep", ["__name__"])
    return set(keep["regex"].split("|"))


@pytest.mark.parametrize(
    "example",
    [path for path in sorted(EXAMPLES.iterdir()) if path.name not in FOR_NO_SENDER],
    ids=lambda path: path.name,
)
class TestEveryExampleForASender:
    def test_holds_no_key_and_no_real_host(self, example: Path) -> None:
        source = example.read_text()

        assert not re.search(r"osc_\w{20}", source)
        hosts = re.findall(r"(?:https?://(?:[^\s/\"']*@)?|targets: \[\")([^/:\"\s']+)", source)
        assert hosts
        assert all(host.endswith(".example") for host in hosts)

    def test_names_a_door_and_says_where_the_key_comes_from(self, example: Path) -> None:
        source = example.read_text()
        found = re.findall(r"http://(?:[^\s/\"']*@)?os-credits\.example:8080([^\s\"']*)", source)
        paths = {urlsplit(one).path for one in found}

        # Three senders add the path by themselves; what vmagent.yml scrapes vmagent.sh sends.
        assert found or example.name == "vmagent.yml"
        assert paths <= DOORS | {""}
        assert KEY_HINT in source or not found


def test_prometheus_sends_only_what_a_meter_names_with_the_label_of_the_site() -> None:
    config = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())
    [target] = config["remote_write"]

    assert target["url"] == f"{HOST}/api/v1/write"
    assert kept(target) < METRICS
    assert set(config["global"]["external_labels"]) == SITE_LABELS


def test_vmagent_scrapes_only_what_a_meter_names_with_the_label_of_the_site() -> None:
    config = yaml.safe_load((EXAMPLES / "vmagent.yml").read_text())
    prometheus = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())

    of_all = set.union(*(kept(job) for job in config["scrape_configs"]))
    assert of_all == kept(prometheus["remote_write"][0])
    assert set(config["global"]["external_labels"]) == SITE_LABELS
    assert config["global"] == prometheus["global"]


def test_vmagents_script_can_be_read_and_names_the_other_file() -> None:
    script = EXAMPLES / "vmagent.sh"

    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    assert "/vmagent.yml" in script.read_text()
    assert f"-remoteWrite.url={HOST}/api/v1/write" in script.read_text()


def test_the_collector_sends_only_what_a_meter_names_with_the_label_of_the_site() -> None:
    config = yaml.safe_load((EXAMPLES / "otel-collector.yaml").read_text())
    [receiver] = config["receivers"].values()
    [(name, exporter)] = config["exporters"].items()

    assert name == "prometheusremotewrite"
    assert set(exporter) <= EXPORTER_OPTIONS
    assert exporter["endpoint"] == f"{HOST}/api/v1/write"
    assert set(exporter["external_labels"]) == SITE_LABELS
    # Names stay as the exporters of usage write them, and nothing is given up.
    assert exporter["add_metric_suffixes"] is False
    assert exporter["retry_on_failure"] == {"max_elapsed_time": "0s"}
    assert exporter["headers"] == {"Authorization": "Bearer ${env:OS_CREDITS_KEY}"}
    jobs = receiver["config"]["scrape_configs"]
    assert set.union(*(kept(job) for job in jobs)) < METRICS
    [pipeline] = config["service"]["pipelines"].values()
    assert pipeline == {"receivers": [*config["receivers"]], "exporters": [name]}


def test_telegraf_sends_only_what_a_meter_names_with_the_tag_of_the_site() -> None:
    config = telegraf("telegraf.conf")
    [scrape] = config["inputs"]["prometheus"]

    assert set(config["global_tags"]) == SITE_LABELS
    assert set(scrape["fieldinclude"]) <= METRICS
    assert scrape["metric_version"] == 2


@pytest.mark.parametrize(
    "name, kind, door",
    [
        ("telegraf.conf", "influxdb", None),
        ("telegraf-influxdb_v2.conf", "influxdb_v2", None),
        ("telegraf-http-influx.conf", "http", "/write"),
        ("telegraf-http-json.conf", "http", "/telegraf"),
        ("telegraf-http-remote-write.conf", "http", "/api/v1/write"),
    ],
)
class TestEachWayOutOfTelegraf:
    def test_is_the_only_one_of_its_file_and_knows_its_options(
        self, name: str, kind: str, door: str | None
    ) -> None:
        [(found, [output])] = telegraf(name)["outputs"].items()

        assert found == kind
        assert set(output) <= OUTPUT_OPTIONS[kind] | OF_EVERY_OUTPUT
        assert [output.get("url") or output["urls"]] == [[HOST] if door is None else output["url"]]
        if door is not None:
            assert (urlsplit(output["url"]).path, output["method"]) == (door, "POST")

    def test_sends_only_measurements_that_begin_a_metric(
        self, name: str, kind: str, door: str | None
    ) -> None:
        [output] = telegraf(name)["outputs"][kind]
        measurements = {one for one in output["namepass"] if one != "prometheus"}

        assert measurements
        assert all(
            any(metric == one or metric.startswith(f"{one}_") for metric in METRICS)
            for one in measurements
        )

    def test_gives_the_key_from_the_environment(
        self, name: str, kind: str, door: str | None
    ) -> None:
        [output] = telegraf(name)["outputs"][kind]
        key = "${OS_CREDITS_KEY}"
        given = {
            "influxdb": output.get("password"),
            "influxdb_v2": output.get("token"),
            "http": output.get("headers", {}).get("Authorization"),
        }

        assert given[kind] == (f"Bearer {key}" if kind == "http" else key)


def test_plain_http_gives_up_what_is_refused_and_names_its_types_itself() -> None:
    headers = {
        "influx": {"Content-Type": "text/plain; charset=utf-8"},
        "json": {"Content-Type": "application/json"},
        "prometheusremotewrite": {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
    }
    outputs = [
        telegraf(path.name)["outputs"]["http"][0] for path in EXAMPLES.glob("telegraf-http-*.conf")
    ]

    assert {one["data_format"] for one in outputs} == set(headers)
    for one in outputs:
        given = {name: text for name, text in one["headers"].items() if name != "Authorization"}
        assert headers[one["data_format"]] == given
        assert one["non_retryable_statuscodes"] == REFUSALS
        assert one["use_batch_format"]
        # What is packed with snappy is not packed again.
        assert ("content_encoding" in one) == (one["data_format"] != "prometheusremotewrite")


def test_plain_http_says_in_which_unit_its_times_are() -> None:
    [json] = telegraf("telegraf-http-json.conf")["outputs"]["http"]
    [lines] = telegraf("telegraf-http-influx.conf")["outputs"]["http"]
    [precision] = parse_qs(urlsplit(json["url"]).query)["precision"]

    assert json["json_timestamp_units"] == f"1{precision}"
    assert parse_qs(urlsplit(lines["url"]).query) == {"precision": ["ns"]}


def test_the_subscription_hands_on_to_the_service_itself() -> None:
    """InfluxDB adds /write to what stands there."""
    text = (EXAMPLES / "influxdb-subscription.influxql").read_text()

    assert re.search(
        r"^CREATE SUBSCRIPTION \S+ ON \S+\s+DESTINATIONS ALL "
        r"'http://\w+:OS_CREDITS_KEY@os-credits\.example:8080'$",
        text,
        re.MULTILINE,
    )


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
