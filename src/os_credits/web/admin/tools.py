"""What pages of administration need of the running service, besides what all pages need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from os_credits.flows.notice import Watch
    from os_credits.flows.stats import Stats


@dataclass(frozen=True, slots=True)
class Tools:
    """The lines that are watched, how far back samples are taken (ms), and what was counted."""

    watch: Watch
    window_ms: int
    stats: Stats


TOOLS = web.AppKey("TOOLS", Tools)
