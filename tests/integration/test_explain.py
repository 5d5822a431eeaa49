"""Explanations over the real database: they add up, repeat by hand, and tell what is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from os_credits.domain.entry import EntryKind
from os_credits.domain.explanation import Explanation, Outcome, Reach, UsageLine
from os_credits.domain.period import EPOCH, HOUR, to_ms
from os_credits.domain.usage import UsageKind
from os_credits.errors import NotFound
from os_credits.flows.explain import explain_entry, explain_hour
from os_credits.flows.explain_samples import View
from os_credits.flows.prices import set_price
from os_credits.flows.retain import Kept, retain
from os_credits.store.pool import connection, snapshot
from os_credits.store.projects import list_projects_by_id
from tests.core import WINDOW_MS, opened_core
from tests.database import as_owner
from tests.integration.explained import FILE, PROJECT, make_hour
from tests.unit.rating.arithmetic import result_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from tests.core import Core
    from tests.integration.explained import Told

WHOLE = View(lines_max=100, pairs_max=1000, each=True)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as one:
        yield one


async def hour_of(
    core: Core, told: Told, view: View = WHOLE, *, hour: datetime | None = None, **chosen: str
) -> Explanation:
    async with snapshot(core.pool) as conn:
        (project,) = await list_projects_by_id(conn, [told.project_id])
        return await explain_hour(
            conn, project, hour or told.hour, view, window_ms=WINDOW_MS, **chosen
        )


async def entry_of(core: Core, entry_id: int, **more: Any) -> Explanation:
    async with snapshot(core.pool) as conn:
        return await explain_entry(conn, entry_id, WHOLE, window_ms=WINDOW_MS, **more)


async def change(core: Core, statement: str, *arguments: object) -> None:
    async with connection(core.pool) as conn:
        await conn.execute(statement, *arguments)


async def drop(core: Core, kept: Kept) -> None:
    await retain(core.rater, kept)  # announces what is dropped then
    while await retain(core.rater, kept):
        pass


def named(told: Explanation) -> dict[tuple[str, str, str, UsageKind], UsageLine]:
    return {
        (charge.meter.name, charge.flavor, line.resource, line.kind): line
        for charge in told.charges
        for line in charge.lines
    }


async def test_an_hour_adds_up_from_its_samples_to_its_entries(core: Core) -> None:
    """And whoever repeats the printed calculations gets the credits that are stored."""
    made = await make_hour(core)

    told = await hour_of(core, made, View(lines_max=100, pairs_max=1000))

    assert told.problems == ()
    assert told.reach is Reach.SAMPLES
    for charge in told.charges:
        assert charge.charged == sum(line.credits or 0 for line in charge.lines)
        assert charge.charged == -sum(entry.draft.amount for _, entry in charge.entries)
        for line in charge.lines:
            assert line.trace is not None
            assert line.trace.quantity == line.quantity
            if line.cost is not None and line.credits is not None:
                by_hand = round(result_of(line.cost.exactly) * 10**6)
                assert by_hand == Fraction(line.credits) * 10**6
            parts = Fraction(0)
            for one in line.trace.contributions:
                if one.formula is not None:
                    result = result_of(one.formula.expression)
                    in_steps = one.formula.unit == "steps"
                    parts += result / charge.meter.steps_per_unit if in_steps else result
            assert parts == result_of(line.trace.total.expression.split(" / ")[0])
    lines = named(told)
    gap = lines["server_running", "m1.large", "db-1", UsageKind.UNMETERED]
    assert (gap.outcome, gap.credits) == (Outcome.PRICED, Decimal("4.266667"))
    assert gap.settlement is not None
    assert gap.settlement.reason == "it ran all the time, see ticket 12"
    assert lines["volume_size", "", "typo", UsageKind.SUSPECT].outcome is Outcome.OPEN
    assert lines["requests", "", "g1", UsageKind.BILLED].outcome is Outcome.UNPRICED
    small = lines["server_running", "m1.small", "web-1", UsageKind.BILLED]
    assert small.price is not None
    assert (small.price.author, small.credits) == ("cli:ada", Decimal("0.100000"))
    (exclusion,) = told.exclusions
    assert (exclusion.sample_count, exclusion.meter) == (4, "volume_size")
    data = lines["volume_size", "", "data", UsageKind.BILLED].trace
    assert data is not None
    assert (data.sample_count, data.excluded_count) == (4, 2)
    assert data.label_sets[0].labels["volume"] == "data"


async def test_every_entry_says_what_it_books_and_what_came_between(core: Core) -> None:
    await make_hour(core)
    async with connection(core.pool) as conn:
        rows = await conn.fetch("SELECT id, kind FROM entry ORDER BY id")

    for row in rows:
        told = await entry_of(core, row["id"])
        assert told.entry is not None
        (charge,) = told.charges
        assert told.problems == ()
        assert told.entry.is_hash_right
        assert row["id"] in [id_ for id_, _ in charge.entries]

    corrections = [row["id"] for row in rows if row["kind"] == EntryKind.CORRECTION]
    between = []
    for entry_id in corrections:
        (charge,) = (await entry_of(core, entry_id)).charges
        first, last = charge.entries[0][1], charge.entries[-1][1]
        between += [one for one in charge.events if first.booked_at < one.at < last.booked_at]
    assert {one.what for one in between} == {
        "price 0.3 per server-hour of m1.small",
        "unmetered usage: bill",
    }
    assert {one.author for one in between} == {"cli:ada"}


async def test_pages_put_together_are_the_whole(core: Core) -> None:
    made = await make_hour(core)
    whole = await hour_of(core, made)

    view = replace(WHOLE, lines_max=2)
    lines: dict[tuple[str, str, str, UsageKind], UsageLine] = {}
    while True:
        page = await hour_of(core, made, view)
        assert [one.charged for one in page.charges] == [one.charged for one in whole.charges]
        lines |= named(page)
        if page.next_place is None:
            break
        view = replace(view, after=page.next_place)

    assert lines == named(whole)
    assert len(lines) == 8
    only = await hour_of(core, made, meter="server_running", flavor="m1.small")
    assert [(one.meter.name, one.flavor) for one in only.charges] == [
        ("server_running", "m1.small")
    ]
    few = await hour_of(core, made, View(100, 2), meter="vcpu_hours")
    trace = few.charges[0].lines[0].trace
    assert trace is not None
    assert (len(trace.contributions), trace.hidden_count) == (2, 8)


async def test_figures_that_do_not_follow_from_each_other_are_told(core: Core) -> None:
    made = await make_hour(core)
    assert (await hour_of(core, made)).problems == ()

    core.leaves_a_mess = True
    await change(core, "UPDATE usage SET quantity = quantity + 1 WHERE quantity = 630900000000000")
    await change(core, "UPDATE usage SET credits = 3 WHERE credits = 3.733333")
    await change(core, "UPDATE charge SET booked = 7 WHERE booked = 3.419496")
    problems = (await hour_of(core, made)).problems

    assert len(problems) == 4
    for words in (
        "its samples add up to 630 900 000 000 000 step·ms, but 630 900 000 000 001 are stored",
        "it must cost 3.733333 credits, but 3.000000 credits is stored",
        "server_running m1.large: its usage costs 8.973334 credits, but 9.706667 is charged",
        "vcpu_hours: its entries book 3.419496 credits, but 7.000000 is stored as booked",
    ):
        assert any(words in problem for problem in problems), problems


async def test_a_hash_that_does_not_follow_is_told(core: Core, database_url: str) -> None:
    await make_hour(core)
    core.leaves_a_mess = True
    with psycopg.connect(as_owner(database_url), autocommit=True) as owner:
        owner.execute("ALTER TABLE entry DISABLE TRIGGER entry_is_append_only")
        owner.execute("UPDATE entry SET amount = amount - 1 WHERE id = 1")

    told = await entry_of(core, 1)

    assert any("entry #1: its hash does not follow" in one for one in told.problems)


async def test_a_foreign_entry_and_an_unknown_one_look_the_same(core: Core) -> None:
    await make_hour(core)
    said = []
    for entry_id, sees in ((1, False), (999_999, True)):
        with pytest.raises(NotFound) as caught:
            await entry_of(core, entry_id, may_see=lambda _, sees=sees: sees)
        said.append(str(caught.value).replace(str(entry_id), "N"))

    assert said[0] == said[1]


async def test_what_was_dropped_is_said_and_the_rest_is_told(core: Core) -> None:
    made = await make_hour(core, days_ago=20)
    midnight = made.hour.replace(hour=0) + timedelta(days=1)
    at = to_ms(midnight)
    labels = {"__name__": "vcpu_hours", "project": PROJECT}
    late = [(labels, at + minute * 60_000, 110.0 + minute) for minute in (-20, -10, 15, 70)]
    await core.push(late)
    await core.rate()
    await core.book(grace=timedelta(0))
    before = await hour_of(core, made, hour=midnight)
    charged = [one.charged for one in (await hour_of(core, made)).charges]
    now = EPOCH + timedelta(milliseconds=await core.now_ms())

    await drop(core, Kept(now - midnight - HOUR, None, announced_for=timedelta(0)))
    usage = await hour_of(core, made)

    assert (usage.reach, usage.problems) == (Reach.USAGE, ())
    assert usage.samples_dropped_until == midnight
    assert all(line.trace is None for one in usage.charges for line in one.lines)
    # The hour behind still finds its two samples before it, in the floor.
    assert named(before) == named(await hour_of(core, made, hour=midnight))

    await set_price(
        core.pool, meter="requests", flavor=None, credits_per_unit=Decimal(2),
        valid_from=made.hour, author="cli:ada",
    )  # fmt: skip
    await core.book(grace=timedelta(0))
    await drop(core, Kept(timedelta(days=1), timedelta(days=2), timedelta(0)))
    day = await hour_of(core, made)

    assert (day.reach, day.problems) == (Reach.DAY, ())
    assert [one.charged for one in day.charges][:-1] == charged[:-1]
    assert day.charges[-1].charged == Decimal(14)
    large = next(one.day for one in day.charges if one.flavor == "m1.large")
    assert large is not None
    assert [(one.resource, one.credits) for one in large.lines] == [
        ("web-1", Decimal("3.733333")),
        ("db-1", Decimal("5.973334")),
    ]
    assert large.daily == large.charged == Decimal("9.706667")
