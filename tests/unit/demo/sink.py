"""A small service that keeps what it is sent, over real HTTP: for the simulated cloud's tests."""

import gzip
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from os_credits.decode import line_protocol, line_series, remote_write, remote_write_keys, snappy
from os_credits.domain.sample import Labels, Push

BODY_BYTES_MAX = 64 * 1024 * 1024


@dataclass(slots=True)
class Sink:
    """What was sent: requests in their order, samples by labels, accounts by project id.

    `answers` holds what the next requests get instead of success: (status, headers).
    """

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    samples: dict[Labels, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    duplicates: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, list[str]] = field(default_factory=dict)
    timestamps: dict[str, str] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def keep(self, push: Push, labels: list[Labels]) -> None:
        assert not push.rejected
        for key, time_ms, value in zip(push.key_index, push.times_ms, push.values, strict=True):
            series = self.samples[labels[key]]
            self.duplicates += int(time_ms) in series
            series[int(time_ms)] = float(np.float64(value))

    def times(self) -> set[int]:
        return {time_ms for series in self.samples.values() for time_ms in series}


SINK = web.AppKey("SINK", Sink)


async def _write(request: web.Request) -> web.Response:
    push = remote_write.decode_v1(snappy.decompress(await request.read(), BODY_BYTES_MAX))
    request.app[SINK].keep(push, [remote_write_keys.labels_of(key) for key in push.keys])
    return web.Response(status=204)


async def _lines(request: web.Request) -> web.Response:
    push = line_protocol.decode(gzip.decompress(await request.read()), "ns")
    request.app[SINK].keep(push, [line_series.labels_of(key) for key in push.keys])
    return web.Response(status=204)


async def _projects(request: web.Request) -> web.Response:
    grants = request.app[SINK].grants
    found = [
        {"external_id": name, "balance": {"granted": grant["amount"]}}
        for name, grant in grants.items()
    ]
    return web.json_response({"projects": found})


async def _history(request: web.Request) -> web.Response:
    last = request.app[SINK].timestamps.get(request.match_info["project"])
    if last is None:
        return web.Response(status=204)
    return web.json_response({"timestamps": [last], "credits": [1.0], "metrics": ["x"]})


async def _project(request: web.Request) -> web.Response:
    return web.json_response(await request.json(), status=201)


async def _owners(request: web.Request) -> web.Response:
    owners = (await request.json())["owners"]
    request.app[SINK].owners[request.match_info["project"]] = [one["email"] for one in owners]
    return web.json_response({"owners": owners})


async def _grant(request: web.Request) -> web.Response:
    request.app[SINK].grants[request.match_info["project"]] = await request.json()
    return web.json_response({"created": True}, status=201)


async def _said(request: web.Request) -> web.Response:
    """Take whatever else is said of organisations, prices and people."""
    sink = request.app[SINK]
    sink.said[request.path] = await request.json()
    if request.path == "/api/v1/session":
        return web.json_response({"error": "unauthorized"}, status=401)
    return web.json_response({"invitation": {"link": "https://x.example/password/TOKEN"}})


async def _lists(_: web.Request) -> web.Response:
    """Answer that nothing was decided so far, and that everything is rated and booked."""
    return web.json_response(
        {
            "budgets": [],
            "exclusions": [],
            "prices": [{"id": 1}],
            "logins": [],
            "balance": {"used": "100", "tally": "0"},
        }
    )


@web.middleware
async def _record(request: web.Request, handler: Any) -> web.StreamResponse:
    sink = request.app[SINK]
    sink.requests.append((request.method, request.path))
    sink.keys.add(request.headers.get("Authorization", ""))
    if sink.answers:
        status, headers = sink.answers.pop(0)
        return web.json_response({"error": "made up"}, status=status, headers=headers)
    answer: web.StreamResponse = await handler(request)
    return answer


@asynccontextmanager
async def running_sink() -> AsyncIterator[Sink]:
    """Serve a sink on a free port of this machine."""
    app = web.Application(
        middlewares=[_record],
        client_max_size=BODY_BYTES_MAX,
        handler_args={"auto_decompress": False},
    )
    sink = app[SINK] = Sink()
    app.router.add_post("/api/v1/write", _write)
    app.router.add_post("/write", _lines)
    app.router.add_get("/api/v1/projects", _projects)
    app.router.add_get("/api/credits_history/{project}", _history)
    app.router.add_post("/api/v1/projects", _project)
    app.router.add_put("/api/v1/projects/{project}/owners", _owners)
    app.router.add_post("/api/v1/projects/{project}/grants", _grant)
    app.router.add_post("/api/v1/{rest:.*}", _said)
    app.router.add_put("/api/v1/{rest:.*}", _said)
    app.router.add_get("/api/v1/{rest:.*}", _lists)
    async with TestServer(app) as server:
        sink.url = str(server.make_url("/"))
        yield sink
