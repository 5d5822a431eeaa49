"""What a sender, an administrator and the clock do with a project, step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest
from os_credits.domain.opening import Opening
from os_credits.domain.period import HOUR_MS, from_ms
from os_credits.domain.person import Person
from os_credits.domain.threshold import Lines
from os_credits.flows import deliver, notice
from os_credits.flows.exclusions import ExclusionRequest, exclude
from os_credits.flows.label_reading import Limits
from os_credits.flows.meters import apply_whitelist, load_meters
from os_credits.flows.notice import Watch
from os_credits.flows.opening import Opener, import_opening
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.notify.outlet import MailOutlet
from os_credits.store.people import put_people
from os_credits.store.pool import connection, open_pool
from os_credits.store.projects import find_projects
from tests.checker import WINDOW_MS
from tests.core import Core, Written, grant, new_core
from tests.faults import FaultyMailer, Plan, connection_class
from tests.integration.fault_waves import FILE, VCPU, Wave

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MINUTE_MS = 60_000
PERCENTS = (Decimal(50), Decimal(20), Decimal(0))
WATCH = Watch(Lines(percents=PERCENTS, hysteresis_percent=Decimal(0), cool_down_hours=0))
OPENER = Opener("test", Limits(64, 1024, 1000), WINDOW_MS, WATCH)
LETTERHEAD = Letterhead(sender="credits@cloud.example", public_url="https://credits.example")


@dataclass
class World:
    """What a path is walked with: one copy of the service, and a mailer."""

    core: Core
    mailer: FaultyMailer
    hour_ms: int

    async def id_of(self, project: str) -> int:
        """Give the id of a project."""
        async with connection(self.core.pool) as conn:
            (found,) = await find_projects(conn, project)
        return found.id

    def renewed(self) -> World:
        """Give the same world with a copy of the service that remembers nothing."""
        return replace(self, core=new_core(self.core.pool))


Step = Callable[[World, str], Awaitable[object]]


@dataclass(frozen=True)
class Push:
    """The sender hands in a wave as one body."""

    wave: Wave

    def samples(self, project: str, hour_ms: int) -> list[Written]:
        """Give the wave as samples of this project."""
        return [
            ({**labels, "project": project}, hour_ms + minutes * MINUTE_MS, value)
            for labels, minutes, value in self.wave
        ]

    async def __call__(self, world: World, project: str) -> None:
        """Push it."""
        await world.core.push(self.samples(project, world.hour_ms))


async def rate(world: World, project: str) -> None:
    await world.core.rater.run()


async def book_closed(world: World, project: str) -> None:
    await world.core.book(grace=timedelta(0))


@dataclass(frozen=True)
class Grant:
    """An administrator gives credits, with the same key each time."""

    amount: int

    async def __call__(self, world: World, project: str) -> None:
        """Grant it."""
        key = f"{project} {self.amount}"
        request = GrantRequest(
            await world.id_of(project), credits_of(self.amount), "budget", "test", key
        )
        await grant(world.core.pool, request, percents=PERCENTS)


@dataclass(frozen=True)
class Owner:
    """The project gets an owner, whose address begins with the project's name."""

    domain: str

    async def __call__(self, world: World, project: str) -> None:
        """Store the address."""
        project_id = await world.id_of(project)
        async with connection(world.core.pool) as conn:
            person = Person(f"{project}@{self.domain}", "Ada")
            await put_people(conn, [(project_id, person)])


async def exclude_some(world: World, project: str) -> None:
    """Take half an hour out of the set."""
    start = from_ms(world.hour_ms + 10 * MINUTE_MS)
    request = ExclusionRequest(
        await world.id_of(project), "broken", "test",
        starts_at=start, ends_at=start + timedelta(minutes=30),
    )  # fmt: skip
    await exclude(world.core.pool, request, window_ms=WINDOW_MS)


async def import_old(world: World, project: str) -> None:
    """Take over what an older service knew of the project, up to its second sample."""
    moment = from_ms(world.hour_ms + 20 * MINUTE_MS).isoformat()
    labels = {name: text for name, text in VCPU.items() if name != "__name__"}
    known = {
        "project_id": project,
        "name": "unlisted",
        "grants": [{"id": "1", "amount": "70"}],
        "charged": [{"meter": "vcpu", "credits": "12.5"}],
        "counters": [
            {"meter": "vcpu", "labels": {**labels, "project": project}, "value": 12, "time": moment}
        ],
    }
    opening = Opening(source="old", as_of=moment, projects=[known])
    await import_opening(world.core.pool, opening, OPENER)


async def check(world: World, project: str) -> None:
    await notice.check(world.core.pool, WATCH)


async def deliver_due(world: World, project: str) -> None:
    await deliver.deliver(world.core.pool, MailOutlet(world.mailer, LETTERHEAD))


async def deliver_later(world: World, project: str) -> None:
    """Deliver once every claim has run out, and once every pause is over."""
    for days in (1, 2):
        later = datetime.now(UTC) + timedelta(days=days)
        await deliver.deliver(world.core.pool, MailOutlet(world.mailer, LETTERHEAD), later)


async def make_world(database_url: str) -> int:
    """Load meters and whitelist into an empty database; gives the first hour of the samples."""
    pool = await open_pool(database_url, connections_max=2, statement_timeout_seconds=20)
    await load_meters(pool, FILE)
    await apply_whitelist(pool, ["listed"])
    now_ms = await new_core(pool).now_ms()
    await pool.close()
    return (now_ms // HOUR_MS - 6) * HOUR_MS


@asynccontextmanager
async def opened_world(
    plan: Plan, hour_ms: int, mail_port: int, cut: Callable[[], None]
) -> AsyncIterator[World]:
    """Start a copy of the service whose statements and mails are steps of the plan."""
    pool = await open_pool(
        plan.database_url,
        connections_max=4,
        statement_timeout_seconds=20,
        connection_class=connection_class(plan),
    )
    mailer = SmtpMailer("127.0.0.1", mail_port, timeout_seconds=5)
    try:
        yield World(new_core(pool), FaultyMailer(plan, mailer, cut), hour_ms)
    finally:
        await pool.close()
