"""What is remembered of a service whose every stored text was made to act."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from yarl import URL

from tests.acceptance.conftest import Service


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to one request; `route` is as the document has it, `kind` the payload's."""

    route: str
    kind: str
    status: int
    headers: tuple[tuple[str, str], ...]
    text: str

    @property
    def media_type(self) -> str:
        """Name what the body is."""
        return dict(self.headers).get("Content-Type", "").partition(";")[0]


@dataclass(slots=True)
class Scene:
    """Everything that a reader could see; `start` is the hour in which all was used."""

    url: str
    start: datetime
    meter_file: Path
    numbers: dict[str, int] = field(default_factory=dict)
    organisations: dict[str, int] = field(default_factory=dict)
    logins: dict[str, int] = field(default_factory=dict)
    grants: dict[str, int] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    refusals: list[Answer] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))


async def ask(
    scene: Scene,
    service: Service,
    path: str,
    kind: str,
    *,
    method: str = "GET",
    key: str,
    route: str = "",
    **more: Any,
) -> Answer:
    """Ask with a key of a scope, or a key itself; the path is sent as it is."""
    async with (
        scene.at_once,
        service.session.request(
            method,
            URL(service.url + path, encoded=True),
            headers={
                **more.pop("headers", {}),
                "Authorization": f"Bearer {service.keys.get(key, key)}",
            },
            **more,
        ) as response,
    ):
        headers = tuple(response.headers.items())
        body = await response.read()
        return Answer(route or path, kind, response.status, headers, body.decode())
