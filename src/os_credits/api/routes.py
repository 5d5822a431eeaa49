"""Every HTTP route is declared once, at its handler: who may use it, what goes in and out.

    routes = Routes("Projects")

    @routes.add("GET", "/api/v1/meters", gate=Gate.READ, summary="All meters",
                answers={200: Answer("The meters", MeterList)})
    async def list_meters(request: web.Request, query: PageQuery) -> MeterList: ...

A parameter `query` or `body` of a handler is filled from its annotated pydantic model; what
does not fit is `InvalidInput` before the handler runs. A handler gives a response, or a model
that becomes JSON with status 200. The same declaration feeds the router (`register`), access
control (`route_of`) and the OpenAPI document (`openapi.py`), so that none of them can drift.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import BaseModel

from os_credits.api.reading import body_of, query_of
from os_credits.domain.text import legible_json

Handler = Callable[..., Awaitable[web.StreamResponse | BaseModel]]
HttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate(StrEnum):
    """Who may use a route; a setting can open INGEST, READ and COMPAT to named networks."""

    OPEN = "open"
    """Anyone: says nothing about any project."""
    INGEST = "ingest"
    """A key with the scope `ingest`, or `open_ingest_networks`."""
    READ = "read"
    """A key with the scope `read`, a person, or `open_read_networks`."""
    COMPAT = "compat"
    """As `READ`, or `open_compat_networks`: the de.NBI portal sends no key."""
    ADMIN = "admin"
    """A key with the scope `admin`, or an administrator, always."""
    MANAGE = "manage"
    """A key with the scope `admin`, or a person; the handler asks whether this one manages what
    the path names (`names.managed_project`)."""
    PERSON = "person"
    """A person who has logged in; no key."""
    VISITOR = "visitor"
    """Anyone; the handler learns who has logged in. Says nothing about any project."""


# What a browser could be made to send from a foreign page must say that it is JSON there.
CHANGING = (Gate.ADMIN, Gate.MANAGE, Gate.PERSON)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one status means, and the model (or bare type) of its body; None: no body.

    Without a model a `media_type` other than JSON says that there is text. `also` names
    further media types that the body may have.
    """

    meaning: str
    model: Any = None
    media_type: str = "application/json"
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path, as the router, access control and the document need it.

    `raw_body` names the media types of a body that the handler reads by itself. A page answers
    errors as a page, and asks who is not logged in to do so; `is_page_too` says that browsers
    get a page there and machines JSON.
    """

    method: str
    path: str
    handler: HttpHandler
    tag: str
    gate: Gate
    summary: str
    description: str
    query: type[BaseModel] | None
    body: Any
    raw_body: tuple[str, ...]
    answers: Mapping[int, Answer]
    is_page: bool = False
    is_page_too: bool = False

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Name the variable parts of the path, in their order."""
        return tuple(re.findall(r"{(\w+)", self.path))

    @property
    def operation_id(self) -> str:
        """Give the name by which generated clients call this route."""
        words = re.findall(r"[a-z0-9_]+", self.path)
        return "_".join([self.method.lower(), *words])


def json_response(model: BaseModel, *, status: int = 200) -> web.Response:
    """Write a model as JSON, with the status given."""
    text = legible_json(model.model_dump_json(by_alias=True))
    return web.Response(text=text, status=status, content_type="application/json")


def plain_json(value: object) -> str:
    """Write plain values as JSON, for `web.json_response`."""
    return legible_json(json.dumps(value))


@dataclass(slots=True)
class Routes:
    """The routes of one module, under one heading of the document."""

    tag: str
    _routes: list[Route] = field(default_factory=list)

    def __iter__(self) -> Iterator[Route]:
        """Go through the routes in the order of their declaration."""
        return iter(self._routes)

    def add(
        self,
        method: str,
        path: str,
        *,
        gate: Gate,
        summary: str,
        answers: Mapping[int, Answer],
        raw_body: tuple[str, ...] = (),
        is_page: bool = False,
        is_page_too: bool = False,
    ) -> Callable[[Handler], HttpHandler]:
        """Declare the decorated function as the handler of this method and path.

        Pages read their queries and forms by themselves.
        """

        def declare(handler: Handler) -> HttpHandler:
            hints = {} if is_page else get_type_hints(handler)
            query, body = hints.get("query"), hints.get("body")
            served = _serve(handler, query, body, any_type=gate not in CHANGING)
            self._routes.append(
                Route(
                    method=method,
                    path=path,
                    handler=served,
                    tag=self.tag,
                    gate=gate,
                    summary=summary,
                    description=_prose(handler.__doc__),
                    query=query,
                    body=body,
                    raw_body=raw_body,
                    answers=answers,
                    is_page=is_page,
                    is_page_too=is_page_too,
                )
            )
            return served

        return declare


def _serve(
    handler: Handler, query: type[BaseModel] | None, body: Any, *, any_type: bool
) -> HttpHandler:
    @functools.wraps(handler)
    async def serve(request: web.Request) -> web.StreamResponse:
        arguments: dict[str, Any] = {}
        if query is not None:
            arguments["query"] = query_of(request, query)
        if body is not None:
            arguments["body"] = await body_of(request, body, any_type=any_type)
        answer = await handler(request, **arguments)
        return json_response(answer) if isinstance(answer, BaseModel) else answer

    return serve


def _prose(docstring: str | None) -> str:
    return "\n".join(line.strip() for line in (docstring or "").strip().splitlines())


_ROUTE = web.AppKey("route_of_handler", dict[tuple[str, str], Route])
ALL_ROUTES = web.AppKey("all_routes", tuple[Route, ...])


def register(application: web.Application, groups: Iterable[Routes]) -> None:
    """Add all declared routes to the router, and keep their declarations for later."""
    declared = tuple(route for group in groups for route in group)
    for route in declared:
        # Without a pattern of its own a part would end at a brace, which names may hold.
        path = re.sub(r"{(\w+)}", r"{\1:[^/]+}", route.path)
        if route.method == "GET":
            application.router.add_get(path, route.handler)
        else:
            application.router.add_route(route.method, path, route.handler)
    application[ALL_ROUTES] = declared
    application[_ROUTE] = {(route.method, route.path): route for route in declared}


def route_of(request: web.Request) -> Route | None:
    """Find the declaration of the route that a request has reached; HEAD counts as GET."""
    resource = request.match_info.route.resource
    if resource is None:
        return None
    method = "GET" if request.method == "HEAD" else request.method
    return request.app[_ROUTE].get((method, resource.canonical))
