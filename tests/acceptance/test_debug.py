"""Looking into the running service: figures, stacks, log levels, health."""

import asyncio
import json
import logging
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import Service
from tests.acceptance.senders import now_ms, vcpu_line

UNPRICED = (
    "openstack_nova_server_status,tenant_id=t1,id=s1,flavor_id=odd,status=ACTIVE value=0i {time}"
)


async def ask(service: Service, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
    async with service.request(method, path, **more) as response:
        text = await response.text()
        is_json = response.content_type == "application/json"
        return response.status, response.headers, json.loads(text) if is_json and text else text


async def push(service: Service, text: str) -> int:
    status, _, _ = await ask(service, "POST", "/write", key="ingest", data=text.encode())
    return status


async def rated(service: Service, count: int) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            seen: dict[str, Any]
            _, _, seen = await ask(service, "GET", "/stats", key="admin")
            if seen["rated_samples"] >= count and not seen["queue_size"]:
                return seen
            await asyncio.sleep(0.05)


async def test_stats_count_what_was_seen(service: Service) -> None:
    assert await push(service, f"{vcpu_line(1)}\n{vcpu_line(2)}\nunknown x=1 1\nbad") == 400

    seen = await rated(service, 2)

    assert seen["accepted_samples"] == {"project_vcpu_usage": 2}
    assert seen["unknown_metrics"] == {"unknown_x": 1}
    assert seen["refused_samples"] == {"unreadable": 1}
    assert seen["refused_examples"][0].startswith("line 4: ")
    assert seen["last_sample_at"]["project_vcpu_usage"].endswith("+00:00")
    assert seen["queue_size"] == 0
    assert seen["number_of_workers"] >= 3
    assert {job["name"] for job in seen["jobs"]} >= {"rate", "book", "notice"}
    assert ":" in seen["uptime"]
    assert "task_stacks" not in seen


async def test_stats_show_usage_without_a_price(service: Service) -> None:
    lines = [UNPRICED.format(time=(now_ms() - ago) * 1_000_000) for ago in (60_000, 30_000, 0)]
    assert await push(service, "\n".join(lines)) == 204

    seen = await rated(service, 3)

    [row] = seen["unpriced_usage"]
    assert (row["meter"], row["flavor"]) == ("openstack_nova_server_status", "odd")
    assert (row["quantity"], row["unit"]) == ("0.016666667", "server-hour")


async def test_verbose_stats_add_stacks_and_the_pool(service: Service) -> None:
    for query in ("?verbose=true", "?verbose"):
        _, _, seen = await ask(service, "GET", f"/stats{query}", key="admin")

        assert "flows/clock.py" in seen["task_stacks"]["clock-rate"]
        assert seen["pool"]["connections_max"] == 10
    _, _, seen = await ask(service, "GET", "/stats?verbose=false", key="admin")
    assert "pool" not in seen


async def test_metrics_are_readable_by_prometheus_and_name_no_project(service: Service) -> None:
    await push(service, f"{vcpu_line(1, project='secret')}\nodd_metric x=1 1")
    await rated(service, 1)

    status, headers, text = await ask(service, "GET", "/metrics", key="read")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert found["os_credits_samples_accepted_total", "project_vcpu_usage"] == 1
    assert found["os_credits_samples_unknown_total",] == 1
    assert found["os_credits_pushes_total", "line_protocol"] == 1
    assert found["os_credits_batches_waiting",] == 0
    assert found["os_credits_ready",] == 1
    assert found["os_credits_http_request_seconds_count", "POST", "/write", "204"] == 1
    assert all(name.startswith("os_credits_") for name, *_ in found)
    assert "secret" not in text
    assert "odd_metric" not in text


async def test_metrics_speak_openmetrics_when_asked(service: Service) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    _, headers, text = await ask(service, "GET", "/metrics", key="read", headers=accept)

    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert text.count("# EOF") == 1


async def test_log_levels_change_in_the_running_service(service: Service) -> None:
    name = "os_credits.access"
    wanted = {"version": 1, "loggers": {name: {"level": "DEBUG"}}, "root": {"level": "error"}}
    before = logging.getLogger().level
    try:
        status, _, levels = await ask(service, "POST", "/logconfig", key="admin", json=wanted)
        _, _, again = await ask(service, "GET", "/logconfig", key="admin")

        assert status == 200
        assert levels["loggers"][name] == {"level": "DEBUG", "effective": "DEBUG"}
        assert levels["root"] == {"level": "ERROR"}
        assert again == levels
        assert logging.getLogger(name).isEnabledFor(logging.DEBUG)
    finally:
        logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger().setLevel(before)


async def test_a_log_configuration_that_could_run_code_is_refused_and_changes_nothing(
    service: Service,
) -> None:
    before = (await ask(service, "GET", "/logconfig", key="admin"))[2]
    status, _, answer = await ask(
        service,
        "POST",
        "/logconfig",
        key="admin",
        json={
            "root": {"level": "DEBUG"},
            "handlers": {"console": {"()": "os.system", "command": "true"}},
        },
    )

    assert status == 400
    assert answer["error"] == "invalid"
    assert "handlers.console.()" in answer["message"]
    assert (await ask(service, "GET", "/logconfig", key="admin"))[2] == before


async def test_a_body_that_is_no_object_is_400(service: Service) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b"null", b'"DEBUG"', b"\xff"):
        status, _, answer = await ask(
            service, "POST", "/logconfig", key="admin", data=body, headers=headers
        )

        assert (status, answer["error"]) == (400, "invalid"), body


async def test_health_is_open_and_says_yes(service: Service) -> None:
    assert (await ask(service, "GET", "/healthz"))[2] == {"alive": True}
    assert (await ask(service, "GET", "/readyz"))[2] == {"ready": True}


async def test_an_unknown_path_is_404_in_json(service: Service) -> None:
    status, headers, answer = await ask(service, "GET", "/nothing/here")

    refusal = {"error": "not found", "message": "Not Found", "code": "not found"}
    assert (status, answer) == (404, refusal)
    assert headers["X-Request-Id"]
