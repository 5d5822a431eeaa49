"""One place where an error becomes a status and a body.

    400 413 415 401 403 404 405 409   the caller's; JSON says what and where
    429 + Retry-After                 too many attempts to log in; on no push door
    500                               ours; nothing inside is shown
    503 + Retry-After                 passes; on the push doors every trouble of ours is one of
                                      these, since senders drop what gets any other answer

Bodies are `{"error": code, "message": text}`; on the push doors `{"error": text, "code": code,
"message": text}`, which the readers of both InfluxDB versions understand. An answer of 5xx
never repeats what a sender wrote: Telegraf drops batches by words in it. No answer at all has
the words after which Telegraf sends a batch again, for ever, whatever the status.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from os_credits import errors
from os_credits.api.auth import visitor_at
from os_credits.api.context import ACCESS, VISIT, context_of
from os_credits.api.forwarded import arrival_of
from os_credits.api.routes import Gate, HttpHandler, plain_json, route_of
from os_credits.api.transient import TEMPORARILY, retry_after_seconds

# No answer takes longer; a reader of a body has its own, shorter limit.
HANDLER_SECONDS_MAX = 120
MESSAGE_LENGTH_MAX = 2000
HEADER_TEXT_LENGTH_MAX = 1024
# Words that make Telegraf's outputs.influxdb repeat a batch whatever the status, even a 4xx; a
# label may hold them.
SENT_AGAIN_BY_TELEGRAF = "database not found"

REQUEST_ID = web.RequestKey("REQUEST_ID", str)
# Headers that this request's answer carries whatever becomes of it.
REPLY_HEADERS = web.RequestKey("REPLY_HEADERS", dict[str, str])
# Paths whose every answer carries headers of its own, errors included, and how to make them.
REPLY_HEADERS_OF: web.AppKey[dict[str, Callable[[web.Request], dict[str, str]]]] = web.AppKey(
    "REPLY_HEADERS_OF", dict
)


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """How people are told of errors: who `wants` a page, and what `make`s one.

    `make` takes the status, a sentence, and what could have been meant.
    """

    wants: Callable[[web.Request], bool]
    make: Callable[[web.Request, int, str, Sequence[dict[str, str]]], web.Response]


ERROR_PAGES = web.AppKey("ERROR_PAGES", ErrorPages)
# Why the answer is not a success, for the access log.
REASON = web.RequestKey("REASON", str)

log = structlog.stdlib.get_logger(__name__)

_ANSWERS: tuple[tuple[type[errors.OsCreditsError], int, str], ...] = (
    (errors.UnsupportedMedia, 415, "unsupported media type"),
    (errors.TooLarge, 413, "request too large"),
    (errors.InvalidInput, 400, "invalid"),
    (errors.Unauthenticated, 401, "unauthorized"),
    (errors.Forbidden, 403, "forbidden"),
    (errors.NotFound, 404, "not found"),
    (errors.Conflict, 409, "conflict"),
    (errors.RateLimited, 429, "too many requests"),
    (errors.Unavailable, 503, "unavailable"),
)
_HTTP_CODES = {404: "not found", 405: "method not allowed", 413: "request too large"}


def answer(request: web.Request, status: int, code: str, message: str, **more: Any) -> web.Response:
    """Make the JSON answer to something that went wrong, in the form that the door speaks."""
    request[REASON] = message
    if status >= 500:
        message = TEMPORARILY if status == 503 else "internal error, see the service's log"
    message = message[:MESSAGE_LENGTH_MAX]
    body: dict[str, Any] = {"error": code, "message": message, **more}
    if _is_for_people(request):
        return _page(request, status, message, more.get("candidates", ()))
    if route_of(request) is None:
        body["code"] = code  # a sender may mean a push door, with a slash too many
    if _is_push(request):
        message = message.replace(SENT_AGAIN_BY_TELEGRAF, SENT_AGAIN_BY_TELEGRAF.replace(" ", "_"))
        body = {"error": message, "code": code, "message": message, **more}
    response = web.json_response(body, status=status, dumps=plain_json)
    if _is_push(request):
        response.headers["X-Influxdb-Error"] = _header_text(message)
    if status == 503:
        response.headers["Retry-After"] = str(retry_after_seconds(request.path))
    if status == 401:
        response.headers.add("WWW-Authenticate", 'Basic realm="os_credits"')
        response.headers.add("WWW-Authenticate", 'Bearer realm="os_credits"')
    return response


def _is_for_people(request: web.Request) -> bool:
    """Tell whether somebody looks at the answer: a page, or an address that may be one."""
    route = route_of(request)
    if route is not None and route.is_page:
        return route.gate is not Gate.OPEN
    pages = request.app.get(ERROR_PAGES)
    may_be = route.is_page_too if route is not None else request.method in ("GET", "HEAD")
    return may_be and pages is not None and pages.wants(request)


def _page(
    request: web.Request, status: int, message: str, candidates: Sequence[dict[str, str]]
) -> web.Response:
    if VISIT not in request:
        # Nobody was let in yet: what the page says of its visitor is that we know nobody.
        request[VISIT] = visitor_at(request)
    response = request.app[ERROR_PAGES].make(request, status, message, candidates)
    if status == 503:
        response.headers["Retry-After"] = str(retry_after_seconds(request.path))
    return response


def _is_push(request: web.Request) -> bool:
    route = route_of(request)
    return route is not None and route.gate is Gate.INGEST


@web.middleware
async def map_errors(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
    """Give every request a number, and every error its answer."""
    request[REQUEST_ID] = secrets.token_hex(8)
    arrival_of(request, context_of(request).arrivals)
    extra = request.app[REPLY_HEADERS_OF].get(request.path)
    request[REPLY_HEADERS] = extra(request) if extra else {}
    started = time.perf_counter()
    with context_of(request).connections.at_work(request, lambda: _was_let_in(request)):
        response = await _answered(request, handler)
    route = route_of(request)
    context_of(request).metrics.note_request(
        request.method if route else "",
        route.path if route else "(none)",
        response.status,
        time.perf_counter() - started,
    )
    if not response.prepared:
        response.headers.update(request[REPLY_HEADERS])
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def _was_let_in(request: web.Request) -> bool:
    """Tell whether the caller showed something that allows it anything."""
    return ACCESS in request and bool(request[ACCESS].scopes)


async def _answered(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(HANDLER_SECONDS_MAX):
            return await handler(request)
    except web.HTTPException as error:
        return _http_exception(request, error)
    except errors.OsCreditsError as error:
        return _our_error(request, error)
    except (web.RequestPayloadError, ConnectionError):
        return answer(request, 400, "invalid", "the body ends too early, or is broken")
    except TimeoutError:
        return answer(request, 503, "unavailable", "the request took too long")
    except Exception:
        log.exception("unexpected", action="request", request_id=request[REQUEST_ID])
        if _is_push(request):
            return answer(request, 503, "unavailable", "unexpected error")
        return answer(request, 500, "internal error", "unexpected error")


def _our_error(request: web.Request, error: errors.OsCreditsError) -> web.Response:
    for kind, status, code in _ANSWERS:
        if isinstance(error, kind):
            more = {"candidates": error.candidates} if isinstance(error, errors.Conflict) else {}
            response = answer(request, status, code, str(error), **more)
            if isinstance(error, errors.RateLimited):
                response.headers["Retry-After"] = str(error.seconds)
            return response
    log.error("unmapped", action="request", error=str(error), request_id=request[REQUEST_ID])
    return answer(request, 503, "unavailable", str(error))


def _http_exception(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        raise error
    code = _HTTP_CODES.get(error.status, "invalid" if error.status < 500 else "internal error")
    response = answer(request, error.status, code, error.reason)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _header_text(text: str) -> str:
    """Make text fit a header, where a line break would start another one."""
    return "".join(
        sign if sign.isascii() and sign.isprintable() else "?"
        for sign in text[:HEADER_TEXT_LENGTH_MAX]
    )
