"""What pages of people, keys and health need of the running service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from os_credits.flows.keys import KeyRing
    from os_credits.flows.notice import Watch
    from os_credits.flows.rounds import Rounds


@dataclass(frozen=True, slots=True)
class Office:
    """The keys that are remembered, who looks after the service, the lines that are watched.

    `public_url` is where links in mails lead; `sends_links` tells that links can be mailed.
    """

    keys: KeyRing
    rounds: Rounds
    watch: Watch
    public_url: str
    sends_links: bool


OFFICE = web.AppKey("OFFICE", Office)
