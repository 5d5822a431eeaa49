"""What InfluxDB's tools ask besides writing: is it there, which version, may I have a database."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from aiohttp import web
from pydantic import BaseModel

from os_credits import __version__
from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.middleware import REQUEST_ID, answer
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.errors import TooLarge

# The InfluxDB whose answers these doors follow; some tools choose their way by it.
INFLUXDB_VERSION = "1.8.10"
QUERY_BYTES_MAX = 64 * 1024
# These want InfluxDB's own 204 from /ping; everyone else gets a page that says Pong.
INFLUXDB_TOOLS = ("influx", "telegraf")

_CREATE_DATABASE = re.compile(
    r"\s*+CREATE\s++DATABASE\s++(\"[^\"]*+\"|\w++)[^;]*+;?\s*+", re.IGNORECASE
)

routes = Routes("InfluxDB")


class Health(BaseModel):
    """The answer of `/health`, as InfluxDB 2 gives it."""

    name: str = "os_credits"
    status: str
    message: str
    version: str = __version__
    checks: list[str] = []


def influx_headers(request: web.Request) -> dict[str, str]:
    """Give the headers that every answer of an InfluxDB door carries."""
    return {"X-Influxdb-Version": INFLUXDB_VERSION, "Request-Id": request[REQUEST_ID]}


@routes.add(
    "GET",
    "/ping",
    gate=Gate.OPEN,
    summary="Is the service there?",
    answers={
        200: Answer("Pong", media_type="text/plain"),
        204: Answer("The same for InfluxDB's own tools"),
    },
)
async def ping(request: web.Request) -> web.Response:
    """Answer `Pong`, or 204 to HEAD and to InfluxDB's own tools; asks no database."""
    if request.query.get("verbose", "").lower() not in ("", "false", "0"):
        return web.json_response({"version": INFLUXDB_VERSION})
    tool = request.headers.get("User-Agent", "").lower().startswith(INFLUXDB_TOOLS)
    if tool or request.method == "HEAD":
        return web.Response(status=204)
    return web.Response(text="Pong")


@routes.add(
    "GET",
    "/health",
    gate=Gate.OPEN,
    summary="InfluxDB 2's health check",
    answers={200: Answer("Ready", Health), 503: Answer("Waiting for the database", Health)},
)
async def health(request: web.Request) -> web.Response:
    """Say whether pushes are taken, in the words of InfluxDB 2."""
    waiting = context_of(request).start.problem is not None
    report = Health(
        status="fail" if waiting else "pass",
        message="waiting for the database" if waiting else "ready for queries and writes",
    )
    return web.json_response(report.model_dump(), status=503 if waiting else 200)


@routes.add(
    "POST",
    "/query",
    gate=Gate.INGEST,
    summary="InfluxDB 1.x queries: CREATE DATABASE only",
    raw_body=("application/x-www-form-urlencoded",),
    answers={200: Answer("Taken note of; no database is made"), 400: Answer("Any other query")},
)
async def query(request: web.Request) -> web.Response:
    """Answer the CREATE DATABASE that Telegraf sends at its start; nothing is ever executed."""
    statement = request.query.get("q")
    if statement is None:
        bodies = context_of(request).bodies
        with bodies.lease(access_of(request)) as lease:
            if (request.content_length or 0) > QUERY_BYTES_MAX:
                raise TooLarge(f"a query holds at most {QUERY_BYTES_MAX} bytes")
            statement = _query_of(await bodies.read(request, lease))
    if statement is not None and _CREATE_DATABASE.fullmatch(statement):
        return web.json_response({"results": [{"statement_id": 0}]})
    return answer(request, 400, "invalid", "only CREATE DATABASE is answered here")


def _query_of(form: bytes) -> str | None:
    try:
        fields = parse_qs(form.decode(), max_num_fields=20)
    except ValueError:
        return None
    return fields.get("q", [None])[0]
