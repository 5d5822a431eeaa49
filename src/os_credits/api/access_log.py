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
from os_credits.api.middleware import REASON, REQUEST_ID

log = structlog.stdlib.get_logger("os_credits.access")


class AccessLog(AbstractAccessLogger):
    """Writes 5xx as warnings, other refusals as information, success for debugging only."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line of one request that took `time` seconds."""
        level = logging.DEBUG
        if response.status >= 400:
            level = logging.WARNING if response.status >= 500 else logging.INFO
        access = request.get(ACCESS)
        log.log(
            level,
            "answered",
            action="request",
            method=request.method,
            path=request.rel_url.raw_path[:200],
            status=response.status,
            seconds=round(time, 6),
            peer=request.remote,
            key=access.name if access else None,
            reason=request.get(REASON),
            request_id=request.get(REQUEST_ID),
        )
