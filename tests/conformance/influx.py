"""Asks the doors of InfluxDB's kind, and looks at what became of it."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.acceptance.conftest import Service
from tests.conformance.doors import Reply

V1_WRITE, V2_WRITE = "/write", "/api/v2/write"
# The codes of InfluxDB 2, by the statuses for which it uses them.
CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    413: "request too large",
    415: "unsupported media type",
    422: "unprocessable entity",
    503: "unavailable",
}


async def ask(
    service: Service,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str | None = "ingest",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send something and give the answer, which is never followed elsewhere."""
    async with service.request(
        method, path, key=key, data=body, headers=headers, allow_redirects=False
    ) as response:
        return Reply(response.status, response.headers.copy(), await response.text())


def check_refusal(reply: Reply, status: int) -> str:
    """Check a refusal as the readers of both InfluxDB versions need it; gives its message."""
    assert reply.status == status, reply
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    said = reply.json
    assert set(said) - {"line"} == {"error", "code", "message"}, said
    assert said["code"] == CODES[status]
    assert said["error"] == said["message"] != ""
    assert reply.headers["X-Influxdb-Version"]
    assert reply.headers["Request-Id"]
    shown = "".join(sign if " " <= sign <= "~" else "?" for sign in said["error"])[:1024]
    assert reply.headers["X-Influxdb-Error"] == shown
    message: str = said["message"]
    return message


async def counting(service: Service) -> Callable[[], Awaitable[dict[str, dict[str, int]]]]:
    """Give what tells, when called, what the service has counted from now on, without zeros."""
    before = await _counts(service)

    async def since() -> dict[str, dict[str, int]]:
        return {
            name: dict(count - before[name]) for name, count in (await _counts(service)).items()
        }

    return since


async def _counts(service: Service) -> dict[str, Counter[str]]:
    async with service.request("GET", "/stats?verbose", key="admin") as response:
        stats = json.loads(await response.text())
    names = ("accepted_samples", "unknown_metrics", "set_aside_samples", "refused_samples")
    return {name.partition("_samples")[0]: Counter(stats[name]) for name in names}
