"""`/telegraf`: the JSON of Telegraf's `outputs.http`, with answers that it understands."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from os_credits.decode.remote_write_encode import encode_v2
from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import V2, now_ms
from tests.conformance.doors import TEXT, VCPU, Reply
from tests.conformance.influx import ask, counting

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOOR = "/telegraf"
NANOSECONDS = {"": 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}


def metric(project: str, value: object = 1, **parts: Any) -> dict[str, Any]:
    """Write a sample of a project's counter as Telegraf does, measured now, in seconds."""
    return {
        "fields": {"value": value},
        "name": VCPU,
        "tags": {"location_id": "1", "project_id": project},
        "timestamp": now_ms() // 1000,
        **parts,
    }


def batch(*metrics: object) -> bytes:
    return json.dumps({"metrics": metrics}, separators=(",", ":")).encode() + b"\n"


async def push(
    service: Service, body: object, path: str = DOOR, headers: Mapping[str, str] = TEXT
) -> Reply:
    return await ask(service, "POST", path, body, headers=headers)


def refusal(reply: Reply, status: int = 400) -> str:
    """Check the form of a refusal; gives its message."""
    assert reply.status == status, reply
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    said = reply.json
    assert said["error"] == said["message"] != ""
    assert "Retry-After" not in reply.headers
    message: str = said["message"]
    return message


async def values(service: Service, *projects: str) -> dict[tuple[str, int], float]:
    """Give what is stored of some projects, by project and time, once all is rated."""
    await service.rated()
    found = await stored.samples(service.settings.database_url, *projects)
    assert {place[0] for place in found} <= {VCPU}
    return {(place[1], place[3]): value for place, value in found.items()}


class TestTaken:
    async def test_a_batch_is_acknowledged_and_stored(self, shared: Service) -> None:
        since = await counting(shared)
        metrics = [metric(f"batch-{number}", number + 0.1) for number in range(3)]
        reply = await push(shared, batch(*metrics))

        assert (reply.status, reply.text) == (204, "")
        assert not [name for name in reply.headers if name.startswith("X-Influxdb")]
        assert (await since())["accepted"] == {VCPU: 3}
        assert await values(shared, "batch-0", "batch-1", "batch-2") == {
            (f"batch-{number}", one["timestamp"] * 1000): number + 0.1
            for number, one in enumerate(metrics)
        }

    async def test_a_metric_alone_and_a_list_are_taken(self, shared: Service) -> None:
        alone, listed = metric("alone", 1), metric("listed", 2)
        nameless = {**metric("nameless"), "name": "prometheus", "fields": {VCPU: 3.5}}
        for body in (alone, [listed], nameless):
            assert (await push(shared, json.dumps(body))).status == 204

        found = await values(shared, "alone", "listed", "nameless")
        assert sorted((project, value) for (project, _), value in found.items()) == [
            ("alone", 1.0),
            ("listed", 2.0),
            ("nameless", 3.5),
        ]

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            TEXT,
            {"Content-Type": ""},
            {"Content-Type": "application/json"},
            {"Content-Type": "application/x-protobuf"},
            {"Content-Type": "application/json", "Content-Encoding": "identity"},
            {**TEXT, "Content-Encoding": "gzip"},
            {**TEXT, "Content-Encoding": "GZIP"},
        ],
    )
    async def test_a_content_type_means_nothing_and_gzip_is_unpacked(
        self, shared: Service, headers: dict[str, str]
    ) -> None:
        since = await counting(shared)
        body = batch(metric("types"))
        if headers.get("Content-Encoding", "").lower() == "gzip":
            body = gzip.compress(body)

        assert (await push(shared, body, headers=headers)).status == 204
        assert (await since())["accepted"] == {VCPU: 1}

    async def test_every_precision_is_the_unit_of_the_times(self, shared: Service) -> None:
        expected = {}
        for precision, nanoseconds in NANOSECONDS.items():
            project = f"unit-{precision}"
            time = now_ms() * 10**6 // nanoseconds
            path = DOOR + (f"?precision={precision}" if precision else "")
            assert (await push(shared, batch(metric(project, timestamp=time)), path)).status == 204
            expected[project, time * nanoseconds // 10**6] = 1.0

        assert await values(shared, *(project for project, _ in expected)) == expected

    async def test_a_metric_without_a_time_gets_that_of_its_receipt(self, shared: Service) -> None:
        untimed = metric("untimed")
        del untimed["timestamp"]
        earliest = now_ms()
        assert (await push(shared, batch(untimed))).status == 204
        latest = now_ms()

        [(_, time_ms)] = await values(shared, "untimed")
        assert earliest - 1000 <= time_ms <= latest + 1000

    async def test_texts_of_a_meter_are_set_aside_and_other_fields_are_unknown(
        self, shared: Service
    ) -> None:
        since = await counting(shared)
        fields = {"value": "12", "note": "text", "cores": 3}
        reply = await push(shared, batch({**metric("texts"), "fields": fields}))

        assert reply.status == 204
        seen = await since()
        assert (seen["accepted"], seen["refused"]) == ({}, {})
        assert seen["set_aside"] == {"text": 1}
        assert seen["unknown_metrics"] == {f"{VCPU}_cores": 1}

    async def test_nothing_to_store_is_204(self, shared: Service) -> None:
        for body in (b'{"metrics":[]}\n', b"[]", batch(metric("nothing", fields={}))):
            assert (await push(shared, body)).status == 204

    async def test_a_large_batch_is_taken_whole(self, shared: Service) -> None:
        since = await counting(shared)
        start_s = now_ms() // 1000 - 5000
        metrics = [metric("large", one, timestamp=start_s + one) for one in range(4000)]
        body = batch(*metrics)

        assert len(body) > 256 * 1024
        assert (await push(shared, body)).status == 204
        assert (await since())["accepted"] == {VCPU: 4000}
        assert len(await values(shared, "large")) == 4000


class TestRefused:
    async def test_a_bad_metric_at_any_place_harms_only_itself(self, shared: Service) -> None:
        count = 5
        for place in range(count):
            since = await counting(shared)
            projects = [f"place-{place}-{number}" for number in range(count)]
            metrics = [metric(project) for project in projects]
            metrics[place]["fields"] = {"value": None}
            reply = await push(shared, batch(*metrics))

            assert refusal(reply) == (
                f'partial write: metric {place + 1}: field "value" is neither a number, '
                "a boolean nor text dropped=1"
            )
            assert reply.json["metric"] == place + 1
            seen = await since()
            assert (seen["accepted"], seen["refused"]) == ({VCPU: count - 1}, {"unreadable": 1})
            stored_of = {project for project, _ in await values(shared, *projects)}
            assert stored_of == set(projects) - {projects[place]}

    @pytest.mark.parametrize(
        "bad",
        [
            b'{"name":"m","tags":{"a":"\xff"},"fields":{"value":1}}',
            rb'{"name":"m","tags":{"a":"\ud800"},"fields":{"value":1}}',
            b'{"name":"m","fields":{"value":1e999}}',
            b'{"name":"m","fields":{"value":NaN}}',
            b'{"name":"m","fields":{"value":1,"value":2}}',
            b'{"name":"m","fields":{"value":1},"timestamp":1.5}',
            b'{"name":"m","fields":{"value":01}}',
            b"null",
        ],
    )
    async def test_poison_between_good_metrics_is_refused_alone(
        self, shared: Service, bad: bytes
    ) -> None:
        since = await counting(shared)
        good = json.dumps(metric("poison")).encode()
        reply = await push(shared, b'{"metrics":[%s,%s,%s]}' % (good, bad, good))

        assert refusal(reply).startswith("partial write: metric 2: ")
        assert (await since())["accepted"] == {VCPU: 2}

    async def test_what_nobody_can_keep_is_no_partial_write(self, shared: Service) -> None:
        old = await push(shared, batch(metric("old", timestamp=1)))
        unnamed = await push(shared, batch(metric("x", name="")))

        assert refusal(old).startswith("metric 1: 1970-01-01T00:00:01.000Z is older")
        assert refusal(unnamed) == "metric 1: missing name"
        assert (old.json["metric"], unnamed.json["code"]) == (1, "invalid")
        assert await values(shared, "old", "x") == {}

    async def test_times_of_other_units_are_refused(self, shared: Service) -> None:
        reply = await push(shared, batch(metric("units", timestamp=now_ms() * 10**6)))

        assert refusal(reply) == "metric 1: timestamp out of range if in units of s"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"project_vcpu_usage,project_id=a value=1",
            b'{"metrics":[{"name":"project_vcpu_usage"',
            b'{"metrics":[],"more":1}',
            json.dumps(metric("shape")).encode() * 2,
        ],
    )
    async def test_a_body_of_another_shape_is_refused_as_a_whole(
        self, shared: Service, body: bytes
    ) -> None:
        since = await counting(shared)

        assert refusal(await push(shared, body)).startswith("byte ")
        assert await since() == {
            "accepted": {},
            "unknown_metrics": {},
            "set_aside": {},
            "refused": {"body": 1},
        }

    @pytest.mark.parametrize("query", ["q", "h", "1ns", "NS", "u", "%20s", "s&precision=s"])
    async def test_an_unknown_precision_is_refused(self, shared: Service, query: str) -> None:
        since = await counting(shared)

        assert "precision" in refusal(
            await push(shared, batch(metric("query")), f"{DOOR}?precision={query}")
        )
        assert (await since())["accepted"] == {}

    async def test_another_encoding_is_415(self, shared: Service) -> None:
        for encoding in ("deflate", "snappy", "zstd", "gzip, gzip"):
            headers = {**TEXT, "Content-Encoding": encoding}
            refusal(await push(shared, batch(metric("packed")), headers=headers), 415)
        broken = await push(shared, b"no gzip", headers={**TEXT, "Content-Encoding": "gzip"})
        assert refusal(broken) == "broken gzip body"

    async def test_other_methods_are_refused_and_a_key_is_needed(self, shared: Service) -> None:
        for method in ("PUT", "PATCH"):
            reply = await ask(shared, method, DOOR, batch(metric("method")))
            assert (reply.status, reply.headers["Allow"]) == (405, "POST")
        for key, status in ((None, 401), ("osc_unknown", 401), ("read", 403)):
            reply = await ask(shared, "POST", DOOR, batch(metric("key")), key=key)
            refusal(reply, status)


async def test_more_than_the_bounds_allow_is_413(shared_database_url: str) -> None:
    settings = settings_for(
        shared_database_url, body_bytes_max=20_000, decoded_bytes_max=20_000, body_lines_max=100
    )
    metrics = [metric("bounds") for _ in range(50)]
    async with running(settings) as tight:
        since = await counting(tight)
        assert (await push(tight, batch(*metrics))).status == 204
        for body, headers in (
            (batch(*metrics, {}), TEXT),
            (b" " * 20_001, TEXT),
            (gzip.compress(b" " * 20_001), {"Content-Encoding": "gzip"}),
            (b"[" * 5000, TEXT),
        ):
            refusal(await push(tight, body, headers=headers), 413)
        assert (await since())["accepted"] == {VCPU: 50}


async def test_the_same_usage_is_the_same_samples_and_credits_by_every_door(
    shared: Service,
) -> None:
    """A counter in odd nanoseconds, by three doors: each for a project of its own, all for one."""
    hour_ms = now_ms() // 3_600_000 * 3_600_000 - 3 * 3_600_000
    points = [
        (hour_ms + number * 600_017, number * 1.1 + 1e6, number * 90_909) for number in range(12)
    ]

    def as_metrics(project: str) -> bytes:
        return batch(
            *(
                metric(project, value, timestamp=time_ms * 10**6 + rest)
                for time_ms, value, rest in points
            )
        )

    def as_lines(project: str) -> bytes:
        return "\n".join(
            f"{VCPU},location_id=1,project_id={project} value={value!r} {time_ms * 10**6 + rest}"
            for time_ms, value, rest in points
        ).encode()

    def as_series(project: str) -> bytes:
        labels = (("__name__", VCPU), ("location_id", "1"), ("project_id", project))
        return encode_v2([(labels, [(time_ms, value) for time_ms, value, _ in points])])

    doors = (
        ("by-json", f"{DOOR}?precision=ns", as_metrics, TEXT),
        ("by-lines", "/write?precision=ns", as_lines, TEXT),
        ("by-series", "/api/v1/write", as_series, V2),
    )
    for project, path, write, headers in doors:
        for one in (project, "by-all"):
            assert (await push(shared, write(one), path, headers)).status == 204

    projects = [project for project, *_ in doors] + ["by-all"]
    found = await values(shared, *projects)
    assert found == {
        (project, time_ms): value for project in projects for time_ms, value, _ in points
    }
    charged = await stored.charges(shared.settings.database_url)
    by_project = {
        project: {place[1:]: micro for place, micro in charged.items() if place[0] == project}
        for project in projects
    }
    assert len(by_project["by-lines"]) >= 2
    assert all(by_project[project] == by_project["by-lines"] for project in projects)
