"""One log line for every answer: what was asked, what became of it, never a secret.

The query and the headers stay out, since keys may stand in them; the path is written as it
came, percent-encoded, so that no sender can forge a line.
"""

from __future__ import annotations

import logging

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from os_credits.api.context import ACCESS
from os_credits.api.forwarded import ARRIVAL
from os_credits.api.middleware import REASON, REQUEST_ID
from os_credits.domain.invitation import link_path

# What follows is the secret of a link.
_SECRET_PATH = link_path("")

NAME = "os_credits.access"

log = structlog.stdlib.get_logger(NAME)
# Asked first whether anybody wants the line: nobody wants those of all pushes.
_stdlib_log = logging.getLogger(NAME)


class AccessLog(AbstractAccessLogger):
    """Writes 5xx as warnings, other refusals as information, success for debugging only."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line of one request that took `time` seconds."""
        level = logging.DEBUG
        if response.status >= 400:
            level = logging.WARNING if response.status >= 500 else logging.INFO
        if not _stdlib_log.isEnabledFor(level):
            return
        access, arrival = request.get(ACCESS), request.get(ARRIVAL)
        log.log(
            level,
            "answered",
            action="request",
            method=request.method,
            path=_path(request),
            status=response.status,
            seconds=round(time, 6),
            peer=arrival.address if arrival else request.remote,
            key=access.name if access else None,
            reason=request.get(REASON),
            request_id=request.get(REQUEST_ID),
        )


def _path(request: web.BaseRequest) -> str:
    """Give the path without the token of a link that chooses a password."""
    path = request.rel_url.raw_path
    return f"{_SECRET_PATH}..." if path.startswith(_SECRET_PATH) else path[:200]
