"""A simulated quarter: every line that is crossed has exactly one notice, as the oracles say.

    python -m tests.laws.quarter --projects 50 --days 92 [--seed 1]

The database's clock is moved from hour to hour; samples arrive, also late, people give, adjust
and transfer, allowances come and expire, and the steps of the service run as its clock runs
them. Two oracles follow: what is left (`burn_oracle.py`), and who is told (`threshold_oracle.py`).
Only the forecasts are taken from the service, as facts.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

from os_credits.domain.allowance import AllowanceRequest, next_month
from os_credits.domain.amount import from_micro
from os_credits.domain.forecast import StoredForecast
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.instruction import Adjustment, Instruction, Transfer
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import HOUR
from os_credits.domain.person import PersonChange
from os_credits.domain.project import ProjectKey
from os_credits.domain.threshold import Lines, rule_of
from os_credits.errors import Conflict
from os_credits.flows import forecast, notice
from os_credits.flows.accounts import instruct
from os_credits.flows.lots import pass_time
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.notice import Watch
from os_credits.flows.people import add_person
from os_credits.flows.projects import create_project
from os_credits.flows.threshold_rules import put_project_rule
from os_credits.store.forecasts import read_forecasts
from os_credits.store.pool import connection
from tests import database
from tests.core import Core, opened_core
from tests.frozen_clock import freeze
from tests.laws.burn_oracle import Lot
from tests.laws.purse import Purse
from tests.laws.quarter_plan import SCALE, ProjectPlan, draw_project
from tests.laws.tally import say, template
from tests.laws.threshold_oracle import NEVER, Account, Facts, Line, Notice

START = datetime(2026, 1, 30, tzinfo=UTC)
BEGIN_HOUR = int(START.timestamp()) // 3600
MICRO = 10**6 // SCALE
PERCENTS = (50, 20, 0)
WATCH = Watch(Lines(percents=tuple(map(Decimal, PERCENTS))))
KINDS = {"percents": "percent", "credits": "credits", "days": "days", "burn_per_day": "burn"}
# How often the forecasts are worked out, and hours booked.
FORECAST_HOURS = 12
BOOK_HOURS = 24
FORECAST_AGE_MAX = timedelta(hours=3)
FILE = MeterFile(
    (MeterDefinition(name="used", metric="used", kind="delta", unit="credit",
                     project_id="project"),),
    (FilePrice("used", None, Decimal(1)),),
)  # fmt: skip
_NOTICES = """
SELECT n.project_id, n.created_at, n.kind, n.line, n.balance, n.granted, n.facts -> 'also' AS also,
       (SELECT count(*) FROM mail m WHERE m.notice_id = n.id) AS mails
FROM notice n ORDER BY n.id
"""


@dataclass
class Followed:
    """A project with its oracles, and what they expect to be told."""

    plan: ProjectPlan
    id: int
    purse: Purse
    account: Account
    expected: list[tuple[datetime, Notice, int, int]] = field(default_factory=list)
    allowance_from: datetime | None = None


@dataclass
class Outcome:
    """What the quarter came to."""

    notices: int = 0
    mails: int = 0
    mismatches: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Write the last line of a run."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kinds.items()))
        steps = ", ".join(f"{step} {count}" for step, count in sorted(self.steps.items()))
        return (
            f"notices {self.notices} ({kinds}), mails {self.mails}, mismatches "
            f"{len(self.mismatches)}; {steps}"
        )


class Quarter:
    """The service and the oracles, side by side."""

    def __init__(self, core: Core, database_url: str, seed: int) -> None:
        self.core = core
        self.database_url = database_url
        self.chance = Random(seed)
        self.projects: list[Followed] = []
        self.forecasts: dict[int, StoredForecast] = {}
        self.outcome = Outcome()
        self.now = START

    async def prepare(self, count: int, hours: int) -> None:
        """Create the projects with their owners and lines."""
        freeze(self.database_url, START)
        for number in range(count):
            plan = draw_project(self.chance, number, hours, count)
            found, _ = await create_project(
                self.core.pool, ProjectKey("", plan.name, "", plan.name)
            )
            for owner in range(plan.owners):
                change = PersonChange(f"owner{owner}@{plan.name}.example", {})
                await add_person(self.core.pool, found.id, change)
            if plan.lines:
                rule = rule_of(plan.lines)
                await put_project_rule(
                    self.core.pool, found.id, rule, reason="drawn", author="test"
                )
            account = Account(_lines_of(plan))
            followed = Followed(plan, found.id, Purse(BEGIN_HOUR), account)
            self.projects.append(followed)
            if plan.allowance is not None:
                await self._allow(followed)

    async def _allow(self, one: Followed) -> None:
        amount, carries_over = one.plan.allowance or (0, False)
        one.allowance_from = datetime(START.year, START.month + 1, 1, tzinfo=UTC)
        await self._tell(
            AllowanceRequest(
                one.id, from_micro(amount * MICRO), one.allowance_from, None, carries_over,
                "monthly", "ada", f"allowance {one.id}",
            )
        )  # fmt: skip

    async def play(self, hours: int) -> None:
        """Let the hours pass."""
        for tick in range(1, hours + 1):
            self.now = START + tick * HOUR + timedelta(minutes=1)
            freeze(self.database_url, self.now)
            await self._arrive(tick)
            await pass_time(self.core.rater, WATCH)
            for one in self.projects:
                self._pass_time(one, BEGIN_HOUR + tick)
            for one in self.projects:
                for number, deed in enumerate(one.plan.deeds.get(tick, ())):
                    await self._do(one, tick, number)
                    self.outcome.steps[deed.what] += 1
            if tick % FORECAST_HOURS == 0:
                await self._forecast()
            await notice.check(self.core.pool, WATCH)
            for one in self.projects:
                self._check(one)
            if tick % BOOK_HOURS == 0:
                await self.core.book()
                say(f"  day {tick // 24}: {sum(len(one.expected) for one in self.projects)} told")

    async def _arrive(self, tick: int) -> None:
        samples = []
        for one in self.projects:
            for number, (hour, amount) in enumerate(one.plan.arrivals.get(tick, ())):
                at = int((START + hour * HOUR).timestamp() * 1000) + tick * 1000 + number
                labels = {"__name__": "used", "project": one.plan.name}
                samples.append((labels, at, amount / SCALE))
                one.purse.use(BEGIN_HOUR + hour, amount)
        if samples:
            await self.core.push(samples)
            await self.core.rate()
            self.outcome.steps["samples"] += len(samples)

    def _pass_time(self, one: Followed, hour: int) -> None:
        """Start lots: what is crossed is told before they lift the balance."""
        if one.allowance_from is not None and one.allowance_from <= self.now:
            following = next_month(one.allowance_from)
            amount, carries_over = one.plan.allowance or (0, False)
            start, end = (int(m.timestamp()) // 3600 for m in (one.allowance_from, following))
            lot = Lot(10**6 + start, amount, start, None if carries_over else end)
            one.purse.give(lot)
            one.allowance_from = following
        if any(lot.start == hour for lot in one.purse.lots):
            self._check(one)
            before = one.purse.balance
            one.purse.pass_to(hour)
            self._lift(one, before)
        one.purse.pass_to(hour)

    async def _do(self, one: Followed, tick: int, number: int) -> None:
        deed = one.plan.deeds[tick][number]
        hour = BEGIN_HOUR + tick
        key = f"{one.id} {tick} {number}"
        amount = from_micro(deed.amount * MICRO)
        there = self.projects[deed.to] if deed.what == "transfer" else one
        concerned = {one.id: one, there.id: there}.values()
        moments = [
            None if shift is None else START + (tick + shift) * HOUR
            for shift in (deed.start, deed.end)
        ]
        instruction: Instruction
        if deed.what == "grant":
            terms = Terms(moments[0], moments[1], deed.priority)
            instruction = GrantRequest(one.id, amount, "drawn", "ada", key, terms)
        elif deed.what == "adjust":
            instruction = Adjustment(one.id, amount, "drawn", "ada", key)
        elif there is one or one.purse.balance < deed.amount:
            return
        else:
            instruction = Transfer(one.id, there.id, amount, moments[1], "drawn", "ada", key)
        for each in concerned:
            self._check(each)
        before = {each.id: each.purse.balance for each in concerned}
        grant_id = await self._tell(instruction)
        if deed.amount < 0:
            one.purse.use(hour, -deed.amount)
        else:
            start = hour + (deed.start if deed.what == "grant" else 0)
            end = None if deed.end is None or deed.what == "adjust" else hour + deed.end
            lot = Lot(grant_id, deed.amount, start, end, deed.priority)
            there.purse.give(lot, is_granted=deed.what != "adjust")
        if deed.what == "transfer":
            one.purse.use(hour, deed.amount)
        for each in concerned:
            self._lift(each, before[each.id])

    async def _tell(self, instruction: Instruction) -> int:
        try:
            done = await instruct(self.core.pool, instruction, WATCH)
        except Conflict as error:
            self.outcome.mismatches.append(f"{self.now} {instruction}: {error}")
            return 0
        return done.effect.grant_id or 0

    async def _forecast(self) -> None:
        await forecast.run(self.core.pool)
        async with connection(self.core.pool) as conn:
            self.forecasts = await read_forecasts(conn, [one.id for one in self.projects])

    def _lift(self, one: Followed, before: int) -> None:
        if one.purse.balance > before:
            facts = self._facts(one)
            if facts is not None:
                one.account.lift(facts)
            self.outcome.steps["lifts"] += 1

    def _check(self, one: Followed) -> None:
        facts = self._facts(one)
        told = one.account.check(Fraction(int(self.now.timestamp()), 3600), facts)
        if told is not None:
            balance, granted = one.purse.balance, one.purse.granted
            one.expected.append((self.now, told, balance, granted))

    def _facts(self, one: Followed) -> Facts | None:
        if one.purse.is_new:
            return None
        balance = Fraction(one.purse.balance, SCALE)
        granted = Fraction(one.purse.granted, SCALE)
        known = self.forecasts.get(one.id)
        if known is None or self.now - known.computed_at > FORECAST_AGE_MAX:
            return Facts(balance, granted)
        if known.state == "out":
            return Facts(balance, granted, Fraction(0))
        if known.state not in ("ok", "idle", "beyond"):
            return Facts(balance, granted)
        days: Fraction | float = NEVER
        if known.p50 is not None:
            days = max(Fraction(0), Fraction((known.p50 - self.now) / timedelta(days=1)))
        return Facts(balance, granted, days, Fraction(known.burn_per_day))

    async def compare(self) -> None:
        """Hold what was written against what the oracles expected, notice by notice."""
        async with connection(self.core.pool) as conn:
            rows = await conn.fetch(_NOTICES)
        for one in self.projects:
            told = [row for row in rows if row["project_id"] == one.id]
            found = [
                (row["created_at"], row["kind"], Fraction(row["line"]),
                 int(row["balance"] * SCALE), int(row["granted"] * SCALE), row["mails"])
                for row in told
            ]  # fmt: skip
            expected = [
                (at, said.line.kind, said.line.value, balance, granted, one.plan.owners)
                for at, said, balance, granted in one.expected
            ]
            if found != expected:
                self.outcome.mismatches.append(_difference(one.plan.name, found, expected))
            self.outcome.kinds.update(row["kind"] for row in told)
            self.outcome.mails += sum(row["mails"] for row in told)
        self.outcome.notices = len(rows)


def _difference(name: str, found: Sequence[object], expected: Sequence[object]) -> str:
    for place in range(max(len(found), len(expected))):
        pair = [side[place] if place < len(side) else None for side in (found, expected)]
        if pair[0] != pair[1]:
            return f"{name}, notice {place + 1}: written {pair[0]}, expected {pair[1]}"
    return name


def _lines_of(plan: ProjectPlan) -> Iterable[Line]:
    named = plan.lines or {"percents": list(PERCENTS)}
    for name, kind in KINDS.items():
        for value in named.get(name, ()):
            yield Line(kind, Fraction(value))


async def simulate(database_url: str, *, projects: int, days: int, seed: int) -> Outcome:
    """Play a quarter, or a part of one, and compare."""
    freeze(database_url, START)
    async with opened_core(database_url, FILE) as core:
        quarter = Quarter(core, database_url, seed)
        await quarter.prepare(projects, days * 24)
        await quarter.play(days * 24)
        await quarter.compare()
    return quarter.outcome


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--days", type=int, default=92)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with template() as made, database.database(database.server_url(), template=made) as url:
        outcome = asyncio.run(
            simulate(
                database.as_service(url),
                projects=asked.projects,
                days=asked.days,
                seed=asked.seed,
            )
        )
    for mismatch in outcome.mismatches[:20]:
        say(f"MISMATCH: {mismatch}")
    say(f"quarter: projects {asked.projects}, days {asked.days}, seed {asked.seed}: {outcome}")
    raise SystemExit(bool(outcome.mismatches))


if __name__ == "__main__":
    main()
