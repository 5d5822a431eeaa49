"""A project ends once: one final statement that never changes, and late usage told beside it."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.closing import ClosingRequest, StatementKind
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.instruction import Adjustment, Transfer
from os_credits.domain.mail import Addressing
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.notice import NoticeKind
from os_credits.domain.period import from_ms
from os_credits.domain.person import Person, Role
from os_credits.domain.project import ProjectKey
from os_credits.domain.threshold import Lines
from os_credits.errors import Conflict, InvalidInput
from os_credits.flows import closing as flow
from os_credits.flows import notice
from os_credits.flows.accounts import instruct
from os_credits.flows.closing import close, read_statement, reopen, tell
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.notice import Watch
from os_credits.flows.projects import create_project
from os_credits.store import closings, notices, people
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection, snapshot, transaction
from tests.core import WATCH, Core, Written, opened_core
from tests.frozen_clock import freeze

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.closing import Statement
    from os_credits.domain.notice import Notice

HOUR_MS = 3_600_000
ADDRESSING = Addressing(message_id_domain="cloud.example")
FILE = MeterFile(
    tuple(
        MeterDefinition(
            name=name,
            metric=name,
            kind="counter",
            unit=f"{name}-hour",
            project_id="project",
            resource="resource",
        )
        for name in ("vcpu", "ram")
    ),
    (FilePrice("vcpu", None, Decimal(1)), FilePrice("ram", None, Decimal("0.3"))),
)
_keys = (f"key-{number}" for number in itertools.count())


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def project(core: Core, name: str = "p") -> int:
    found, _ = await create_project(core.pool, ProjectKey("", name, "", name))
    return found.id


async def hour(core: Core, ago: int) -> datetime:
    """Give the full hour so many hours ago."""
    return from_ms((await core.now_ms() // HOUR_MS - ago) * HOUR_MS)


async def use(core: Core, amounts: dict[int, int], *, meter: str = "vcpu", name: str = "p") -> None:
    """Let a project use amounts so many hours ago; each time by a server of its own."""
    samples: list[Written] = []
    for ago, amount in amounts.items():
        start = int((await hour(core, ago)).timestamp() * 1000)
        labels = {"__name__": meter, "project": name, "resource": next(_keys)}
        samples += [(labels, start, 0), (labels, start + 60_000, amount)]
    await core.push(samples)
    await core.rate()


async def book(core: Core) -> None:
    """Book all that is charged, without waiting for quiet."""
    while await core.book(grace=timedelta(0)):
        pass


async def give(
    core: Core,
    project_id: int,
    amount: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> None:
    terms = Terms(start, end, 0)
    await instruct(
        core.pool,
        GrantRequest(project_id, credits_of(amount), "budget", "ada", next(_keys), terms),
        WATCH,
    )


async def end(core: Core, project_id: int, ago: int, reason: str = "over") -> flow.Decided:
    wanted = ClosingRequest(project_id, await hour(core, ago), reason, "ada")
    return await close(core.pool, wanted)


async def told(core: Core, project_id: int) -> list[NoticeKind]:
    """Tell what is due, then give all notices, the first one first."""
    await tell(core.pool, ADDRESSING)
    return [one.kind for one in await notices_of(core, project_id)]


async def notices_of(core: Core, project_id: int) -> list[Notice]:
    async with connection(core.pool) as conn:
        return (await notices.list_notices(conn, project_id, limit=100))[::-1]


async def statement_of(core: Core, project_id: int) -> Statement:
    """Read a statement, and hold it to the balance of the same moment."""
    async with snapshot(core.pool) as conn:
        statement = await read_statement(conn, project_id)
        balance = (await read_balances(conn, [project_id]))[project_id]
    assert statement.current == balance.current
    return statement


def shown(statement: Statement) -> list[tuple[str, str]]:
    return [(line.kind.value, f"{line.credits.normalize():f}") for line in statement.lines]


async def test_a_final_statement_is_written_once_all_hours_before_are_booked(core: Core) -> None:
    number = await project(core)
    await give(core, number, "100")
    await use(core, {5: 10, 3: 7})
    await use(core, {4: 10}, meter="ram")
    await end(core, number, 2)

    assert [] == await told(core, number)
    assert shown(await statement_of(core, number))[-1][0] == "tally"
    await book(core)
    assert [NoticeKind.CLOSED] == await told(core, number)
    assert [NoticeKind.CLOSED] == await told(core, number)

    statement = await statement_of(core, number)
    [written] = await notices_of(core, number)
    assert shown(statement) == [("granted", "100"), ("used", "-17"), ("used", "-3")]
    assert written.balance == statement.balance == credits_of("80")
    assert written.granted == credits_of("100")
    assert statement.final_at == written.created_at
    assert written.facts["lines"] == [
        {"kind": "granted", "meter": None, "flavor": None, "credits": "100.000000"},
        {"kind": "used", "meter": "vcpu", "flavor": None, "credits": "-17.000000"},
        {"kind": "used", "meter": "ram", "flavor": None, "credits": "-3.000000"},
    ]
    assert (written.facts["balance"], written.facts["used_after"]) == ("80.000000", "0.000000")
    assert written.facts["sequence"] == statement.sequence == 4
    assert written.facts["hash"] == statement.hash.hex()


async def test_what_expired_before_the_end_is_in_the_statement(core: Core) -> None:
    number = await project(core)
    await give(core, number, "10", start=await hour(core, 9), end=await hour(core, 6))
    await give(core, number, "20")
    await use(core, {8: 4, 5: 1})
    await end(core, number, 2)
    await core.pass_time()
    await book(core)

    assert [NoticeKind.CLOSED] == await told(core, number)
    assert shown(await statement_of(core, number)) == [
        ("granted", "30"), ("expired", "-6"), ("used", "-5"),
    ]  # fmt: skip
    await use(core, {7: 2})  # so that less had expired
    await book(core)
    statement = await statement_of(core, number)
    assert [line.credits for line in statement.after] == [credits_of("2"), credits_of("-2")]


async def test_a_project_that_used_nothing_has_a_statement_too(core: Core) -> None:
    number = await project(core)
    await end(core, number, 1)
    await book(core)

    assert [NoticeKind.CLOSED] == await told(core, number)
    statement = await statement_of(core, number)
    assert (statement.lines, statement.sequence) == ((), 0)


async def test_an_hour_that_is_yet_to_come_is_waited_for(core: Core) -> None:
    number = await project(core)
    await give(core, number, "1")
    await end(core, number, -1)
    await book(core)

    assert [] == await told(core, number)
    await give(core, number, "1")
    async with connection(core.pool) as conn:
        assert {} == await closings.list_closed(conn, [number])
        assert [number] == list(await closings.list_decided(conn, [number]))


async def test_several_copies_write_one_statement(core: Core) -> None:
    numbers = [await project(core, f"p{place}") for place in range(10)]
    for number in numbers:
        await give(core, number, "5")
        await end(core, number, 1)
    await book(core)

    written = await asyncio.gather(*(tell(core.pool, ADDRESSING) for _ in range(4)))

    assert sum(written) == len(numbers)
    for number in numbers:
        assert [NoticeKind.CLOSED] == await told(core, number)


async def test_all_pages_of_projects_are_looked_at(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAGE_PROJECTS_MAX", 2)
    for place in range(5):
        await end(core, await project(core, f"p{place}"), 1)
    await book(core)

    assert 5 == await tell(core.pool, ADDRESSING)
    assert 0 == await tell(core.pool, ADDRESSING)


async def test_late_usage_stands_beside_the_statement_and_is_told_once(core: Core) -> None:
    number = await project(core)
    await give(core, number, "100")
    await use(core, {5: 10})
    await end(core, number, 3)
    await book(core)
    assert [NoticeKind.CLOSED] == await told(core, number)
    before = await statement_of(core, number)

    await use(core, {2: 4})  # after the end, charged but not booked
    assert [NoticeKind.CLOSED, NoticeKind.LATE_USAGE] == await told(core, number)
    await book(core)
    await use(core, {1: 4, 4: 5})  # more after the end, and late from before it
    await book(core)
    assert [NoticeKind.CLOSED, NoticeKind.LATE_USAGE] == await told(core, number)

    after = await statement_of(core, number)
    assert (after.lines, after.sequence, after.hash, after.final_at) == (
        before.lines, before.sequence, before.hash, before.final_at,
    )  # fmt: skip
    assert after.used_after == credits_of("13")
    assert after.current == credits_of("77")
    _, late = await notices_of(core, number)
    assert (late.value, late.balance) == (credits_of("4"), credits_of("86"))
    assert late.facts["used_after"] == "4.000000"


async def test_usage_after_the_end_that_the_statement_names_is_not_told_again(core: Core) -> None:
    number = await project(core)
    await use(core, {5: 10, 2: 4})
    await end(core, number, 3)
    await book(core)

    assert [NoticeKind.CLOSED] == await told(core, number)
    [written] = await notices_of(core, number)
    assert written.facts["used_after"] == "4.000000"
    assert shown(await statement_of(core, number)) == [("used", "-10")]
    await use(core, {1: 1})
    assert [NoticeKind.CLOSED, NoticeKind.LATE_USAGE] == await told(core, number)


async def test_a_correction_of_an_hour_before_the_end_is_late_usage(core: Core) -> None:
    number = await project(core)
    await use(core, {5: 10})
    await end(core, number, 3)
    await book(core)
    assert [NoticeKind.CLOSED] == await told(core, number)

    await use(core, {5: 2})
    await book(core)

    assert [NoticeKind.CLOSED, NoticeKind.LATE_USAGE] == await told(core, number)
    statement = await statement_of(core, number)
    assert [StatementKind.CORRECTED] == [line.kind for line in statement.after]
    assert statement.used_after == credits_of("2")


async def test_usage_that_is_not_booked_holds_the_statement_back(core: Core) -> None:
    number = await project(core)
    await use(core, {5: 10})
    await book(core)
    await end(core, number, 3)
    await use(core, {5: 2})

    assert [] == await told(core, number)
    await book(core)
    assert [NoticeKind.CLOSED] == await told(core, number)
    assert shown(await statement_of(core, number)) == [("used", "-10"), ("corrected", "-2")]


async def test_another_closing_has_its_own_statement_and_one_late_notice_a_day(
    core: Core, database_url: str
) -> None:
    number = await project(core)
    await use(core, {5: 10})
    await end(core, number, 3)
    await book(core)
    await told(core, number)
    await use(core, {2: 4})
    both = [NoticeKind.CLOSED, NoticeKind.LATE_USAGE]
    assert both == await told(core, number)

    await reopen(core.pool, number, reason="extended", author="ada")
    assert shown(await statement_of(core, number)) == [("used", "-10"), ("tally", "-4")]
    await end(core, number, 1, "over again")
    await book(core)
    assert [*both, NoticeKind.CLOSED] == await told(core, number)
    assert shown(await statement_of(core, number)) == [("used", "-14")]

    await use(core, {0: 1})
    assert [*both, NoticeKind.CLOSED] == await told(core, number)
    freeze(database_url, datetime.now(UTC) + timedelta(hours=25))
    async with opened_core(database_url, FILE) as tomorrow:
        assert [*both, *both] == await told(tomorrow, number)


async def test_closing_and_reopening_again_change_nothing(core: Core) -> None:
    number = await project(core)

    first = await end(core, number, 1)
    again = await end(core, number, 1)
    without = await close(core.pool, ClosingRequest(number, None, "over", "bob"))

    assert (first.created, again.created, without.created) == (True, False, False)
    assert first.closing == again.closing == without.closing
    for ago, reason in ((2, "over"), (1, "another reason")):
        with pytest.raises(Conflict, match="closed already"):
            await end(core, number, ago, reason)

    opened = await reopen(core.pool, number, reason="extended", author="ada")
    same = await reopen(core.pool, number, reason="extended", author="ada")
    assert (opened.created, same.created) == (True, False)
    with pytest.raises(Conflict, match="not closed"):
        await reopen(core.pool, number, reason="another", author="ada")
    async with connection(core.pool) as conn:
        decisions = await closings.list_closings(conn, number)
    assert [False, True] == [one.is_closed for one in decisions]


async def test_what_was_never_closed_is_not_reopened(core: Core) -> None:
    number = await project(core)

    with pytest.raises(Conflict, match="not closed"):
        await reopen(core.pool, number, reason="why not", author="ada")


async def test_an_end_too_far_ahead_is_refused(core: Core) -> None:
    number = await project(core)

    with pytest.raises(InvalidInput, match="within 31 days"):
        await end(core, number, -24 * 31 - 1)


async def test_concurrent_closings_are_one_decision(core: Core) -> None:
    number = await project(core)

    done = await asyncio.gather(*(end(core, number, 1) for _ in range(10)))

    assert [True] == [one.created for one in done if one.created]
    assert 1 == len({one.closing.id for one in done})


async def test_nothing_is_granted_to_a_closed_project(core: Core) -> None:
    number, other = await project(core), await project(core, "other")
    await give(core, other, "10")
    await end(core, number, 1)

    with pytest.raises(Conflict, match="closed since"):
        await give(core, number, "1")
    with pytest.raises(Conflict, match="closed since"):
        await instruct(
            core.pool,
            Transfer(other, number, credits_of("1"), None, "help", "ada", next(_keys)),
            WATCH,
        )
    await reopen(core.pool, number, reason="extended", author="ada")
    await give(core, number, "1")


async def test_a_closed_project_is_told_of_no_line_until_it_is_reopened(core: Core) -> None:
    number = await project(core)
    watch = Watch(Lines(percents=(Decimal(50),)), ADDRESSING)
    await give(core, number, "10")
    await end(core, number, 0)
    await use(core, {1: 9})

    await notice.check(core.pool, watch)
    assert [] == await notices_of(core, number)
    await reopen(core.pool, number, reason="extended", author="ada")
    await notice.check(core.pool, watch)

    assert [NoticeKind.PERCENT] == [one.kind for one in await notices_of(core, number)]


async def test_mails_go_to_those_who_want_to_hear_of_an_end(core: Core) -> None:
    number = await project(core)
    hearing = {
        Person("owner@lab.example"): "closed late_usage",
        Person("quiet@lab.example", wants=(NoticeKind.PERCENT,)): "",
        Person("member@lab.example", role=Role.MEMBER): "",
        Person("heir@lab.example", role=Role.MEMBER, wants=(NoticeKind.CLOSED,)): "closed",
    }
    async with transaction(core.pool) as conn:
        await people.put_people(conn, [(number, person) for person in hearing])
    await end(core, number, 2)
    await book(core)
    await told(core, number)
    await use(core, {1: 1})
    await told(core, number)

    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT recipient, string_agg(kind, ' ' ORDER BY n.id) AS kinds
            FROM mail m JOIN notice n ON n.id = notice_id GROUP BY recipient
            """
        )
    got = {row["recipient"]: row["kinds"] for row in rows}
    assert got == {person.email: kinds for person, kinds in hearing.items() if kinds}


@pytest.mark.parametrize("seed", range(3))
async def test_a_statement_adds_up_whatever_happened(core: Core, seed: int) -> None:
    """`statement_of` holds every reading to the balance; `verify` runs at the end."""
    chance = random.Random(seed)
    number, other = await project(core), await project(core, "other")
    await give(core, other, "1000")
    final: Statement | None = None

    async def happen(step: int) -> None:
        try:
            match step:
                case 0 | 1:
                    ago, amount = chance.randrange(1, 9), chance.randrange(1, 20)
                    await use(core, {ago: amount}, meter=chance.choice(["vcpu", "ram"]))
                case 2:
                    ends = await hour(core, chance.randrange(7)) if chance.randrange(2) else None
                    await give(core, number, "12.5", start=await hour(core, 8), end=ends)
                case 3:
                    change = credits_of(chance.choice(["3", "-2.000001"]))
                    await instruct(
                        core.pool, Adjustment(number, change, "why", "ada", next(_keys)), WATCH
                    )
                case 4:
                    there, here = chance.sample([number, other], 2)
                    await instruct(
                        core.pool,
                        Transfer(there, here, credits_of("1"), None, "x", "ada", next(_keys)),
                        WATCH,
                    )
                case 5:
                    await book(core)
                    await core.pass_time()
        except Conflict:
            pass

    for _ in range(12):
        await happen(chance.randrange(6))
        await statement_of(core, number)
    await end(core, number, chance.randrange(6))
    await book(core)
    await tell(core.pool, ADDRESSING)
    final = await statement_of(core, number)
    assert final.final_at is not None
    for _ in range(12):
        await happen(chance.randrange(6))
        await tell(core.pool, ADDRESSING)
        after = await statement_of(core, number)
        assert (after.lines, after.balance) == (final.lines, final.balance)
    assert facts_of(await notices_of(core, number)) == {f"{final.balance:f}"}


def facts_of(written: list[Notice]) -> set[Any]:
    return {one.facts["balance"] for one in written if one.kind is NoticeKind.CLOSED}
