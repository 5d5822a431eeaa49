"""What the rating copy remembers between two runs, to read less.

Valid for one epoch of `rating_state` only: when another copy wrote, or after any doubt about
a commit, everything that can change is forgotten. Nothing here is ever the only copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.exclusion import Exclusions
from os_credits.domain.period import to_ms
from os_credits.domain.price import PriceList
from os_credits.domain.pricing import Meters, Pricing, Whitelist
from os_credits.domain.settlement import Settlements
from os_credits.flows.facts import Facts
from os_credits.flows.open_usage import OpenUsage
from os_credits.flows.tails import Tails
from os_credits.flows.whereabouts import Places
from os_credits.store import (
    exclusions,
    meters,
    prices,
    retention,
    settlements,
    whitelist,
)

if TYPE_CHECKING:
    from os_credits.store.pool import Connection
    from os_credits.store.rating_state import Epoch

# Beyond this all is forgotten and read again as needed.
LABEL_SETS_MAX = 1_000_000


class Memory:
    """All that the rating copy remembers, and for which epoch it is true."""

    def __init__(self) -> None:
        """Know nothing, for no epoch."""
        self.facts = Facts()
        self.tails = Tails()
        self.usage = OpenUsage()
        self.places = Places()
        self.pricing: Pricing | None = None
        self.exclusions: Exclusions | None = None
        self.kept_from_ms: int | None = None
        self._epoch: Epoch | None = None

    def forget(self) -> None:
        """Forget everything that another writer could have changed."""
        self._epoch = None
        self.pricing = None
        self.exclusions = None
        self.kept_from_ms = None
        self.tails.clear()
        self.usage.clear()
        self.places.forget()

    def enter(self, epoch: Epoch) -> None:
        """Begin a turn: forget everything unless it was learned in this very epoch."""
        is_other_database = self._epoch is None or epoch.database != self._epoch.database
        if is_other_database or len(self.facts) > LABEL_SETS_MAX:
            self.facts = Facts()
        if is_other_database:
            self.places = Places()
        self.places.make_room()
        if epoch != self._epoch:
            self.forget()
            self._epoch = epoch

    async def read_pricing(self, conn: Connection) -> Pricing:
        """Give meters, prices, whitelist and settlements, read once in an epoch."""
        if self.pricing is None:
            self.pricing = await read_pricing(conn)
            self.places.use(self.pricing.meters)
        return self.pricing

    async def read_kept_from_ms(self, conn: Connection) -> int:
        """Give from when on samples are kept, read once in an epoch."""
        if self.kept_from_ms is None:
            self.kept_from_ms = to_ms((await retention.read_retention(conn)).samples_dropped_until)
        return self.kept_from_ms

    async def read_exclusions(self, conn: Connection) -> Exclusions:
        """Give the exclusions that hold, read once in an epoch."""
        if self.exclusions is None:
            self.exclusions = Exclusions(await exclusions.list_active_exclusions(conn))
        return self.exclusions


async def read_pricing(conn: Connection) -> Pricing:
    """Read meters, prices, whitelist and settlements."""
    return Pricing(
        Meters(await meters.list_versions(conn)),
        PriceList(await prices.list_prices(conn)),
        Whitelist(await whitelist.list_whitelists(conn)),
        Settlements(await settlements.list_settlements(conn)),
    )
