"""People who ask a running service by the session that they logged in to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from os_credits.domain.visit import SESSION_COOKIE
from tests.acceptance.documented import Documented, Reply

PASSWORD = "a lake of violins"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a session's cookie, who brings its token along where that is needed."""

    client: Documented
    cookie: str
    csrf: str

    async def ask(self, method: str, path: str, *, headers: Any = None, **more: Any) -> Reply:
        """Ask for something by the session."""
        brought = {"Cookie": f"{SESSION_COOKIE}={self.cookie}"}
        if method != "GET":
            brought["X-CSRF-Token"] = self.csrf
        sent = {name: one for name, one in {**brought, **(headers or {})}.items() if one}
        return await self.client.ask(method, path, key=None, headers=sent, **more)

    async def get(self, path: str, **more: Any) -> Any:
        """Ask for something that must be there, and give its JSON."""
        reply = await self.ask("GET", path, **more)
        assert reply.status == 200, reply.text
        return reply.json

    async def at(self, other: Documented) -> Person:
        """Give the same person at another copy of the service."""
        return Person(other, self.cookie, self.csrf)


async def invited(client: Documented, email: str, **more: Any) -> tuple[int, str]:
    """Let an administrator's key invite somebody; gives the login and the link's token."""
    reply = await client.ask(
        "POST", "/api/v1/logins", key="admin", json={"email": email, "by_mail": False, **more}
    )
    assert reply.status in (200, 201), reply.text
    return reply.json["login"]["id"], reply.json["invitation"]["link"].rpartition("/")[2]


async def log_in(client: Documented, email: str, password: str = PASSWORD) -> Reply:
    """Try to log in."""
    body = {"email": email, "password": password}
    return await client.ask("POST", "/api/v1/session", key=None, json=body)


async def person(client: Documented, email: str, **more: Any) -> Person:
    """Invite somebody, let the password be chosen, and log in."""
    _, token = await invited(client, email, **more)
    body = {"token": token, "password": PASSWORD}
    chosen = await client.ask("POST", "/api/v1/passwords", key=None, json=body)
    assert chosen.status == 200, chosen.text
    reply = await log_in(client, email)
    assert reply.status == 200, reply.text
    return Person(client, cookie_of(reply), reply.json["csrf"])


def cookie_of(reply: Reply) -> str:
    """Give the session's token from the cookie that an answer sets."""
    first = reply.headers["Set-Cookie"].partition(";")[0]
    name, _, value = first.partition("=")
    assert name == SESSION_COOKIE
    return value
