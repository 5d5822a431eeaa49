"""The OpenAPI 3.1 document, made of the routes' own declarations, and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from apispec import APISpec
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from os_credits import __version__
from os_credits.api.context import context_of
from os_credits.api.routes import ALL_ROUTES, CHANGING, Answer, Gate, Route, Routes
from os_credits.api.shapes import ConflictShape, ErrorShape
from os_credits.domain.visit import SESSION_COOKIE

REFERENCE = "#/components/schemas/{model}"
_DESCRIPTION = """\
Credits and quantities are texts, since most programs read a JSON number as a float; times are
UTC. A project in a path is its name, the cloud's own id of it, or `#` and our number; quote a
slash as `%2F`. Errors are `{"error": code, "message": text}`.
"""
_PATH_PARAMETERS = {
    "project": "The project's name, the cloud's id of it, or # and our number of it",
    "project_name": "The project's name",
    "key_id": "The key's number",
    "login_id": "The login's number",
    "session_id": "The session's number",
    "email": "A mail address, in any case",
    "organisation": "The organisation's name, or # and our number of it",
    "budget": "The budget's number (`id`)",
    "entry_id": "The entry's number (`id`)",
}
_SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key; InfluxDB's scheme `Token` is taken as well.",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Any user name, the API key as password.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": (
            "The session of a person who has logged in; what changes something also needs its "
            "token in the header X-CSRF-Token (GET /api/v1/session gives it)."
        ),
    },
}
_GATES = {
    Gate.OPEN: "Needs no key.",
    Gate.INGEST: "Needs a key with the scope `ingest`, or `OS_CREDITS_OPEN_INGEST_NETWORKS`.",
    Gate.READ: "Needs a key with the scope `read`, or `OS_CREDITS_OPEN_READ_NETWORKS`.",
    Gate.COMPAT: "Needs a key with the scope `read`, or `OS_CREDITS_OPEN_COMPAT_NETWORKS`.",
    Gate.ADMIN: "Needs a key with the scope `admin`, or an administrator's session.",
    Gate.MANAGE: (
        "Needs a key with the scope `admin`, or the session of somebody who manages what the "
        "path names."
    ),
    Gate.PERSON: "Needs a person's session; no key does.",
    Gate.VISITOR: "Needs no key.",
}
# What a page may answer instead of what was asked for: pages too, but for the way elsewhere.
_PAGE_ANSWERS = {
    303: Answer("Go there: to log in, or to what came of a form"),
    404: Answer(
        "There is no such thing, or none that the visitor may see; in JSON where no page fits",
        media_type="text/html",
        also=("application/json",),
    ),
    **{
        status: Answer(meaning, media_type="text/html")
        for status, meaning in (
            (400, "What was sent is wrong; the page names the place"),
            (401, "A key was sent that is not known"),
            (403, "The visitor lacks the right, or the form does not come from a page of ours"),
            (409, "Several have this name, or it cannot be done as things are"),
            (413, "The form is too large"),
            (415, "The form is not sent as one"),
            (422, "The form holds a mistake; it comes back with what was filled in"),
            (429, "Too many attempts; try again after Retry-After"),
            (503, "Passing trouble; try again after Retry-After"),
        )
    },
}
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>os_credits API</title>
<link rel="stylesheet" href="../static/vendor/swagger-ui/swagger-ui.css">
<link rel="stylesheet" href="../static/doc/page.css">
<script src="../static/vendor/swagger-ui/swagger-ui-bundle.js" defer></script>
<script src="../static/doc/start.js" defer></script>
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the document itself is <a href="../openapi.json">here</a>.
</noscript>
</body>
</html>
"""
# Swagger UI sets styles on elements and draws its icons by data: URLs; nothing leaves the site.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

routes = Routes("Documentation")


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas without the titles that it makes up of the fields' names."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - its signature
        """Never add a title to a field."""
        return False


@dataclass(slots=True)
class _Text:
    """The document as text: making it takes a tenth of a second, and anyone may ask for it."""

    _declared: tuple[Route, ...] = ()
    _public_url: str = ""
    _text: str = ""

    def of(self, declared: tuple[Route, ...], public_url: str) -> str:
        """Give the document of these routes, made anew only if they are not those of before."""
        if declared is not self._declared or public_url != self._public_url:
            self._text = json.dumps(document_of(declared, public_url=public_url))
            self._declared, self._public_url = declared, public_url
        return self._text


_text = _Text()


@routes.add(
    "GET",
    "/openapi.json",
    gate=Gate.OPEN,
    summary="This document",
    answers={200: Answer("OpenAPI 3.1", dict[str, Any])},
)
async def openapi_json(request: web.Request) -> web.Response:
    """Give what the router and access control work by."""
    text = _text.of(request.app[ALL_ROUTES], context_of(request).public_url)
    return web.Response(text=text, content_type="application/json")


@routes.add(
    "GET",
    "/api/doc",
    gate=Gate.OPEN,
    summary="This document as a page (Swagger UI)",
    answers={200: Answer("The page", media_type="text/html")},
)
async def doc_page(_request: web.Request) -> web.Response:
    """Show Swagger UI; all files come from this service."""
    return web.Response(text=_PAGE, content_type="text/html", headers=_PAGE_HEADERS)


def document_of(declared: Iterable[Route], *, public_url: str = "") -> dict[str, Any]:
    """Make the OpenAPI document of these routes; files of pages are left out."""
    spec = APISpec(
        title="os_credits",
        version=__version__,
        openapi_version="3.1.0",
        info={
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        servers=[{"url": public_url.rstrip("/") or "/"}],
    )
    for name, scheme in _SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    shown = [route for route in declared if not route.path.startswith("/static/")]
    schemas = _Components(spec, shown)
    for route in shown:
        operation = _operation(route, schemas)
        spec.path(path=route.path, operations={route.method.lower(): operation})
    return spec.to_dict()


class _Components:
    """The schemas of all models; the document keeps each named one once."""

    def __init__(self, spec: APISpec, shown: Iterable[Route]) -> None:
        used = dict.fromkeys(model for route in shown for model in _models_of(route))
        self._schemas, components = TypeAdapter.json_schemas(
            [(model, mode, TypeAdapter(model)) for model, mode in used],
            ref_template=REFERENCE,
            schema_generator=_Schemas,
        )
        for name, schema in sorted(components.get("$defs", {}).items()):
            spec.components.schema(name, schema)

    def of(self, model: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """Give the schema of a model, mostly a reference."""
        return self._schemas[model, mode]


def _models_of(route: Route) -> Iterator[tuple[Any, JsonSchemaMode]]:
    if route.body is not None:
        yield route.body, "validation"
    for answer in _answers(route).values():
        if answer.model is not None:
            yield answer.model, "serialization"


def _answers(route: Route) -> dict[int, Answer]:
    """Give a route's own answers, and those that every route of its kind can give."""
    if route.is_page:
        of_pages = dict(_PAGE_ANSWERS)
        if route.gate is Gate.VISITOR:
            del of_pages[401]
        return dict(sorted((of_pages | dict(route.answers)).items()))
    usual = {}
    if route.query is not None or route.body is not None:
        usual[400] = Answer("What was sent is wrong; the message names the place", ErrorShape)
    if route.gate not in (Gate.OPEN, Gate.VISITOR):
        usual[401] = Answer("No key was sent, or one that is not known; no session", ErrorShape)
        usual[403] = Answer("The key lacks the scope, the person the right", ErrorShape)
    if route.gate is not Gate.OPEN:
        usual[503] = Answer("Passing trouble; try again after Retry-After", ErrorShape)
    if {"project", "project_name"} & set(route.path_parameters):
        usual[409] = Answer("Several projects have this name", ConflictShape)
    if route.body is not None:
        usual[413] = Answer("The body is too large", ErrorShape)
    if route.body is not None and route.gate in CHANGING:
        usual[415] = Answer("The body is not declared as JSON", ErrorShape)
    return dict(sorted((usual | dict(route.answers)).items()))


def _operation(route: Route, schemas: _Components) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "tags": [route.tag],
        "summary": route.summary,
        "description": f"{route.description}\n\n{_GATES[route.gate]}".strip(),
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {
            str(status): _response(answer, schemas) for status, answer in _answers(route).items()
        },
        "security": [{name: []} for name in _security_of(route)],
    }
    if route.body is not None:
        content = {"application/json": {"schema": schemas.of(route.body, "validation")}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.raw_body:
        operation["requestBody"] = {
            "required": True,
            "content": {media_type: {} for media_type in route.raw_body},
        }
    return operation


def _security_of(route: Route) -> list[str]:
    match route.gate:
        case Gate.OPEN | Gate.VISITOR:
            return []
        case Gate.PERSON:
            return ["session"]
        case Gate.INGEST:
            return [name for name in _SECURITY_SCHEMES if name != "session"]
    return list(_SECURITY_SCHEMES)


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PARAMETERS.get(name, ""),
            "schema": {"type": "string"},
        }
        for name in route.path_parameters
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    whole = route.query.model_json_schema(schema_generator=_Schemas)
    parameters = []
    for name, schema in whole["properties"].items():
        described = _inlined(_without_null(schema), whole.get("$defs", {}))
        parameter = {
            "name": name,
            "in": "query",
            "required": name in whole.get("required", ()),
            "schema": described,
        }
        if "description" in described:
            parameter["description"] = described.pop("description")
        parameters.append(parameter)
    return parameters


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put what a query's schema refers to, an enumeration, in its place."""
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    name = schema.get("$ref", "").rpartition("/")[2]
    return {**definitions[name], **rest} if name else rest


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave null out: a query can only name a parameter or not."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if "default" in rest and rest["default"] is None:
        del rest["default"]
    return {**kinds[0], **rest} if len(kinds) == 1 else {**schema, **rest}


def _response(answer: Answer, schemas: _Components) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.meaning}
    content: dict[str, Any] = {media_type: {} for media_type in answer.also}
    if answer.model is not None:
        content[answer.media_type] = {"schema": schemas.of(answer.model, "serialization")}
    elif answer.media_type != "application/json":
        content[answer.media_type] = {"schema": {"type": "string"}}
    if content:
        response["content"] = dict(sorted(content.items()))
    return response
