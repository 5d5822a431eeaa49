"""Keeps bills of very many projects for a moment, so that pages of them open quickly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.flows.bill import read_bill
from os_credits.store import batches

if TYPE_CHECKING:
    from os_credits.domain.bill import Bill
    from os_credits.flows.bill_lines import BillRequest
    from os_credits.store.pool import Connection

# To sum this many projects takes no longer than a page may.
PROJECTS_SUMMED_MAX = 1000
KEPT_FOR = timedelta(minutes=1)
BILLS_MAX = 50


@dataclass(slots=True)
class BillBook:
    """The bills of more than `PROJECTS_SUMMED_MAX` projects that were made in the last minute.

    Each says by itself as of when it is. Whoever asks for other projects asks for another bill.
    """

    _kept: dict[BillRequest, Bill]

    @classmethod
    def empty(cls) -> BillBook:
        """Begin without any."""
        return cls({})

    async def read(self, conn: Connection, request: BillRequest) -> Bill:
        """Give a bill, made in the last minute if it is a large one; call it in a snapshot."""
        now = await batches.read_now(conn)
        kept = self._kept.get(request)
        if kept is not None and kept.as_of > now - KEPT_FOR:
            return kept
        bill = await read_bill(conn, request)
        if bill.project_count > PROJECTS_SUMMED_MAX:
            # The ones that were made first go first.
            while len(self._kept) >= BILLS_MAX:
                self._kept.pop(next(iter(self._kept)))
            self._kept.pop(request, None)
            self._kept[request] = bill
        return bill
