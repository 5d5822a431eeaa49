"""Asks a portal how many credits a project is granted: the contract of the de.NBI portal.

`GET {base}/secure/granted-credits/?project_name=p` with the header `X-Api-Key` is answered by
one plain number. The text becomes a Decimal directly; what is no such number is an error, never
a 0: an answer of 0 takes credits away.
"""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

import aiohttp

from os_credits.domain.amount import CREDITS_MAX, Credits, divide_half_even, from_micro
from os_credits.errors import PortalSilent

if TYPE_CHECKING:
    from types import TracebackType

PATH = "/secure/granted-credits/"
# A number has far fewer; what is longer is a page of something.
ANSWER_BYTES_MAX = 100
SHOWN_MAX = 40
TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 4
# Digits before and after the point, and of an exponent: bounds for the arithmetic.
_NUMBER = re.compile(r"\d{1,30}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)
# The portal answers, but not about this project: others may fare better.
_OF_ONE_PROJECT = (400, 404, 410, 422)


class Portal:
    """Asks one portal over connections of its own; an asynchronous context."""

    def __init__(
        self, base_url: str, key: str, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """Take where it is and its key; blank: none is sent."""
        self._url = base_url.rstrip("/") + PATH
        self._headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if key:
            self._headers["X-Api-Key"] = key
        self.timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open nothing yet: connections come with the first question."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def granted(self, project_name: str) -> Credits:
        """Ask what a project is granted in all, in credits; raises PortalSilent."""
        assert self._session is not None  # noqa: S101 - used as a context
        try:
            async with self._session.get(
                self._url,
                params={"project_name": project_name},
                headers=self._headers,
                allow_redirects=False,
            ) as response:
                _check_status(response.status)
                return number_in(await _read(response))
        except TimeoutError as error:
            message = f"no answer within {self.timeout_seconds:g} s"
            raise PortalSilent(message, of_all=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise PortalSilent(f"cannot be asked: {_reason(error)}", of_all=True) from error


def _check_status(status: int) -> None:
    if status in _OF_ONE_PROJECT:
        raise PortalSilent(f"does not know the project (status {status})", of_all=False)
    if status != HTTPStatus.OK:
        raise PortalSilent(f"answered with status {status}", of_all=True)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a short body to its end; what is longer is not read."""
    try:
        return await response.content.readexactly(ANSWER_BYTES_MAX + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial


def number_in(body: bytes) -> Credits:
    """Read the one number of an answer, rounded half even to six digits; raises PortalSilent.

    A portal that calculates in floats may send more digits than a credit has.
    """
    text = body.decode("ascii", "replace").strip()
    if len(body) > ANSWER_BYTES_MAX or not _NUMBER.fullmatch(text):
        raise PortalSilent(f"answered no number, but {text[:SHOWN_MAX]!r}", of_all=False)
    number = Decimal(text)
    if number >= CREDITS_MAX:
        raise PortalSilent("answered a number beyond 10^18", of_all=False)
    numerator, denominator = number.as_integer_ratio()
    return from_micro(divide_half_even(numerator * 10**6, denominator))


def _reason(error: Exception) -> str:
    """Say what went wrong on the way, without the address that was asked: it names a project."""
    cause = getattr(error, "os_error", None) or error
    return f"{type(cause).__name__}: {getattr(cause, 'strerror', None) or cause}"[:200]
