"""A client that checks every JSON answer against the service's own OpenAPI document."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from openapi_schema_validator import OAS31Validator

from tests.acceptance.conftest import Service


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, the headers, and the body as JSON (None if it is empty)."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Read the body."""
        return json.loads(self.text) if self.text else None


class Documented:
    """Asks one running service."""

    def __init__(self, service: Service, document: dict[str, Any]) -> None:
        self.service = service
        self.document = document

    @cached_property
    def _paths(self) -> list[tuple[re.Pattern[str], str]]:
        """Give a pattern for each documented path, the ones without variables first."""
        paths = sorted(self.document["paths"], key=lambda path: path.count("{"))
        return [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), path) for path in paths]

    async def ask(self, method: str, path: str, *, key: str | None = "read", **more: Any) -> Reply:
        """Ask with a key of this scope and check the answer against the document."""
        async with self.service.request(method, path, key=key, **more) as response:
            reply = Reply(response.status, dict(response.headers), await response.text())
        self._check(method, path.partition("?")[0], reply)
        return reply

    async def get(self, path: str, *, key: str | None = "read", **more: Any) -> Any:
        """Ask for something that must be there, and give its JSON."""
        reply = await self.ask("GET", path, key=key, **more)
        assert reply.status == 200, reply.text
        return reply.json

    def _check(self, method: str, path: str, reply: Reply) -> None:
        documented = next(name for pattern, name in self._paths if pattern.fullmatch(path))
        answers = self.document["paths"][documented][method.lower()]["responses"]
        assert str(reply.status) in answers, f"{method} {path}: {reply.status} {reply.text}"
        content = answers[str(reply.status)].get("content", {})
        media_type = reply.headers.get("Content-Type", "").partition(";")[0]
        if reply.text:
            assert media_type in content, f"{method} {path}: {media_type} is not documented"
        schema = content.get("application/json", {}).get("schema")
        if schema is not None and media_type == "application/json":
            whole = {**schema, "components": self.document["components"]}
            OAS31Validator(whole).validate(reply.json)


async def documented(service: Service) -> Documented:
    """Read the document of a service, and ask it from then on."""
    async with service.request("GET", "/openapi.json") as response:
        assert response.status == 200
        return Documented(service, await response.json())
