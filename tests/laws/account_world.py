"""A database with a clock that is set, and twins: two sets of projects that come to the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from os_credits.domain.amount import from_micro, to_micro
from os_credits.domain.instruction import Instruction
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import from_ms
from os_credits.domain.threshold import Lines
from os_credits.errors import Conflict
from os_credits.flows.accounts import instruct
from os_credits.flows.burn import read_burned
from os_credits.flows.meters import MeterFile
from os_credits.flows.notice import Watch
from os_credits.flows.prices import set_price
from os_credits.store.balances import read_balances
from os_credits.store.instructions import Effect
from os_credits.store.pool import connection, snapshot
from tests.core import Core, new_core
from tests.frozen_clock import freeze
from tests.laws.account_model import HOUR_MS, ModelAccount, ModelLot, Used
from tests.laws.mismatch import MismatchError

METER = "used"
FILE = MeterFile(
    (
        MeterDefinition(
            name=METER, metric=METER, kind="delta", unit="thing", project_id="project",
            project_name="project", flavor="flavor",
        ),
    ),
    (),
)  # fmt: skip
PERCENTS = (Decimal(50), Decimal(20), Decimal(0))
WATCH = Watch(Lines(percents=PERCENTS))
BOOKINGS_MAX = 30


class World:
    """The core of the service on a database whose clock stands still until it is set."""

    def __init__(self, core: Core, database_url: str, now: datetime) -> None:
        self.core = core
        self.now = now
        self.twins: list[Twin] = []
        # How often each action was carried out, or refused as it must be.
        self.told: Counter[str] = Counter()
        self._url = database_url

    def set_clock(self, moment: datetime) -> None:
        """Let the database say that it is this moment; never one before."""
        if moment < self.now:
            raise MismatchError(f"the clock would go back to {moment}")
        self.now = moment
        freeze(self._url, moment)

    @property
    def hour(self) -> int:
        """Number the hour that it is."""
        return self.now_ms // HOUR_MS

    @property
    def now_ms(self) -> int:
        """Give the clock in milliseconds."""
        return int(self.now.timestamp() * 1000)

    async def pass_time(self) -> None:
        """Let lots start and end, and allowances give, for everybody."""
        await self.core.pass_time(percents=PERCENTS)
        for twin in self.twins:
            await twin.note_months()

    def other_worker(self, chance: Random) -> None:
        """Go on with a copy of the service that remembers nothing."""
        self.core = new_core(self.core.pool, samples_max=chance.choice([2, 200_000]))


class Twin:
    """Some projects, what was done with them so far, and what must have come of it."""

    def __init__(self, world: World, name: str, project_count: int) -> None:
        self.world = world
        self.name = name
        self.accounts = [ModelAccount() for _ in range(project_count)]
        self.prices: dict[int, int] = {}
        self.ids: list[int] = []
        self.pushed: list[list[tuple[int, Used]]] = []
        self.done: list[tuple[Instruction, Effect]] = []
        self.exclusion_ids: dict[str, int] = {}
        # What the service last said of each lot: burned, expired and left.
        self.fates: dict[int, dict[str, tuple[int, int, int]]] = {}

    @property
    def core(self) -> Core:
        """Give the copy of the service that works now."""
        return self.world.core

    async def begin(self) -> None:
        """Let the service hear of the projects, and price what they use."""
        await self.price(0, 10**6)
        await self.push([(n, Used(self.world.now_ms, 0)) for n in range(len(self.accounts))])
        await self.core.rate()
        async with connection(self.core.pool) as conn:
            for number in range(len(self.accounts)):
                found = "SELECT id FROM project WHERE name = $1"
                self.ids.append(await conn.fetchval(found, self.project(number)))

    def project(self, number: int) -> str:
        """Name a project as senders do."""
        return f"{self.name}-{number}"

    async def price(self, hour: int, micro: int) -> None:
        """Set what a unit costs from an hour on."""
        await set_price(
            self.core.pool, meter=METER, flavor=self.name, credits_per_unit=from_micro(micro),
            valid_from=from_ms(hour * HOUR_MS), author="law",
        )  # fmt: skip
        self.prices[hour] = micro

    async def push(self, items: Sequence[tuple[int, Used]]) -> None:
        """Hand in amounts of projects, by their numbers."""
        await self.core.push(
            [
                (
                    {"__name__": METER, "project": self.project(number), "flavor": self.name},
                    used.time_ms,
                    float(used.units),
                )
                for number, used in items
            ]
        )
        self.pushed.append(list(items))
        for number, used in items:
            self.accounts[number].used.add(used)

    async def tell(self, instruction: Instruction, *, allowed: bool = True) -> Effect:
        """Give an instruction that must be carried out, or refused, which has no effect."""
        try:
            done = await instruct(self.core.pool, instruction, WATCH)
        except Conflict as error:
            if allowed:
                raise MismatchError(f"{self.name}: {instruction} was refused: {error}") from error
            self.world.told[f"{instruction.action} refused"] += 1
            return Effect()
        if not allowed or not done.created:
            raise MismatchError(f"{self.name}: {instruction} must not give {done}")
        self.world.told[instruction.action] += 1
        self.done.append((instruction, done.effect))
        return done.effect

    def add_lot(self, number: int, lot: ModelLot) -> None:
        """Remember a lot."""
        self.accounts[number].lots[lot.key] = lot

    async def again(self, chance: Random) -> None:
        """Tell something again, as it was and with another reason: nothing happens."""
        instruction, effect = chance.choice(self.done)
        before = await self.sums()
        known = await instruct(self.core.pool, instruction, WATCH)
        if known.created or known.effect != effect:
            raise MismatchError(f"{self.name}: {instruction} again gave {known}, not {effect}")
        other: Any = instruction
        await self.tell(replace(other, reason="another"), allowed=False)
        if before != await self.sums():
            raise MismatchError(f"{self.name}: {instruction} again has changed the account")

    async def note_months(self) -> None:
        """Remember the numbers of the lots that allowances have given by now: all that are due."""
        for account in self.accounts:
            for allowance in account.allowances.values():
                async with connection(self.core.pool) as conn:
                    rows = await conn.fetch(MONTHS, allowance.id)
                numbers = {row["month"]: row["id"] for row in rows}
                lots = list(allowance.lots(self.world.hour))
                if sorted(numbers) != [lot.start for lot in lots]:
                    raise MismatchError(f"{self.name}: {allowance} has given {sorted(numbers)}")
                for lot in lots:
                    account.lots.setdefault(lot.key, replace(lot, id=numbers[lot.start]))

    async def book(self, grace_seconds: int) -> None:
        """Book what is due."""
        await self.core.book(grace=timedelta(seconds=grace_seconds))

    async def check(self) -> None:
        """Hold the balance against entries, tally and expiries, as at every step."""
        async with snapshot(self.core.pool) as conn:
            rows = await conn.fetch(ACCOUNTS, self.ids)
            told = await read_balances(conn, self.ids)
            transfers = await conn.fetchval(TRANSFERS)
        for row in rows:
            balance = told[row["id"]]
            current = row["booked"] - row["tally"] - row["expiring"]
            found = balance.booked, balance.tally, balance.expiring, balance.current
            if found != (row["booked"], row["tally"], row["expiring"], current):
                raise MismatchError(f"{self.name}: {dict(row)}, but {balance}")
            if row["last"] != row["booked"]:
                raise MismatchError(f"{self.name}: the last entry says {row['last']}: {dict(row)}")
        if transfers:
            raise MismatchError(f"the transfers of all projects add up to {transfers}")

    async def compare(self) -> None:
        """Rate and let time pass; then lots and balances are what the oracle says."""
        await self.core.rate()
        await self.world.pass_time()
        hour = self.world.hour
        async with snapshot(self.core.pool) as conn:
            burned = await read_burned(conn, self.ids, self.world.now)
            told = await read_balances(conn, self.ids)
        for number, (project_id, account) in enumerate(zip(self.ids, self.accounts, strict=True)):
            expected = account.account(self.prices, hour)
            states = burned[project_id].states if project_id in burned else ()
            fates = {s.lot.id: (s.burned_micro, s.expired_micro, s.left_micro) for s in states}
            self._equal(number, "lots", {k: tuple(v) for k, v in expected.fates.items()}, fates)
            self.fates[number] = {lot.key: fates[lot.id] for lot in account.standing(hour)}
            balance = told[project_id]
            self._equal(number, "balance", expected.balance, to_micro(balance.current))
            granted = account.granted_now(hour)
            self._equal(number, "granted now", granted, to_micro(balance.granted_now))

    async def conclude(self) -> None:
        """Book everything; then the sums of the entries by kind are what the model says."""
        for _ in range(BOOKINGS_MAX):
            await self.compare()
            if not await self.core.book(grace=timedelta(0)):
                break
        await self.check()
        sums = await self.sums()
        for number, account in enumerate(self.accounts):
            expected = account.sums(self.prices, self.world.hour)
            self._equal(number, "entries", {k: n for k, n in expected.items() if n}, sums[number])
        async with connection(self.core.pool) as conn:
            wrong = await conn.fetch(WRONG_CORRECTIONS, self.ids)
        self._equal(0, "corrections that point elsewhere", [], wrong)

    async def sums(self) -> list[dict[str, int]]:
        """Give the sums of each project's entries by kind, corrections with what they correct."""
        async with connection(self.core.pool) as conn:
            rows = await conn.fetch(SUMS, self.ids)
        result: list[dict[str, int]] = [{} for _ in self.ids]
        for project_id, kind, amount in rows:
            result[self.ids.index(project_id)][kind] = to_micro(amount)
        return result

    def _equal(self, number: int, what: str, expected: Any, found: Any) -> None:
        if expected != found:
            raise MismatchError(
                f"{self.project(number)} at {self.world.now}: {what} {found}, not {expected}\n"
                f"  {self.accounts[number]}"
            )


MONTHS = """
SELECT extract(epoch FROM valid_from)::bigint / 3600 AS month, id
FROM project_grant WHERE allowance_id = $1
"""
ACCOUNTS = """
SELECT p.id,
       coalesce((SELECT sum(amount) FROM entry WHERE project_id = p.id), 0) AS booked,
       coalesce((SELECT balance FROM entry WHERE project_id = p.id
                 ORDER BY sequence DESC LIMIT 1), 0) AS last,
       coalesce((SELECT sum(charged - booked) FROM charge WHERE project_id = p.id), 0) AS tally,
       coalesce((SELECT sum(expired - booked) FROM expiry
                 WHERE project_id = p.id AND expired IS NOT NULL), 0) AS expiring
FROM unnest($1::bigint[]) AS p(id)
"""
TRANSFERS = "SELECT coalesce(sum(amount), 0) FROM entry WHERE kind = 'transfer'"
SUMS = """
SELECT project_id,
       CASE WHEN meter_id IS NOT NULL THEN 'usage'
            WHEN kind = 'correction' THEN 'expiry' ELSE kind END AS kind,
       sum(amount) AS amount
FROM entry WHERE project_id = ANY($1::bigint[])
GROUP BY 1, 2 HAVING sum(amount) <> 0
"""
WRONG_CORRECTIONS = """
SELECT e.id FROM entry e LEFT JOIN entry first ON first.id = e.corrects
WHERE e.project_id = ANY($1::bigint[]) AND e.kind = 'correction' AND e.meter_id IS NULL
  AND (first.kind, first.grant_id, first.hour) IS DISTINCT FROM ('expiry', e.grant_id, e.hour)
"""
