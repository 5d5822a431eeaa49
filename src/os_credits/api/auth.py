"""Who asks, and whether they may: every route declares its gate, none is open by accident.

A key comes as `Authorization: Bearer KEY`, `X-API-Key: KEY`, the password of Basic, or
InfluxDB's `Token KEY` and `Token USER:KEY`; never in the URL, where logs would keep it. A person
who has logged in brings the session's cookie; a request that brings a key is judged by it alone.
A key or session that cannot be looked up is passing trouble (503), never a refusal.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from os_credits.api.context import ACCESS, VISIT, Context, Network, OpenNetworks, context_of
from os_credits.api.forgery import refuse_forgery
from os_credits.api.forwarded import Arrival, arrival_of
from os_credits.api.routes import ALL_ROUTES, Gate, HttpHandler, Route, route_of
from os_credits.domain.access import Access, Scope
from os_credits.domain.login import csrf_of
from os_credits.domain.project import Project
from os_credits.domain.visit import SESSION_COOKIE, Visit
from os_credits.errors import Forbidden, Misconfigured, Unauthenticated, Unavailable
from os_credits.store.actor import ACTOR, Actor

_SCOPE = {
    Gate.INGEST: Scope.INGEST,
    Gate.READ: Scope.READ,
    Gate.COMPAT: Scope.READ,
    Gate.ADMIN: Scope.ADMIN,
    Gate.MANAGE: Scope.ADMIN,
}
# To whom a session opens the door; whether a person manages what it names, the handler asks.
_FOR_PEOPLE = (Gate.READ, Gate.COMPAT, Gate.ADMIN, Gate.MANAGE, Gate.PERSON, Gate.VISITOR)
_SAFE_METHODS = ("GET", "HEAD")
_ANYBODY = Access("anybody", frozenset())


def refuse_undeclared(app: web.Application) -> None:
    """Raise Misconfigured if the router has a route that `routes.register` has not declared."""
    declared = {(route.method, route.path) for route in app[ALL_ROUTES]}
    for route in app.router.routes():
        method = "GET" if route.method == "HEAD" else route.method
        path = route.resource.canonical if route.resource is not None else ""
        if (method, path) not in declared:
            raise Misconfigured(f"the route {route.method} {path} declares no gate")


def access_of(request: web.Request) -> Access:
    """Give what the caller of this request may do."""
    return request[ACCESS]


def visit_of(request: web.Request) -> Visit:
    """Give who visits, and how the request came."""
    return request[VISIT]


def may_read(access: Access, project: Project) -> bool:
    """Tell whether a project may be seen; what may not be seen is answered as unknown (404)."""
    if not access.has(Scope.READ):
        return False
    if access.projects is None:
        return True
    # A key's limit that begins with # is a number of ours: no sender gets in by such a name.
    names = {name for name in (project.external_id, project.name) if not name.startswith("#")}
    return not access.projects.isdisjoint({f"#{project.id}", *names} - {""})


def sent_key(headers: Mapping[str, str]) -> str | None:
    """Find the API key in a request's headers, in any of the forms that senders use."""
    scheme, _, credentials = headers.get("Authorization", "").strip().partition(" ")
    credentials = credentials.strip()
    match scheme.lower():
        case "bearer":
            return credentials or None
        case "token":
            return credentials.rpartition(":")[2] or None
        case "basic":
            return _basic_password(credentials)
    return headers.get("X-API-Key", "").strip() or None


def _basic_password(credentials: str) -> str | None:
    try:
        user_and_password = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return user_and_password.partition(":")[2] or None


def _open_networks(gate: Gate, networks: OpenNetworks) -> tuple[Network, ...]:
    match gate:
        case Gate.INGEST:
            return networks.ingest
        case Gate.READ:
            return networks.read
        case Gate.COMPAT:
            return networks.read + networks.compat
    return ()


async def _judge(request: web.Request, context: Context, gate: Gate, arrival: Arrival) -> Visit:
    visit = visitor_at(request)
    if gate is Gate.OPEN:
        return visit
    if context.start.problem is not None:
        raise Unavailable(context.start.problem)
    key = sent_key(request.headers)
    if key is not None and gate is not Gate.PERSON:
        return replace(visit, access=await _access_of_key(context, gate, key, arrival))
    person = await _person(request, context, visit) if gate in _FOR_PEOPLE else None
    if person is not None:
        return _let_in(person, gate)
    if gate is Gate.VISITOR:
        return visit
    if arrival.is_in(_open_networks(gate, context.networks)):
        return replace(visit, access=Access("open network", frozenset({_SCOPE[gate]})))
    if gate is Gate.PERSON:
        raise Unauthenticated("log in first: this is for people, not for keys")
    raise Unauthenticated("send an API key, as Authorization: Bearer or X-API-Key")


def _let_in(person: Visit, gate: Gate) -> Visit:
    if gate is Gate.ADMIN and not person.access.has(Scope.ADMIN):
        raise Forbidden("this is for administrators")
    return person


async def _access_of_key(context: Context, gate: Gate, key: str, arrival: Arrival) -> Access:
    if gate is Gate.VISITOR:
        return _ANYBODY
    scope = _SCOPE[gate]
    access = await context.keys.find(context.pool, key)
    if access is not None and access.has(scope):
        return access
    if arrival.is_in(_open_networks(gate, context.networks)):
        return Access("open network", frozenset({scope}))
    if access is None:
        raise Unauthenticated("this API key is not known, or it was revoked")
    raise Forbidden(f"this API key lacks the scope {scope.value}")


async def _person(request: web.Request, context: Context, visit: Visit) -> Visit | None:
    """Find the session that the request's cookie names, if it still lasts."""
    token = request.cookies.get(SESSION_COOKIE, "")
    session = await context.sessions.find(context.pool, token) if token else None
    if session is None:
        return None
    return replace(
        visit,
        access=session.access,
        token=token,
        csrf=csrf_of(token),
        session_id=session.id,
        name=session.login.name or session.login.email,
        language=session.login.language,
    )


async def _recognise(request: web.Request) -> None:
    """Say on the page of an unknown address who is logged in; it lets nobody in."""
    context = context_of(request)
    if SESSION_COOKIE in request.cookies and context.start.problem is None:
        person = await _person(request, context, visitor_at(request))
        if person is not None:
            request[VISIT] = person


def visitor_at(request: web.Request) -> Visit:
    """Describe the visit of whoever was not let in, or not yet."""
    arrival = arrival_of(request, context_of(request).arrivals)
    return Visit(_ANYBODY, arrival.address, arrival.base, arrival.is_secure)


@web.middleware
async def require_access(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
    """Let a request pass only if it meets the gate of its route."""
    route = route_of(request)
    if route is None:
        if request.match_info.http_exception is None:
            raise Forbidden("this route declares no gate")
        await _recognise(request)
        return await handler(request)
    context = context_of(request)
    arrival = arrival_of(request, context.arrivals)
    visit = await _judge(request, context, route.gate, arrival)
    request[ACCESS], request[VISIT] = visit.access, visit
    if request.method in _SAFE_METHODS or route.gate is Gate.INGEST:
        # Pushes decide nothing that the audit log knows, and no browser sends them by itself.
        return await handler(request)
    await refuse_forgery(request, route, arrival)
    # One connection's requests share a context: the next one must not act in this one's name.
    token = ACTOR.set(_actor(visit, route))
    try:
        return await handler(request)
    finally:
        ACTOR.reset(token)


def _actor(visit: Visit, route: Route) -> Actor:
    access = visit.access
    return Actor(access.name, "page" if route.is_page else "api", access.login_id)
