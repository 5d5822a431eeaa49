"""What every handler may ask of the running service: one frozen value in the application."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from aiohttp import web

from os_credits.api.bodies import Bodies
from os_credits.api.connections import Connections
from os_credits.api.forwarded import Arrivals
from os_credits.api.metrics import Metrics
from os_credits.domain.access import Access
from os_credits.domain.visit import Visit
from os_credits.flows.clock import Clock
from os_credits.flows.ingest import Ingest
from os_credits.flows.keys import KeyRing
from os_credits.flows.notice import Watch
from os_credits.flows.registry import Registry
from os_credits.flows.rounds import Rounds
from os_credits.flows.sessions import SessionBook
from os_credits.flows.start import Start
from os_credits.flows.stats import Stats
from os_credits.store.pool import Pool

Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class OpenNetworks:
    """Where requests may come from without a key; judged by the peer's address alone.

    `compat` opens what the de.NBI portal and a monitoring agent read: the compatibility
    shapes and `/metrics`.
    """

    read: tuple[Network, ...] = ()
    ingest: tuple[Network, ...] = ()
    compat: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the running service and the few settings that answers depend on.

    `precision` is the number of digits that the compatibility shapes and pages show;
    `sends_links` tells that links to choose a password can be mailed.
    """

    pool: Pool
    registry: Registry
    ingest: Ingest
    stats: Stats
    clock: Clock
    start: Start
    keys: KeyRing
    rounds: Rounds
    sessions: SessionBook
    bodies: Bodies
    connections: Connections
    metrics: Metrics
    networks: OpenNetworks
    arrivals: Arrivals
    started_at: datetime
    precision: int
    public_url: str
    sends_links: bool
    watch: Watch
    grace_period: timedelta
    acceptance_window: timedelta

    @property
    def acceptance_window_ms(self) -> int:
        """How far back from the database's clock a sample may be, in milliseconds."""
        return self.acceptance_window // timedelta(milliseconds=1)


CONTEXT = web.AppKey("CONTEXT", Context)
# What the caller may do, and how the request came, set once it was let in (`auth.py`).
ACCESS = web.RequestKey("ACCESS", Access)
VISIT = web.RequestKey("VISIT", Visit)


def context_of(request: web.Request) -> Context:
    """Give the context of the application that serves this request."""
    return request.config_dict[CONTEXT]
