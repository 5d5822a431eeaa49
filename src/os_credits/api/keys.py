"""API keys: made, listed, revoked."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.context import context_of
from os_credits.api.names import id_of
from os_credits.api.reading import Line
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ErrorShape, KeyList, KeyShape, NewKey
from os_credits.domain.access import Scope
from os_credits.flows.keys import (
    LIMITS_MAX,
    NAME_LENGTH_MAX,
    KeyRequest,
    create_key,
    list_keys,
    revoke_key,
)

routes = Routes("API keys")

Limit = Annotated[
    tuple[Annotated[Line, Field(min_length=1)], ...], Field(min_length=1, max_length=LIMITS_MAX)
]


class KeyWish(BaseModel):
    """What a new key shall be for."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(min_length=1, max_length=NAME_LENGTH_MAX)] = Field(
        description="Whose key it is; shown as the author of what is done with it"
    )
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    projects: Limit | None = Field(None, description="What `read` is limited to: names or ids")
    sites: Limit | None = Field(None, description="What `ingest` is limited to")
    meters: Limit | None = Field(None, description="What `ingest` is limited to")


@routes.add(
    "GET",
    "/api/v1/keys",
    gate=Gate.ADMIN,
    summary="All keys, without the keys themselves",
    answers={200: Answer("Keys, revoked ones too", KeyList)},
)
async def read_keys(request: web.Request) -> KeyList:
    """Only a hash of each key is stored."""
    stored = await list_keys(context_of(request).pool)
    return KeyList(keys=[KeyShape.model_validate(one) for one in stored])


@routes.add(
    "POST",
    "/api/v1/keys",
    gate=Gate.ADMIN,
    summary="Make a key",
    answers={
        201: Answer("The key, shown this once", NewKey),
        409: Answer("A project's name that could mean several", ConflictShape),
    },
)
async def add_key(request: web.Request, body: KeyWish) -> web.Response:
    """Keep what comes back: nobody can read the key again."""
    wish = KeyRequest(body.name, body.scopes, body.projects, body.sites, body.meters)
    record, key = await create_key(context_of(request).pool, wish)
    shown = KeyShape.model_validate(record)
    response = json_response(NewKey(**shown.model_dump(), key=key), status=201)
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.add(
    "DELETE",
    "/api/v1/keys/{key_id}",
    gate=Gate.ADMIN,
    summary="Revoke a key",
    answers={
        200: Answer("It is refused within seconds", KeyShape),
        404: Answer("There is no such key", ErrorShape),
    },
)
async def delete_key(request: web.Request) -> KeyShape:
    """Refuse a key from now on; a second time changes nothing, and it stays listed."""
    context = context_of(request)
    record = await revoke_key(context.pool, id_of(request, "key_id", what="key"))
    context.keys.forget()
    return KeyShape.model_validate(record)
