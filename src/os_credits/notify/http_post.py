"""Posts a body to a URL of the operator's, and gives what came back as a status."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from os_credits.errors import MailDelayed

if TYPE_CHECKING:
    from collections.abc import Mapping

# As much of an answer as is looked at; the rest is not read.
ANSWER_BYTES_MAX = 500


async def post(
    url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float
) -> tuple[int, str]:
    """Post once, on a connection of its own, and give the status and the answer's beginning.

    No redirect is followed. Raises MailDelayed where there was no answer in time; its text
    does not hold the URL, which may be a secret.
    """
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            start = await response.content.read(ANSWER_BYTES_MAX)
            return response.status, start.decode("utf-8", "replace")
    except TimeoutError:
        raise MailDelayed(f"no answer within {timeout_seconds:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise MailDelayed(_told(error)) from error


def _told(error: Exception) -> str:
    """Name the trouble without the URL."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else ""
    return f"{type(error).__name__}{reason and ': '}{reason}"
