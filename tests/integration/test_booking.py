"""Hours close, charges become entries, late amounts become corrections; the sums always hold."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.entry import CHAIN_START, EntryDraft, EntryKind, link_hash
from os_credits.domain.grant import GrantRequest
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import EPOCH, HOUR, floor_hour, from_ms
from os_credits.errors import Conflict, NotFound
from os_credits.flows.meters import FilePrice, MeterFile, apply_whitelist, load_meters
from os_credits.flows.prices import set_price
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection, transaction
from tests.core import Core, Written, grant, new_core, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.balance import Balance

HOUR_MS = 3_600_000
PERCENTS = (Decimal(50), Decimal(20), Decimal(0))
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu", metric="vcpu", kind="counter", unit="vCPU-hour",
            project_id="project", project_name="name", flavor="flavor",
        ),
    ),
    (FilePrice("vcpu", None, Decimal(2)), FilePrice("vcpu", "big", Decimal(5))),
)  # fmt: skip


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


def sample(time_ms: int, value: float, *, flavor: str = "", name: str = "p") -> Written:
    labels = {"__name__": "vcpu", "project": "p1", "name": name, "flavor": flavor}
    return {key: text for key, text in labels.items() if text}, time_ms, value


async def entries_of(core: Core) -> list[dict[str, Any]]:
    async with connection(core.pool) as conn:
        return [dict(row) for row in await conn.fetch("SELECT * FROM entry ORDER BY sequence")]


async def balance_of(core: Core) -> Balance:
    async with connection(core.pool) as conn:
        project_id = await conn.fetchval("SELECT id FROM project")
        return (await read_balances(conn, [project_id]))[project_id]


async def age_charges(core: Core, by: timedelta) -> None:
    """Let time pass for charges: as if they had changed that much earlier."""
    async with connection(core.pool) as conn:
        await conn.execute(
            "UPDATE charge SET changed_at = changed_at - $1::interval, "
            "differs_since = differs_since - $1::interval",
            by,
        )


async def two_hours_ago(core: Core) -> int:
    return (await core.now_ms() // HOUR_MS - 2) * HOUR_MS


async def test_a_closed_hour_is_booked_once_and_late_usage_is_a_correction(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour, 10), sample(hour + 60_000, 13)])
    await core.rate()

    assert 0 == await core.book()  # late: it waits for quiet
    assert Decimal(-6) == (await balance_of(core)).current

    await age_charges(core, timedelta(minutes=16))

    assert 1 == await core.book()
    assert 0 == await core.book()

    await core.push([sample(hour + 120_000, 14)])
    await core.rate()
    await age_charges(core, timedelta(minutes=16))

    assert 1 == await core.book()
    usage, correction = await entries_of(core)
    assert ("usage", Decimal(-6), None) == (usage["kind"], usage["amount"], usage["corrects"])
    assert ("correction", Decimal(-2), usage["id"]) == (
        correction["kind"], correction["amount"], correction["corrects"],
    )  # fmt: skip
    assert from_ms(hour) == usage["hour"] == correction["hour"]
    assert Decimal(-8) == correction["balance"] == (await balance_of(core)).current


async def test_what_was_there_when_its_hour_closed_is_booked_at_once(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour, 10), sample(hour + 60_000, 13)])
    await core.rate()
    async with connection(core.pool) as conn:
        await conn.execute("UPDATE charge SET changed_at = hour + interval '61 minutes'")

    assert 1 == await core.book()


async def test_the_open_hour_is_never_booked(core: Core) -> None:
    now = await core.now_ms()
    hour = now // HOUR_MS * HOUR_MS
    await core.push([sample(hour - 2 * HOUR_MS, 1), sample(hour, 2), sample(hour + 1, 3)])
    await core.rate()
    await age_charges(core, timedelta(days=2))
    await core.book(grace=timedelta(0))

    assert hour not in [int(e["hour"].timestamp() * 1000) for e in await entries_of(core)]
    assert Decimal(-4) == (await balance_of(core)).current


async def test_booking_rates_what_was_acknowledged_before(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour, 10), sample(hour + 60_000, 13)])
    await core.book()

    assert Decimal(6) == (await balance_of(core)).tally


async def test_entries_form_a_chain_that_recomputes(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour, 10), sample(hour + 60_000, 13, flavor="big")])
    await core.rate()
    await age_charges(core, timedelta(days=2))
    await core.book()
    async with connection(core.pool) as conn:
        project_id = await conn.fetchval("SELECT id FROM project")
    request = GrantRequest(project_id, credits_of("100"), "start", "tester", "k1")
    await grant(core.pool, request, percents=PERCENTS)
    entries = await entries_of(core)

    previous = CHAIN_START
    for entry in entries:
        draft = EntryDraft(
            kind=EntryKind(entry["kind"]),
            **{
                field: entry[field]
                for field in (
                    "project_id", "amount", "hour", "reason", "author", "entry_key",
                    "meter_id", "flavor_id", "corrects", "grant_id",
                )
            },
        )  # fmt: skip
        assert previous == entry["previous_hash"]
        previous = link_hash(
            draft, entry["sequence"], entry["balance"], entry["booked_at"], previous
        )
        assert previous == entry["hash"]
    assert [1, 2] == [entry["sequence"] for entry in entries]


async def test_a_grant_is_given_once_for_each_key(core: Core) -> None:
    await core.push([sample(await two_hours_ago(core), 1)])
    async with connection(core.pool) as conn:
        project_id = await conn.fetchval("SELECT id FROM project")
    request = GrantRequest(project_id, credits_of("100.5"), "start", "tester", "k1")
    first = await grant(core.pool, request, percents=PERCENTS)
    again = await grant(core.pool, request, percents=PERCENTS)

    assert (True, False) == (first.created, again.created)
    assert first.effect == again.effect
    assert Decimal("100.5") == again.balance.current == again.balance.granted
    other = GrantRequest(project_id, credits_of("100.6"), "start", "tester", "k1")
    with pytest.raises(Conflict, match="k1"):
        await grant(core.pool, other, percents=PERCENTS)


async def test_a_price_for_the_past_corrects_exactly_its_hours(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour - HOUR_MS, 0), sample(hour, 1), sample(hour + HOUR_MS, 3)])
    await core.rate()
    await age_charges(core, timedelta(days=2))
    await core.book()
    change = partial(
        set_price, core.pool, meter="vcpu", flavor=None, credits_per_unit=Decimal("2.5"),
        author="t", valid_from=from_ms(hour),
    )  # fmt: skip

    preview = await change(preview=True)
    assert (1, 1, Decimal(1)) == (preview.hour_count, preview.project_count, preview.credits)
    assert Decimal(-6) == (await balance_of(core)).current

    done = await change()
    assert (preview.hour_count, preview.credits) == (done.hour_count, done.credits)
    assert Decimal(-7) == (await balance_of(core)).current
    await age_charges(core, timedelta(days=2))
    await core.book()
    assert [("usage", "-2"), ("usage", "-4"), ("correction", "-1")] == [
        (entry["kind"], f"{entry['amount']:.0f}") for entry in await entries_of(core)
    ]


async def test_a_new_price_counts_for_samples_that_come_later(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour, 0)])
    await core.rate()
    await set_price(
        core.pool, meter="vcpu", flavor=None, credits_per_unit=Decimal(3),
        valid_from=from_ms(hour), author="t",
    )  # fmt: skip
    await core.push([sample(hour + 1000, 1)])
    await core.rate()

    assert Decimal(-3) == (await balance_of(core)).current


async def test_usage_without_a_price_is_kept_and_charged_once_there_is_one(core: Core) -> None:
    hour = await two_hours_ago(core)
    price = partial(set_price, core.pool, meter="vcpu", flavor=None, author="t", valid_from=EPOCH)
    await price(credits_per_unit=None)
    await core.push([sample(hour, 0), sample(hour + 1000, 4)])
    await core.rate()
    assert Decimal(0) == (await balance_of(core)).current

    await price(credits_per_unit=Decimal("0.5"))

    assert Decimal(-2) == (await balance_of(core)).current


async def test_an_unknown_meter_has_no_price(core: Core) -> None:
    with pytest.raises(NotFound, match="nothing"):
        await set_price(
            core.pool, meter="nothing", flavor=None, credits_per_unit=Decimal(1),
            valid_from=floor_hour(EPOCH), author="t",
        )  # fmt: skip


async def test_the_whitelist_holds_from_its_hour_on(core: Core) -> None:
    hour = (await core.now_ms()) // HOUR_MS * HOUR_MS
    await core.push([sample(hour - HOUR_MS, 0), sample(hour, 1)])
    await core.rate()
    start = await apply_whitelist(core.pool, ["somebody else"])
    await core.push([sample(hour + 1, 5)])
    await core.rate()

    assert from_ms(hour) == start
    assert Decimal(-2) == (await balance_of(core)).current

    assert None is await apply_whitelist(core.pool, ["somebody else"])
    await apply_whitelist(core.pool, ["somebody else", "p"])
    assert Decimal(-10) == (await balance_of(core)).current


async def test_the_latest_sample_names_the_project_whatever_comes_first(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour + 2000, 2, name="new")])
    await core.rate()
    await core.push([sample(hour + 1000, 1, name="old")])
    await core.rate()
    async with connection(core.pool) as conn:
        assert "new" == await conn.fetchval("SELECT name FROM project")
    await core.push([sample(hour + 3000, 3, name="newest")])
    await core.rate()
    async with connection(core.pool) as conn:
        assert "newest" == await conn.fetchval("SELECT name FROM project")


async def test_a_changed_meter_is_a_version_from_a_coming_hour(core: Core) -> None:
    changed = FILE.meters[0].model_copy(update={"max_rate": Decimal(7)})
    result = await load_meters(core.pool, MeterFile((changed,), FILE.prices))
    again = await load_meters(core.pool, MeterFile((changed,), FILE.prices))

    start = result.new_versions["vcpu"]
    assert floor_hour(start) == start
    assert timedelta(minutes=15) <= start - from_ms(await core.now_ms()) <= 2 * HOUR
    assert {} == again.new_versions


async def rate_and_fail(core: Core) -> None:
    async with core.rater.turn() as conn:
        await core.rater.rate_all(conn)
        raise RuntimeError("doubt")


async def test_a_rolled_back_run_leaves_no_trace_in_memory(core: Core) -> None:
    hour = await two_hours_ago(core)
    await core.push([sample(hour, 10)])
    await core.rate()
    await core.push([sample(hour + 1000, 11)])
    with pytest.raises(RuntimeError, match="doubt"):
        await rate_and_fail(core)
    await core.rate()

    assert Decimal(-2) == (await balance_of(core)).current


async def test_two_copies_take_turns_and_agree(core: Core) -> None:
    other = new_core(core.pool)
    hour = await two_hours_ago(core)
    for step in range(20):
        await core.push([sample(hour + step * 1000, step)])
        await other.push([sample(hour + step * 1000, step)])
        await (core if step % 2 else other).rater.run()
        if step % 5 == 0:
            async with transaction(core.pool) as conn:
                await conn.execute("SELECT FROM rating_state FOR UPDATE")
                assert 0 == await other.rater.run()  # somebody else has the lock
    await core.rate()

    assert Decimal(-38) == (await balance_of(core)).current
