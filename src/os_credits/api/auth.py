"""Who asks, and whether they may: every route declares its gate, none is open by accident.

A key comes as `Authorization: Bearer KEY`, `X-API-Key: KEY`, the password of Basic, or
InfluxDB's `Token KEY` and `Token USER:KEY`; never in the URL, where logs would keep it.
A key store that cannot be read is passing trouble (503), never a refusal.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

from aiohttp import web

from os_credits.api.context import ACCESS, Context, Network, OpenNetworks, context_of
from os_credits.api.routes import ALL_ROUTES, Gate, HttpHandler, route_of
from os_credits.domain.access import Access, Scope
from os_credits.domain.project import Project
from os_credits.errors import Forbidden, Misconfigured, Unauthenticated, Unavailable

_SCOPE = {
    Gate.INGEST: Scope.INGEST,
    Gate.READ: Scope.READ,
    Gate.COMPAT: Scope.READ,
    Gate.ADMIN: Scope.ADMIN,
}
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


def _peer_is_in(request: web.Request, networks: tuple[Network, ...]) -> bool:
    """Judge the address of the connection itself; no header can claim another."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not networks or not isinstance(peer, tuple):
        return False
    address = ip_address(peer[0].partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


async def _judge(request: web.Request, context: Context, gate: Gate) -> Access:
    if gate is Gate.OPEN:
        return _ANYBODY
    if context.start.problem is not None:
        raise Unavailable(context.start.problem)
    scope = _SCOPE[gate]
    key = sent_key(request.headers)
    is_open = _peer_is_in(request, _open_networks(gate, context.networks))
    access = None if key is None else await context.keys.find(context.pool, key)
    if access is not None and access.has(scope):
        return access
    if is_open:
        return Access("open network", frozenset({scope}))
    if key is None:
        raise Unauthenticated("send an API key, as Authorization: Bearer or X-API-Key")
    if access is None:
        raise Unauthenticated("this API key is not known, or it was revoked")
    raise Forbidden(f"this API key lacks the scope {scope.value}")


@web.middleware
async def require_access(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
    """Let a request pass only if it meets the gate of its route."""
    route = route_of(request)
    if route is not None:
        request[ACCESS] = await _judge(request, context_of(request), route.gate)
    elif request.match_info.http_exception is None:
        raise Forbidden("this route declares no gate")
    return await handler(request)
