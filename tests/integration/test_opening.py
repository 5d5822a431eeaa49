"""What an older service charged, counted and granted goes on exactly here, and only once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.entry import CHAIN_START, EntryKind, link_hash
from os_credits.domain.grant import GrantRequest
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import EPOCH, from_ms
from os_credits.domain.person import Person
from os_credits.domain.threshold import Lines
from os_credits.errors import Conflict, InvalidInput
from os_credits.flows.history import beginning, read_history, read_used
from os_credits.flows.label_reading import Limits
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.notice import Watch
from os_credits.flows.notice import check as check_notices
from os_credits.flows.opening import Opened, Opener, import_opening
from os_credits.flows.opening_file import read_opening
from os_credits.store.balances import read_balances
from os_credits.store.entries import list_entries
from os_credits.store.notices import list_notices, list_watched
from os_credits.store.people import list_people
from os_credits.store.pool import connection, snapshot
from os_credits.store.projects import list_projects_by_id
from os_credits.store.spending import sum_moved
from os_credits.web.history import Asked, read_facts
from os_credits.web.history_view import view_of
from tests.checker import WINDOW_MS, checked
from tests.core import Core, Written, grant, new_core, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.balance import Balance
    from os_credits.domain.entry import Entry

HOUR_MS = 3_600_000
AT_ONCE = timedelta(0)
PERCENTS = (Decimal(50), Decimal(20))
WATCH = Watch(Lines(percents=PERCENTS, hysteresis_percent=Decimal(0), cool_down_hours=0))
OPENER = Opener("cli:ada", Limits(64, 1024, 1000), WINDOW_MS, WATCH)
LABELS = {"project": "p", "server": "a"}
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu", metric="vcpu_total", kind="counter", unit="vCPU-hour",
            project_id="project", resource="server",
        ),
        MeterDefinition(
            name="disk", metric="disk_used", kind="gauge", unit="GiB", project_id="project",
        ),
    ),
    (FilePrice("vcpu", None, Decimal(1)), FilePrice("disk", None, Decimal(2))),
)  # fmt: skip


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened
        await opened.rate()
        await checked(opened.pool)


def vcpu(time_ms: int, value: float, server: str = "a") -> Written:
    return {"__name__": "vcpu_total", "project": "p", "server": server}, time_ms, value


def disk(time_ms: int, value: float) -> Written:
    return {"__name__": "disk_used", "project": "p"}, time_ms, value


async def first_hour(core: Core) -> int:
    """Give the start (ms) of a full hour, ten hours ago or a little more."""
    return (await core.now_ms() // HOUR_MS - 10) * HOUR_MS


def counter(time_ms: int, value: float, server: str = "a") -> dict[str, Any]:
    labels = LABELS | {"server": server}
    return {
        "meter": "vcpu", "labels": labels, "value": value, "time": from_ms(time_ms).isoformat(),
    }  # fmt: skip


def project(*counters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "project_id": "p",
        "name": "alpha",
        "owners": [{"email": "ada@lab.example", "name": "Ada"}],
        "grants": [
            {"id": "2025", "amount": "1000", "reason": "budget 2025"},
            {"id": "2026", "amount": "500.5"},
        ],
        "charged": [
            {"meter": "vcpu", "credits": "700.25"},
            {"meter": "disk", "credits": "50.123456"},
        ],
        "counters": list(counters),
    } | changes


async def open_with(
    core: Core, as_of_ms: int, *projects: dict[str, Any], **head: Any
) -> list[Opened]:
    content = {"source": "old", "as_of": from_ms(as_of_ms).isoformat(), "projects": projects}
    return await import_opening(core.pool, read_opening(json.dumps(content | head)), OPENER)


async def balance_of(core: Core, project_id: int) -> Balance:
    async with connection(core.pool) as conn:
        return (await read_balances(conn, [project_id]))[project_id]


async def entries_of(core: Core, project_id: int) -> list[Entry]:
    async with connection(core.pool) as conn:
        found = await list_entries(conn, project_id, after_sequence=0, limit=1000)
    return [entry for _, entry in found]


async def vcpu_hours(core: Core, first: int) -> dict[int, int]:
    """Give whole credits of vCPU by the number of the hour since `first`."""
    await core.rate()
    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            "SELECT hour, charged FROM charge c JOIN meter m ON m.id = c.meter_id "
            "WHERE m.name = 'vcpu' AND charged <> 0"
        )
    return {
        int(row["hour"].timestamp() * 1000 - first) // HOUR_MS: int(row["charged"]) for row in rows
    }


async def test_grants_and_charges_become_opening_entries_of_a_sound_chain(core: Core) -> None:
    first = await first_hour(core)

    [opened] = await open_with(core, first + 90_000, project())

    entries = await entries_of(core, opened.project_id)
    assert opened.entry_count == len(entries) == 4
    assert [(str(one.draft.amount), one.draft.reason) for one in entries] == [
        ("1000.000000", "budget 2025"),
        ("500.500000", "granted by old"),
        ("-700.250000", "charged by old"),
        ("-50.123456", "charged by old"),
    ]
    assert {one.draft.kind for one in entries} == {EntryKind.OPENING}
    assert {one.draft.author for one in entries} == {"cli:ada"}
    assert {one.draft.hour for one in entries} == {from_ms(first)}
    assert [one.draft.entry_key for one in entries] == [
        f"opening-grant:{opened.project_id}:2025",
        f"opening-grant:{opened.project_id}:2026",
        f"opening:{opened.project_id}:vcpu",
        f"opening:{opened.project_id}:disk",
    ]
    before = CHAIN_START
    for one in entries:
        assert one.previous_hash == before
        assert one.hash == link_hash(one.draft, one.sequence, one.balance, one.booked_at, before)
        before = one.hash
    balance = await balance_of(core, opened.project_id)
    assert [str(balance.granted), str(balance.used), str(balance.current)] == [
        "1500.500000",
        "750.373456",
        "750.126544",
    ]


async def test_the_same_file_again_changes_nothing(core: Core, database_url: str) -> None:
    first = await first_hour(core)
    await open_with(core, first, project(counter(first, 7)))
    async with connection(core.pool) as conn:
        await conn.execute("DELETE FROM project_owner")  # someone who did not want to hear of it

    again = await open_with(core, first, project(counter(first, 7)))

    assert [Opened(again[0].project_id, is_new=False, entry_count=0)] == again
    async with connection(core.pool) as conn:
        counts = await conn.fetchrow(
            """
            SELECT (SELECT count(*) FROM entry) AS entries, (SELECT count(*) FROM exclusion) AS x,
                   (SELECT count(*) FROM batch) AS batches, (SELECT count(*) FROM project_grant),
                   (SELECT count(*) FROM project_owner) AS owners
            """
        )
    assert counts is not None
    assert (4, 2, 1, 2, 0) == tuple(counts)


async def test_a_counter_goes_on_exactly_from_its_last_value(core: Core) -> None:
    first = await first_hour(core)
    last = first + HOUR_MS // 2
    await open_with(core, first + HOUR_MS, project(counter(last, 100)))

    await core.push([vcpu(last + 2 * HOUR_MS, 108), vcpu(last + 3 * HOUR_MS, 110)])

    # 8 in half an hour, an hour and half an hour; then 2 in half an hour and half an hour.
    assert {0: 2, 1: 4, 2: 3, 3: 1} == await vcpu_hours(core, first)


async def test_late_samples_of_before_are_never_billed_again(core: Core) -> None:
    """A second copy of the service, which has never seen the import, rates them."""
    first = await first_hour(core)
    last = first + 4 * HOUR_MS
    await core.push([vcpu(last + HOUR_MS, 105)])
    await core.rate()
    await open_with(core, last, project(counter(last, 100)))
    other = new_core(core.pool)

    for hour in (3, 0, 2, 1):
        await other.push([vcpu(first + hour * HOUR_MS, 10.0 * hour)])
        await other.push([disk(first + hour * HOUR_MS, 7)])
        await other.rate()
        await core.rate()

    assert {4: 5} == await vcpu_hours(core, first)
    assert {("vcpu", "", (first // HOUR_MS) + 4): 5_000_000} == await core.charged("p")


async def test_what_both_services_charged_is_taken_back_here_by_corrections(core: Core) -> None:
    first = await first_hour(core)
    await core.push([vcpu(first + hour * HOUR_MS, 10.0 * hour) for hour in range(6)])
    await core.push([disk(first + minute * 60_000, 3) for minute in range(0, 360, 30)])
    await core.rate()
    await core.book(grace=AT_ONCE)
    last = first + 3 * HOUR_MS
    assert {0: 10, 1: 10, 2: 10, 3: 10, 4: 10} == await vcpu_hours(core, first)

    [opened] = await open_with(core, last, project(counter(last, 30)))
    await core.rate()
    await core.book(grace=AT_ONCE)

    assert {3: 10, 4: 10} == await vcpu_hours(core, first)
    number = first // HOUR_MS
    assert {("disk", "", number + hour): 6_000_000 for hour in (3, 4)} | {
        ("disk", "", number + 5): 3_000_000
    } == {key: one for key, one in (await core.charged("p")).items() if key[0] == "disk"}
    assert credits_of("750.373456") + 20 + 15 == (await balance_of(core, opened.project_id)).used


async def test_each_series_counts_from_its_own_last_value(core: Core) -> None:
    """A server that the file does not name was charged up to the moment of the opening."""
    first = await first_hour(core)
    for hour in range(6):
        await core.push([vcpu(first + hour * HOUR_MS, 10.0 * hour, name) for name in "abc"])
    await core.rate()

    await open_with(
        core,
        first + 3 * HOUR_MS,
        project(counter(first + HOUR_MS, 10, "a"), counter(first + 2 * HOUR_MS, 20, "b")),
    )

    # a: hours 1 to 4, b: 2 to 4, c: 3 and 4.
    assert {1: 10, 2: 20, 3: 30, 4: 30} == await vcpu_hours(core, first)


async def test_the_last_value_of_a_server_that_is_gone_costs_nothing(core: Core) -> None:
    first = await first_hour(core)

    await open_with(core, first, project(counter(first - 90 * 24 * HOUR_MS, 5000, "gone")))

    assert {} == await vcpu_hours(core, first)


async def test_other_content_under_the_same_key_is_refused_before_anything_is_written(
    core: Core,
) -> None:
    first = await first_hour(core)
    new, known = project(project_id="", name="beta"), project(counter(first, 7))
    await open_with(core, first, known)

    for changes, named in (
        ({"charged": [{"meter": "vcpu", "credits": "700.26"}]}, "opening:1:vcpu"),
        ({"charged": [{"meter": "vcpu", "credits": "0"}]}, "opening:1:vcpu"),
        ({"grants": [{"id": "2025", "amount": "999", "reason": "x"}]}, "opening-grant:1:2025"),
        ({"counters": []}, "opening:1:vcpu"),
        ({"counters": [counter(first, 7.5)]}, "opening:1:vcpu"),
    ):
        with pytest.raises(Conflict, match=f"{named} was imported with other content"):
            await open_with(core, first, new, known | changes)

    async with connection(core.pool) as conn:
        assert 0 == await conn.fetchval("SELECT count(*) FROM project WHERE name = 'beta'")
    request = GrantRequest(1, credits_of(1), "x", "x", "opening-grant:1:2027")
    await grant(core.pool, request, percents=PERCENTS)
    with pytest.raises(Conflict, match="was used for another grant"):
        await open_with(core, first, known | {"grants": [{"id": "2027", "amount": "1"}]})


async def test_more_of_the_older_service_can_follow_later(core: Core) -> None:
    first = await first_hour(core)
    charges = project()["charged"]
    await open_with(core, first, project(charged=charges[:1], grants=[]))

    [opened] = await open_with(core, first, project())

    assert (True, 3) == (opened.is_new, opened.entry_count)
    balance = await balance_of(core, opened.project_id)
    assert (credits_of("1500.5"), credits_of("750.373456")) == (balance.granted, balance.used)


async def test_an_opening_of_the_future_is_refused(core: Core) -> None:
    ahead = await core.now_ms() + 60_000

    with pytest.raises(InvalidInput, match=r"as_of: .* is yet to come"):
        await open_with(core, ahead, project())


async def test_nobody_is_told_of_lines_that_were_crossed_before(core: Core) -> None:
    """Ten per cent are left, below both lines; a grant arms the upper one again."""
    first = await first_hour(core)
    charged = [{"meter": "vcpu", "credits": "900"}]
    [opened] = await open_with(
        core, first, project(grants=[{"id": "a", "amount": "1000"}], charged=charged)
    )
    lines = (*PERCENTS, Decimal(0))
    watch = replace(WATCH, lines=replace(WATCH.lines, percents=lines))
    nobody = await check_notices(core.pool, WATCH)
    request = GrantRequest(opened.project_id, credits_of(1000), "more", "ada", "k")
    await grant(core.pool, request, percents=lines)

    await core.push([vcpu(first, 0), vcpu(first + HOUR_MS, 200)])
    await core.rate()
    told = await check_notices(core.pool, watch)

    assert (0, 1) == (nobody, told)
    async with connection(core.pool) as conn:
        [notice] = await list_notices(conn, opened.project_id, limit=9)
        assert [Person("ada@lab.example", "Ada")] == await list_people(conn, opened.project_id)
    assert (Decimal(50), credits_of(900), credits_of(2000)) == (
        notice.percent,
        notice.balance,
        notice.granted,
    )


async def test_the_next_line_below_the_opening_is_told(core: Core) -> None:
    first = await first_hour(core)
    charged = [{"meter": "vcpu", "credits": "600"}]
    await open_with(core, first, project(grants=[{"id": "a", "amount": "1000"}], charged=charged))
    before = await check_notices(core.pool, WATCH)

    await core.push([vcpu(first, 0), vcpu(first + HOUR_MS, 250)])
    await core.rate()

    assert (0, 1) == (before, await check_notices(core.pool, WATCH))


async def test_history_and_page_count_the_opening_as_used_and_granted(core: Core) -> None:
    first = await first_hour(core)
    [opened] = await open_with(core, first, project(counter(first, 0)))
    await core.push([vcpu(first + hour * HOUR_MS, 10.0 * hour) for hour in range(1, 4)])
    await core.rate()
    await core.book(grace=AT_ONCE)

    async with snapshot(core.pool) as conn:
        [one] = await list_projects_by_id(conn, [opened.project_id])
        history = await read_history(
            conn, one.id, after=beginning(EPOCH), until=None, lines_max=100
        )
        columns = await read_used(conn, one.id, start=EPOCH, until=None, lines_max=100)
        facts = await read_facts(conn, one, Asked("7d"))

    balance = history.balance
    assert [str(totals.used) for _, totals in history.lines] == [
        "0.000000", "0.000000", "700.250000", "750.373456", "760.373456", "770.373456",
        "780.373456",
    ]  # fmt: skip
    assert min(totals.balance for _, totals in history.lines) >= 0
    assert history.lines[-1][1].balance == balance.current
    assert columns.used == [700.25, 750.373456, 760.373456, 770.373456, 780.373456]
    assert columns.metrics == ["vcpu_total", "disk_used", *["vcpu_total"] * 3]
    view = view_of(facts)
    assert [one.amount for one in facts.changes] == [credits_of("500.5"), credits_of(1000)]
    assert view.steps[-1].left == balance.current
    assert {item.meter: item.credits for item in view.items} == {
        "vcpu": credits_of("730.25"),
        "disk": credits_of("50.123456"),
    }
    assert sum(row.used for row in view.rows) == balance.used
    assert sum(row.given for row in view.rows) == balance.granted


class Explaining:
    """Stands for a connection, and keeps the plans of what it is asked instead of asking."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn
        self.plans: list[str] = []

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        rows = await self.conn.fetch(f"EXPLAIN {statement}", *arguments)
        self.plans.append("\n".join(row[0] for row in rows))
        return []


async def test_what_was_given_is_found_by_the_index_of_all_but_usage(core: Core) -> None:
    """The rule of what is used must not make every balance read the whole ledger."""
    async with connection(core.pool) as conn, conn.transaction():
        await conn.execute("SET LOCAL enable_seqscan = off")
        explaining: Any = Explaining(conn)
        await read_balances(explaining, [1])
        await list_watched(explaining, after_id=0, limit=10)
        await sum_moved(explaining, 1, start=EPOCH, end=datetime.now(UTC), by="day")

    assert 3 == len(explaining.plans)
    assert all("entry_credited" in plan for plan in explaining.plans[::2])
    assert all("Seq Scan on entry" not in plan for plan in explaining.plans)


async def test_each_project_of_an_opening_is_a_transaction_of_its_own(core: Core) -> None:
    """The second of three cannot be written; the first one stays, and is known the next time."""
    first = await first_hour(core)
    three = [
        project(project_id=name, name=name, charged=[], grants=[{"id": "a", "amount": "5"}])
        for name in ("p1", "p2", "p3")
    ]
    await open_with(core, first, three[1] | {"grants": []})
    async with connection(core.pool) as conn:
        await conn.execute(
            "INSERT INTO project_owner SELECT 1, n || '@lab.example' FROM generate_series(1, 100) n"
        )

    with pytest.raises(Conflict, match="'p2' would have more than 100 owners"):
        await open_with(core, first, *three)
    opened = await open_with(core, first, three[0], three[1] | {"owners": []}, three[2])

    assert [False, True, True] == [one.is_new for one in opened]
    amounts = [(await balance_of(core, one.project_id)).granted for one in opened]
    assert [credits_of(5)] * 3 == amounts
