"""Speaks HTTP to the service, as any sender does: patient with 503, clear about refusals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from os_credits.decode.remote_write_encode import encode_v1
from os_credits.demo.cast import Door
from os_credits.demo.cloud import Series
from os_credits.demo.lines import encode_lines
from os_credits.errors import InvalidInput, Unavailable

ATTEMPTS_MAX = 12
PAUSE_SECONDS_MIN = 0.25
PAUSE_SECONDS_MAX = 10.0
# A service that asks for a longer pause than this is asked again sooner.
RETRY_AFTER_SECONDS_MAX = 60.0
REQUEST_SECONDS_MAX = 30.0
_ANSWER_SHOWN_MAX = 300
_SUCCESS = range(200, 300)
_SERVER_TROUBLE = range(500, 600)

_REMOTE_WRITE_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_LINES_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}


def open_session(key: str) -> ClientSession:
    """Open a session that sends the API key with every request."""
    return ClientSession(
        cookie_jar=DummyCookieJar(),
        headers={"Authorization": f"Bearer {key}", "User-Agent": "os_credits-demo"},
        timeout=ClientTimeout(total=REQUEST_SECONDS_MAX),
    )


class Service:
    """The service under one address, by its doors and its JSON API."""

    def __init__(self, session: ClientSession, url: str, say: Callable[[str], None]) -> None:
        """Keep the session, the address without a slash at its end, and whom to tell."""
        self._session = session
        self._url = url.rstrip("/")
        self._say = say

    async def push(self, door: Door, series: list[Series]) -> None:
        """Hand in samples until they are acknowledged.

        Raises Unavailable after `ATTEMPTS_MAX` attempts, InvalidInput if they are refused.
        """
        if door is Door.REMOTE_WRITE:
            body, headers, path = encode_v1(series), _REMOTE_WRITE_HEADERS, "/api/v1/write"
        else:
            body, headers, path = encode_lines(series), _LINES_HEADERS, "/write?db=demo"
        await self._send("POST", path, data=body, headers=headers)

    async def get(self, path: str, **query: str) -> Any:
        """Read JSON; None where there is nothing (204, 404)."""
        return await self._send("GET", path, absent=(204, 404), params=query)

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        absent: tuple[int, ...] = (),
        **query: str,
    ) -> Any:
        """Send JSON and read the answer; None for a status of `absent`."""
        return await self._send(method, path, absent=absent, json=body, params=query)

    async def _send(
        self, method: str, path: str, *, absent: tuple[int, ...] = (), **request: Any
    ) -> Any:
        pause = PAUSE_SECONDS_MIN
        trouble = ""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            asked_pause = None
            try:
                async with self._session.request(
                    method, self._url + path, allow_redirects=False, **request
                ) as answer:
                    if answer.status in absent:
                        return None
                    if answer.status in _SUCCESS:
                        return await answer.json() if answer.content_type.endswith("json") else None
                    text = (await answer.text())[:_ANSWER_SHOWN_MAX]
                    trouble = f"{method} {path} was answered {answer.status}: {text}"
                    if answer.status not in _SERVER_TROUBLE:
                        raise InvalidInput(trouble)
                    asked_pause = _seconds(answer.headers.get("Retry-After"))
            except (ClientError, TimeoutError) as error:
                trouble = f"{method} {path}: {type(error).__name__} {error}".rstrip()
            if attempt == 1:
                self._say(f"the service is busy or away, trying again ({trouble})")
            if attempt < ATTEMPTS_MAX:
                await asyncio.sleep(asked_pause or pause * random.uniform(0.5, 1))
                pause = min(pause * 2, PAUSE_SECONDS_MAX)
        raise Unavailable(trouble)


def _seconds(retry_after: str | None) -> float | None:
    """Read whole seconds; a date or anything else counts as not said."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(float(retry_after), RETRY_AFTER_SECONDS_MAX)


def path_of(*parts: str) -> str:
    """Join parts to a path, each escaped."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
