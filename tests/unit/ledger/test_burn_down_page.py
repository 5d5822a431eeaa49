"""Every account of docs/rating-rules.md (rule 12), burned down by the real code and the oracle."""

import random
import re
from collections import Counter
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from os_credits.domain.lot import Lot, event_times
from os_credits.domain.period import HOUR
from os_credits.ledger.burn_down import burn_down
from tests.laws import burn_oracle
from tests.unit.rating.test_rating_rules_page import PAGE, Row, rows_of

DAY = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
HEADING = "### Example of an account: "
EXAMPLE = re.compile(
    re.escape(HEADING) + r"(?P<name>[^\n]+)\n\n(?:[^|\n][^\n]*\n)*\n*"
    r"(?P<lots>(?:\|[^\n]*\n)+)\n(?P<used>(?:\|[^\n]*\n)+)\n(?P<states>(?:\|[^\n]*\n)+)"
)


def examples() -> list[Any]:
    """Read all accounts of the page: lots, usage by hour, and the expected states."""
    return [
        pytest.param(*(rows_of(found[table]) for table in ("lots", "used", "states")), id=found[1])
        for found in EXAMPLE.finditer(PAGE.read_text(encoding="utf-8"))
    ]


def hour_of(text: str) -> int:
    """Read a full hour of the day."""
    hour, minute = map(int, text.split(":"))
    assert minute == 0
    return hour


def at(hour: int) -> datetime:
    return DAY + hour * HOUR


def micro(text: str) -> int:
    return int(Decimal(text).scaleb(6))


def read_lots(rows: list[Row]) -> tuple[Lot, ...]:
    """Read lots; they get their ids in the order in which they stand."""
    return tuple(
        Lot(
            number,
            micro(row["credits"]),
            at(hour_of(row["valid from"])),
            at(hour_of(row["expires at"])) if row["expires at"] else None,
            int(row["priority"]),
        )
        for number, row in enumerate(rows)
    )


def by_code(lots: tuple[Lot, ...], used: Counter[int], now: int) -> dict[str, Any]:
    """Burn an account down by the product, its lots in random order."""
    mixed = tuple(random.Random(now).sample(lots, len(lots)))
    edges = [*event_times(mixed), at(24)]
    sums = [
        sum(amount for hour, amount in used.items() if start <= at(hour) < end)
        for start, end in pairwise(edges)
    ]
    burned = burn_down(mixed, sums, at(now))
    fates = {
        state.lot.id: (state.burned_micro, state.expired_micro, state.left_micro)
        for state in burned.states
    }
    return {"fates": fates, "debt": burned.debt_micro, "balance": burned.left_micro}


def by_oracle(lots: tuple[Lot, ...], used: Counter[int], now: int) -> dict[str, Any]:
    """Burn an account down by the oracle."""
    told = [
        burn_oracle.Lot(
            lot.id,
            lot.micro,
            (lot.valid_from - DAY) // HOUR,
            None if lot.expires_at is None else (lot.expires_at - DAY) // HOUR,
            lot.priority,
        )
        for lot in lots
    ]
    account = burn_oracle.account(told, used, now)
    fates = {number: tuple(fate) for number, fate in account.fates.items()}
    return {"fates": fates, "debt": account.debt, "balance": account.balance}


@pytest.mark.parametrize("judge", [by_code, by_oracle])
@pytest.mark.parametrize("lots,used,states", examples())
def test_the_page_says_what_becomes_of_each_lot(
    lots: list[Row], used: list[Row], states: list[Row], judge: Any
) -> None:
    names = [row["lot"] for row in lots]
    for row in states:
        now = hour_of(row["at"])
        known = Counter({hour_of(one["hour"]): micro(one["used"]) for one in used})
        past = Counter({hour: amount for hour, amount in known.items() if hour < now})

        found = judge(read_lots(lots), past, now)

        expected = {
            number: tuple(micro(part) for part in row[name].split(" / "))
            for number, name in enumerate(names)
            if row[name] != "waits"
        }
        assert {
            "fates": expected,
            "debt": micro(row["debt"]),
            "balance": micro(row["balance"]),
        } == found
        # The moments between the lots' own are shown as they are.
        assert found["balance"] == sum(
            micro(one["credits"]) for one in lots if hour_of(one["valid from"]) <= now
        ) - past.total() - sum(expired for _, expired, _ in expected.values())


def test_the_page_holds_all_its_accounts() -> None:
    written = PAGE.read_text(encoding="utf-8").count(HEADING)

    assert written == len(examples())
    assert written >= 7
