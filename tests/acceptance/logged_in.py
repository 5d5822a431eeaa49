"""People who have logged in, for tests: a session is put into the database, as logging in does."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import psycopg

from os_credits.domain.login import csrf_of, token_digest
from os_credits.domain.visit import SESSION_COOKIE
from tests.acceptance.conftest import Service


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has logged in to a service."""

    service: Service
    email: str
    token: str

    @property
    def csrf(self) -> str:
        """Give what every form of this session carries."""
        return csrf_of(self.token)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> "aiohttp.client._RequestContextManager":
        """Ask as this person's browser or script would, without following redirects."""
        sent = {"Cookie": f"{SESSION_COOKIE}={self.token}", "X-CSRF-Token": self.csrf}
        more.setdefault("allow_redirects", False)
        return self.service.session.request(
            method, self.service.url + path, headers={**sent, **(headers or {})}, **more
        )

    async def get(self, path: str) -> tuple[int, str]:
        """Look at a page; gives its status and text."""
        async with self.request("GET", path, headers={"Accept": "text/html"}) as response:
            return response.status, await response.text()

    async def post(self, path: str, **fields: Any) -> tuple[int, str]:
        """Send a form; gives the status, and the address to go on to or else the page."""
        form = {"csrf": self.csrf, **fields}
        headers = {"X-CSRF-Token": "", "Accept": "text/html"}
        async with self.request("POST", path, headers=headers, data=form) as response:
            target = response.headers.get("Location")
            return response.status, target or await response.text()


def visitor(
    service: Service, email: str, *, name: str = "", is_administrator: bool = False
) -> Visitor:
    """Let somebody be logged in; the login is made if there is none of this address."""
    token = secrets.token_urlsafe(32)
    with psycopg.connect(service.settings.database_url) as conn:
        conn.execute(
            "INSERT INTO login (email, name, is_administrator) VALUES (%s, %s, %s)"
            ' ON CONFLICT (lower(email COLLATE "C")) DO NOTHING',
            [email, name, is_administrator],
        )
        conn.execute(
            "INSERT INTO session (login_id, digest, expires_at)"
            " SELECT id, %s, now() + interval '1 hour' FROM login WHERE email = %s",
            [token_digest(token), email],
        )
    return Visitor(service, email, token)
