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
from os_credits.api.readiness import problem_of
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.errors import TooLarge

# The InfluxDB whose answers these doors follow; some tools choose their way by it.
INFLUXDB_VERSION = "1.8.10"
QUERY_BYTES_MAX = 64 * 1024
# These want InfluxDB's own 204 from /ping; everyone else gets a page that says Pong.
INFLUXDB_TOOLS = ("influx", "telegraf", "kapacitor")
# The Python client for InfluxDB 1.x has no User-Agent of its own, but asks for this.
INFLUXDB_FORMAT = "application/x-msgpack"

_NAME = r"(?:\"(?:[^\"\\\n]++|\\[\"\\n])++\"|[A-Za-z_][A-Za-z0-9_]*+)"
_DURATION = r"(?:INF|(?:\d++(?:ns|u|µ|ms|s|m|h|d|w))++)"
_OPTIONS = (
    rf"(?:\s++(?:DURATION\s++{_DURATION}|REPLICATION\s++\d++|SHARD\s++DURATION\s++{_DURATION}"
    rf"|(?:PAST|FUTURE)\s++LIMIT\s++{_DURATION}|NAME\s++{_NAME}))++"
)
# One statement of InfluxQL; Telegraf and the clients quote the name.
_CREATE_DATABASE = re.compile(
    rf"\s*+CREATE\s++DATABASE\s++(?:IF\s++NOT\s++EXISTS\s++)?{_NAME}"
    rf"(?:\s++WITH{_OPTIONS})?\s*+;?\s*+",
    re.IGNORECASE,
)
_ONLY = "only CREATE DATABASE is answered here, by POST; nothing is ever executed"

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
    return {
        "X-Influxdb-Version": INFLUXDB_VERSION,
        "X-Influxdb-Build": "OSS",
        "Request-Id": request[REQUEST_ID],
    }


@routes.add(
    "GET",
    "/ping",
    gate=Gate.OPEN,
    summary="Is the service there?",
    answers={
        200: Answer("Pong", media_type="text/plain", also=("application/json",)),
        204: Answer("The same for InfluxDB's own tools"),
    },
)
async def ping(request: web.Request) -> web.Response:
    """Answer `Pong`, or 204 to HEAD and to InfluxDB's own tools; asks no database.

    With `verbose` the answer is InfluxDB's version as JSON.
    """
    if request.query.get("verbose", "").lower() not in ("", "false", "0"):
        return web.json_response({"version": INFLUXDB_VERSION})
    if request.method == "HEAD" or _is_influxdb_tool(request):
        return web.Response(status=204)
    return web.Response(text="Pong")


def _is_influxdb_tool(request: web.Request) -> bool:
    """Tell InfluxDB's tools from all others, by what only they send."""
    agent = request.headers.get("User-Agent", "").lower()
    return (
        agent.startswith(INFLUXDB_TOOLS)
        or INFLUXDB_FORMAT in request.headers.get("Accept", "")
        or "wait_for_leader" in request.query
    )


@routes.add(
    "GET",
    "/health",
    gate=Gate.OPEN,
    summary="InfluxDB 2's health check",
    answers={200: Answer("Ready", Health), 503: Answer("Waiting for the database", Health)},
)
async def health(request: web.Request) -> web.Response:
    """Say whether pushes are taken, in the words of InfluxDB 2."""
    waiting = await problem_of(context_of(request)) is not None
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
    answers={
        200: Answer("Taken note of; no database is made"),
        400: Answer("Any other query"),
        413: Answer("The query is larger than the limits allow"),
    },
)
async def query(request: web.Request) -> web.Response:
    """Answer the CREATE DATABASE that Telegraf sends at its start; nothing is ever executed.

    The statement stands in the URL or in a form, as `q`.
    """
    statements = request.query.getall("q", []) or await _form_statements(request)
    if not statements:
        return answer(request, 400, "invalid", 'missing required parameter "q"')
    if len(statements) == 1 and _CREATE_DATABASE.fullmatch(statements[0]):
        return web.json_response({"results": [{"statement_id": 0}]})
    return answer(request, 400, "invalid", _ONLY)


@routes.add(
    "GET",
    "/query",
    gate=Gate.INGEST,
    summary="InfluxDB 1.x queries are not answered",
    answers={400: Answer("Whatever is asked")},
)
async def read_query(request: web.Request) -> web.Response:
    """Refuse what clients ask by GET, like SHOW DATABASES, in the form that they can read."""
    return answer(request, 400, "invalid", _ONLY)


async def _form_statements(request: web.Request) -> list[str]:
    bodies = context_of(request).bodies
    with bodies.lease(access_of(request)) as lease:
        if (request.content_length or 0) > QUERY_BYTES_MAX:
            raise TooLarge(f"a query holds at most {QUERY_BYTES_MAX} bytes")
        form = await bodies.read(request, lease)
    if len(form) > QUERY_BYTES_MAX:
        raise TooLarge(f"a query holds at most {QUERY_BYTES_MAX} bytes")
    try:
        return parse_qs(form.decode(), max_num_fields=20).get("q", [])
    except ValueError:
        return []
