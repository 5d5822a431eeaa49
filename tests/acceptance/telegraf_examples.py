"""Telegraf's outputs as the example files configure them."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp

from tests.acceptance.example_files import HOST, example
from tests.acceptance.telegraf_metric import (
    SECOND_NS,
    Metric,
    to_influx,
    to_json,
    to_remote_write,
)
from tests.acceptance.telegraf_outputs import HTTPOutput, InfluxDBOutput, InfluxDBV2Output

TelegrafOutput = InfluxDBOutput | InfluxDBV2Output | HTTPOutput


def outputs(session: aiohttp.ClientSession, url: str, key: str) -> dict[str, TelegrafOutput]:
    """Give each output of the example files, by a name for its project; JSON in seconds too."""

    def options_of(name: str) -> dict[str, Any]:
        text = example(name, {f"http://{HOST}": url, "${OS_CREDITS_KEY}": key})
        [[options]] = tomllib.loads(text)["outputs"].values()
        assert isinstance(options, dict)
        return options

    def http(name: str) -> HTTPOutput:
        options = options_of(f"telegraf-http-{name}.conf")
        unit_ns = SECOND_NS if "json_timestamp_units" not in options else 1
        serializers: dict[str, Callable[[Sequence[Metric]], bytes]] = {
            "influx": to_influx,
            "json": partial(to_json, unit_ns=unit_ns),
            "prometheusremotewrite": to_remote_write,
        }
        return HTTPOutput(
            session,
            options["url"],
            serializer=serializers[options["data_format"]],
            headers=options["headers"],
            content_encoding=options.get("content_encoding", "identity"),
            use_batch_format=options["use_batch_format"],
            non_retryable_statuscodes=frozenset(options["non_retryable_statuscodes"]),
        )

    v1 = options_of("telegraf.conf")
    v2 = options_of("telegraf-influxdb_v2.conf")
    json = http("json")
    return {
        "influxdb": InfluxDBOutput(
            session,
            v1["urls"][0],
            password=v1["password"],
            database=v1["database"],
            skip_database_creation=v1["skip_database_creation"],
            content_encoding=v1["content_encoding"],
        ),
        "influxdb_v2": InfluxDBV2Output(
            session,
            v2["urls"][0],
            token=v2["token"],
            organization=v2["organization"],
            bucket=v2["bucket"],
            content_encoding=v2["content_encoding"],
        ),
        "http-influx": http("influx"),
        "http-json": json,
        "http-json-seconds": replace(
            json, url=json.url.removesuffix("?precision=ns"), serializer=to_json
        ),
        "http-remote-write": http("remote-write"),
    }
