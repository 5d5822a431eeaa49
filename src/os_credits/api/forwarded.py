"""Who really asks, and under which address: what a reverse proxy says about a request.

Headers that speak of another client are believed only from the peers that
OS_CREDITS_TRUSTED_PROXIES names. From anybody else they are no proof, but a hint that the peer
speaks for somebody unknown: such a request counts as coming from nowhere, so that an undeclared
proxy on this machine does not open what is open to loopback to the whole world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiMapping

from os_credits.api.forwarding_headers import Address, address_of, host_of, is_told, read_told

Network: TypeAlias = IPv4Network | IPv6Network

# So many hops are followed, from the nearest on; a longer chain is no honest one.
HOPS_MAX = 20
# Of so many senders it is remembered how they arrive.
DIRECT_KEPT_MAX = 1024


@dataclass(frozen=True, slots=True)
class Arrival:
    """How one request came.

    `address` is the client's, as limits and logs go by it, or '' where the connection has none;
    a doubtful one is of a proxy that speaks for somebody unknown. `hosts` are the names, with
    their ports, that our own pages have here, lower case. `base` is the path below which people
    see the service: '' or /credits. What `is_secure` may have cookies for https alone.
    """

    address: str
    is_doubtful: bool
    scheme: str
    hosts: frozenset[str]
    base: str
    came_through_proxy: bool
    is_secure: bool

    def is_in(self, networks: Iterable[Network]) -> bool:
        """Tell whether who asked is known to be in one of the networks."""
        if self.is_doubtful or not self.address:
            return False
        address = ip_address(self.address)
        return any(address in network for network in networks)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Whose word about a request counts, and how people reach the service ('' if nobody said).

    The path of `public_url` is the base path; without a `public_url` a trusted proxy's
    X-Forwarded-Prefix is. The proxy takes it off before it passes a request on.
    """

    trusted: tuple[Network, ...] = ()
    public_url: str = ""

    def read(self, peer: str | None, headers: MultiMapping[str]) -> Arrival:
        """Judge a connection from `peer` and the headers that came by it."""
        host, has_told = headers.get("Host", ""), is_told(headers)
        address = address_of(peer or "") if has_told else None
        if address is None or not _is_in(address, self.trusted):
            return _direct(self.public_url, peer or "", host, is_doubtful=has_told)
        public = urlsplit(self.public_url)
        hosts = {host_of(host), host_of(public.netloc)}
        told = read_told(headers)
        client, is_certain = self._client(address, told.hops)
        scheme = told.scheme or public.scheme or "http"
        return Arrival(
            address=str(client),
            is_doubtful=not is_certain,
            scheme=scheme,
            hosts=frozenset({*hosts, told.host} - {""}),
            base=public.path.rstrip("/") if self.public_url else told.prefix,
            came_through_proxy=True,
            is_secure="https" in {scheme, public.scheme},
        )

    def _client(self, peer: Address, hops: Sequence[str]) -> tuple[Address, bool]:
        """Walk from the nearest hop to the first that is no proxy of ours; False: it is hidden."""
        nearest = peer
        for hop in hops[: -HOPS_MAX - 1 : -1]:
            address = address_of(hop)
            if address is None:
                return nearest, False
            nearest = address
            if not _is_in(address, self.trusted):
                return nearest, True
        return nearest, 0 < len(hops) <= HOPS_MAX


@lru_cache(maxsize=DIRECT_KEPT_MAX)
def _direct(public_url: str, peer: str, host: str, *, is_doubtful: bool) -> Arrival:
    """Judge a connection by nothing but itself: the same for all requests that come by it."""
    public, address = urlsplit(public_url), address_of(peer)
    return Arrival(
        address=str(address or ""),
        is_doubtful=address is None or is_doubtful,
        scheme="http",
        hosts=frozenset({host_of(host), host_of(public.netloc)} - {""}),
        base="",
        came_through_proxy=False,
        is_secure=public.scheme == "https",
    )


ARRIVAL = web.RequestKey("ARRIVAL", Arrival)


def arrival_of(request: web.Request, arrivals: Arrivals) -> Arrival:
    """Tell how a request came; it is found out once."""
    if ARRIVAL not in request:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address = peer[0] if isinstance(peer, tuple) else None
        request[ARRIVAL] = arrivals.read(address, request.headers)
    return request[ARRIVAL]


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
