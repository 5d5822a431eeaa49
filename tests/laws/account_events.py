"""What happens to accounts: some of it at any time, some in the same hour for both twins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from os_credits.domain.allowance import AllowanceEnd, AllowanceRequest, floor_month, next_month
from os_credits.domain.amount import from_micro
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.instruction import Adjustment, TopUp, Transfer, Void
from os_credits.domain.period import from_ms
from os_credits.flows.exclusions import ExclusionRequest, exclude, lift
from tests.core import WINDOW_MS
from tests.laws.account_model import HOUR_MS, ModelAllowance, ModelLot, Used
from tests.laws.account_world import Twin


class Movable(Protocol):
    """What comes to the same whenever it happens."""

    async def play(self, twin: Twin, base: int) -> None:
        """Let it happen; hours count from `base`."""


class Anchored(Protocol):
    """What counts in the hour in which it happens; both twins do it, or neither."""

    def is_allowed(self, twin: Twin) -> bool:
        """Tell what the model expects."""

    async def play(self, twin: Twin, base: int, *, allowed: bool) -> None:
        """Let it happen, or be refused."""


def time_of(hour: int) -> datetime:
    return from_ms(hour * HOUR_MS)


def key_of(twin: Twin, key: str) -> str:
    return f"{twin.name} {key}"


# -- at any time


@dataclass(frozen=True)
class Push:
    """Amounts: project, ms after the base, units."""

    items: tuple[tuple[int, int, int], ...]

    async def play(self, twin: Twin, base: int) -> None:
        start = base * HOUR_MS
        await twin.push([(number, Used(start + ms, units)) for number, ms, units in self.items])


@dataclass(frozen=True)
class Give:
    """A grant with all its terms said."""

    key: str
    project: int
    micro: int
    start: int
    end: int | None
    priority: int

    async def play(self, twin: Twin, base: int) -> None:
        start = base + self.start
        end = None if self.end is None else base + self.end
        terms = Terms(time_of(start), None if end is None else time_of(end), self.priority)
        request = GrantRequest(
            twin.ids[self.project], from_micro(self.micro), self.key, "law",
            key_of(twin, self.key), terms,
        )  # fmt: skip
        effect = await twin.tell(request)
        lot = ModelLot(
            self.key, "grant", effect.grant_id or 0, self.micro, start, end, self.priority
        )
        twin.add_lot(self.project, lot)


@dataclass(frozen=True)
class SetPrice:
    """What a unit costs from an hour on, in millionths."""

    hour: int
    micro: int

    async def play(self, twin: Twin, base: int) -> None:
        await twin.price(base + self.hour, self.micro)


@dataclass(frozen=True)
class Exclude:
    """Samples of some hours are out of the set."""

    key: str
    project: int
    start: int
    end: int

    async def play(self, twin: Twin, base: int) -> None:
        start, end = base + self.start, base + self.end
        request = ExclusionRequest(
            twin.ids[self.project], "tried", "law", starts_at=time_of(start), ends_at=time_of(end)
        )
        done = await exclude(twin.core.pool, request, window_ms=WINDOW_MS)
        twin.exclusion_ids[self.key] = done.exclusion_id or 0
        twin.accounts[self.project].excluded[self.key] = start * HOUR_MS, end * HOUR_MS


@dataclass(frozen=True)
class Lift:
    """An exclusion ends, if there is one yet."""

    key: str
    project: int

    async def play(self, twin: Twin, base: int) -> None:
        if self.key in twin.exclusion_ids:
            exclusion_id = twin.exclusion_ids.pop(self.key)
            await lift(twin.core.pool, exclusion_id, reason="tried", author="law")
            del twin.accounts[self.project].excluded[self.key]


# -- in the same hour for both


@dataclass(frozen=True)
class Adjust:
    """An adjustment of either sign."""

    key: str
    project: int
    micro: int

    def is_allowed(self, twin: Twin) -> bool:
        return True

    async def play(self, twin: Twin, base: int, *, allowed: bool) -> None:
        hour = twin.world.hour
        request = Adjustment(
            twin.ids[self.project], from_micro(self.micro), self.key, "law", key_of(twin, self.key)
        )
        effect = await twin.tell(request)
        if self.micro < 0:
            twin.accounts[self.project].debits.append(("adjustment", hour, -self.micro))
        else:
            lot_id = effect.grant_id or 0
            lot = ModelLot(self.key, "adjustment", lot_id, self.micro, hour, None, 0)
            twin.add_lot(self.project, lot)


@dataclass(frozen=True)
class Move:
    """A transfer, whose lot expires so many hours later."""

    key: str
    project: int
    to: int
    micro: int
    hours: int | None

    def is_allowed(self, twin: Twin) -> bool:
        account = twin.accounts[self.project].account(twin.prices, twin.world.hour)
        return account.balance >= self.micro

    async def play(self, twin: Twin, base: int, *, allowed: bool) -> None:
        hour = twin.world.hour
        end = None if self.hours is None else hour + self.hours
        request = Transfer(
            twin.ids[self.project], twin.ids[self.to], from_micro(self.micro),
            None if end is None else time_of(end), self.key, "law", key_of(twin, self.key),
        )  # fmt: skip
        effect = await twin.tell(request, allowed=allowed)
        if allowed:
            twin.accounts[self.project].debits.append(("transfer", hour, self.micro))
            lot_id = effect.grant_id or 0
            twin.add_lot(self.to, ModelLot(self.key, "transfer", lot_id, self.micro, hour, end, 0))


@dataclass(frozen=True)
class More:
    """A top-up of a grant."""

    key: str
    project: int
    of: str
    micro: int

    def is_allowed(self, twin: Twin) -> bool:
        lot = twin.accounts[self.project].lots[self.of]
        return not lot.is_void and (lot.end is None or lot.end > twin.world.hour)

    async def play(self, twin: Twin, base: int, *, allowed: bool) -> None:
        lot = twin.accounts[self.project].lots[self.of]
        request = TopUp(
            twin.ids[self.project], lot.id, from_micro(self.micro), self.key, "law",
            key_of(twin, self.key),
        )  # fmt: skip
        effect = await twin.tell(request, allowed=allowed)
        if allowed:
            start = max(lot.start, twin.world.hour)
            more = ModelLot(
                self.key, "grant", effect.grant_id or 0, self.micro, start, lot.end,
                lot.priority,
            )  # fmt: skip
            twin.add_lot(self.project, more)


@dataclass(frozen=True)
class TakeBack:
    """A void, of a grant of which nothing has burned or expired."""

    key: str
    project: int
    of: str

    def is_allowed(self, twin: Twin) -> bool:
        account, hour = twin.accounts[self.project], twin.world.hour
        lot = account.lots[self.of]
        if lot.is_void or (lot.end is not None and lot.end <= hour):
            return False
        fate = account.account(twin.prices, hour).fates.get(lot.id)
        return fate is None or fate.burned == 0

    async def play(self, twin: Twin, base: int, *, allowed: bool) -> None:
        lot = twin.accounts[self.project].lots[self.of]
        request = Void(twin.ids[self.project], lot.id, self.key, "law", key_of(twin, self.key))
        await twin.tell(request, allowed=allowed)
        lot.is_void |= allowed


@dataclass(frozen=True)
class Allow:
    """An allowance, from so many months before or after this one, for so many months."""

    key: str
    project: int
    micro: int
    first: int
    count: int
    carries_over: bool
    priority: int

    def is_allowed(self, twin: Twin) -> bool:
        return True

    async def play(self, twin: Twin, base: int, *, allowed: bool) -> None:
        month = floor_month(twin.world.now)
        for _ in range(-self.first):
            month = floor_month(from_ms(int(month.timestamp() * 1000) - 1))
        for _ in range(self.first):
            month = next_month(month)
        months = [month]
        for _ in range(self.count):
            months.append(next_month(months[-1]))
        request = AllowanceRequest(
            twin.ids[self.project], from_micro(self.micro), months[0], months[-1],
            self.carries_over, self.key, "law", key_of(twin, self.key), self.priority,
        )  # fmt: skip
        effect = await twin.tell(request)
        hours = tuple(int(one.timestamp()) // 3600 for one in months)
        account = twin.accounts[self.project]
        account.allowances[self.key] = ModelAllowance(
            self.key, effect.allowance_id or 0, self.micro, hours, self.carries_over,
            self.priority,
        )  # fmt: skip


@dataclass(frozen=True)
class EndAllowance:
    """An allowance ends before its last month, once; not before a month that it has given."""

    key: str
    project: int
    of: str
    months: int

    def is_allowed(self, twin: Twin) -> bool:
        allowance = twin.accounts[self.project].allowances[self.of]
        given = len(list(allowance.lots(twin.world.hour)))
        is_sooner = given <= self.months < len(allowance.months) - 1
        return is_sooner and not allowance.is_ended

    async def play(self, twin: Twin, base: int, *, allowed: bool) -> None:
        allowance = twin.accounts[self.project].allowances[self.of]
        end = allowance.months[min(self.months, len(allowance.months) - 1)]
        request = AllowanceEnd(
            twin.ids[self.project], allowance.id, time_of(end), self.key, "law",
            key_of(twin, self.key),
        )  # fmt: skip
        await twin.tell(request, allowed=allowed)
        if allowed:
            allowance.months = allowance.months[: self.months + 1]
            allowance.is_ended = True
