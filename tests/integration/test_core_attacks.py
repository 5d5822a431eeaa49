"""Attacks on the core that once worked: each would have cost credits, or stopped their account."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from os_credits.domain.access import Access, Scope
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import EPOCH, HOUR, floor_hour, from_ms
from os_credits.flows.ingest import Ingest
from os_credits.flows.meters import FilePrice, MeterFile, apply_whitelist, load_meters
from os_credits.flows.prices import set_price
from os_credits.rating.judgement import AcceptanceWindow
from os_credits.store import batches, meters
from os_credits.store.pool import connection, transaction
from tests import database
from tests.core import (
    ADMIN,
    WINDOW_MS,
    Core,
    Written,
    labels_of,
    new_core,
    opened_core,
    push_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR_MS = 3_600_000
WINDOW = AcceptanceWindow(WINDOW_MS, 600_000)


def meter(name: str, **changes: Any) -> MeterDefinition:
    """Declare a counter of whole steps, but for what is said otherwise."""
    usual = {
        "name": name, "metric": name, "kind": "counter", "unit": "thing", "project_id": "project",
        "project_name": "name", "resource": "server", "site": "site",
    }  # fmt: skip
    return MeterDefinition(**{**usual, **changes})


FILE = MeterFile(
    (
        meter("vcpu"),
        meter("level", kind="gauge", steps_per_unit=1, max_gap_seconds=86400),
        meter("tenants", metric="vcpu2"),
    ),
    (
        FilePrice("vcpu", None, Decimal(1)),
        FilePrice("level", None, Decimal(10) ** 14),
        FilePrice("tenants", None, Decimal(1)),
    ),
)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


def sample(time_ms: int, value: float, *, metric: str = "vcpu", **labels: str) -> Written:
    return {"__name__": metric, "project": "p1", **labels}, time_ms, value


async def rows(core: Core, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    async with connection(core.pool) as conn:
        return [tuple(row) for row in await conn.fetch(statement, *values)]


async def hour_before(core: Core, hours: int = 2) -> int:
    return (await core.now_ms() // HOUR_MS - hours) * HOUR_MS


async def test_an_absurd_level_does_not_stop_the_account_of_the_others(core: Core) -> None:
    hour = await hour_before(core)
    absurd = [sample(hour + at, 4e18, metric="level") for at in (0, 60_000)]
    await core.push(absurd)
    await core.push([sample(hour, 1), sample(hour + 1000, 2)])
    await core.rate()

    assert [(Decimal(1),)] == await rows(core, "SELECT charged FROM charge WHERE charged <> 0")
    assert [(None,)] == await rows(core, "SELECT credits FROM usage WHERE quantity > 3600000")


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_name_of_a_project_does_not_depend_on_the_order(
    core: Core, order: tuple[int, ...]
) -> None:
    hour = await hour_before(core)
    said = [
        sample(hour, 1, name="named", server="a"),
        sample(hour + 2000, 2, server="a"),
        sample(hour - 1000, 2, name="older", server="b"),
    ]
    for index in order:
        await core.push([said[index]])
        await core.rate()

    assert [("named",)] == await rows(core, "SELECT name FROM project")


async def test_a_refused_sample_puts_nobody_on_the_whitelist(core: Core) -> None:
    await apply_whitelist(core.pool, ["listed"])
    hour = await hour_before(core)
    refused = await core.push([sample(hour - 40 * 24 * HOUR_MS, 1, name="listed")])
    await core.push([sample(hour, 1), sample(hour + 1, 2)])
    await core.rate()

    charged = "SELECT sum(credits)::int FROM usage"
    assert 0 == refused.accepted
    assert [(0,)] == await rows(core, charged)
    await core.push([sample(hour - 1, 1, name="listed")])
    await core.rate()
    assert [(1,)] == await rows(core, charged)


async def test_a_moment_before_1970_is_refused_and_not_swallowed(core: Core) -> None:
    receipt = await core.push([sample(-1, 1), sample(-(2**63), 1)])

    assert 0 == receipt.accepted
    assert 2 == sum(rejected.sample_count for rejected in receipt.rejected)


async def test_a_label_set_that_one_version_cannot_read_still_feeds_the_other(
    core: Core, owner_database_url: str
) -> None:
    """A version is made exactly because the labels of the one before it were wrong."""
    mended = meter("vcpu", project_id=None, project_name="tenant")
    await load_meters(core.pool, MeterFile((mended,), ()))
    with psycopg.connect(owner_database_url) as conn:
        conn.execute(
            "UPDATE meter_version SET valid_from = %s WHERE valid_from > 'epoch'",
            [from_ms(await hour_before(core))],
        )
    core.registry.forget()
    hour = await hour_before(core)
    said = {"__name__": "vcpu", "tenant": "t1"}
    receipt = await core.push(
        [(said, hour, 1.0), (said, hour + 1000, 3.0), (said, hour - 1000, 0.0)]
    )
    await core.rate()

    assert 2 == receipt.accepted
    assert ["needs the label project"] == [
        part for one in receipt.rejected for part in ["needs the label project"]
        if part in one.reason
    ]  # fmt: skip
    assert [("t1", Decimal(2))] == await rows(
        core, "SELECT p.name, charged FROM charge c JOIN project p ON p.id = c.project_id"
    )


async def test_every_copy_knows_a_new_version_before_its_next_push(core: Core) -> None:
    """Also a copy whose clock stands still, as one that only serves."""
    other = new_core(core.pool)
    hour = await hour_before(core)
    await other.push([sample(hour, 1, queue="q1"), sample(hour, 1, metric="late")])
    await load_meters(core.pool, MeterFile((*FILE.meters, meter("late")), FILE.prices))
    receipt = await other.push([sample(hour, 1, metric="late")])

    assert (1, {}) == (receipt.accepted, dict(receipt.unknown))


async def test_what_was_learned_while_the_meters_changed_is_not_remembered(
    core: Core, owner_database_url: str
) -> None:
    hour = await hour_before(core)
    with psycopg.connect(owner_database_url) as conn:  # holds the learner in its transaction
        conn.execute("LOCK TABLE flavor IN ACCESS EXCLUSIVE MODE")
        learner = asyncio.create_task(core.push([sample(hour, 1)]))
        await asyncio.sleep(0.3)
        async with transaction(core.pool) as second:
            versions = await meters.list_versions(second)
            changed = replace(versions[0]).definition.model_copy(update={"max_rate": Decimal(7)})
            await meters.insert_version(
                second, versions[0].meter_id, changed, floor_hour(from_ms(hour)) - HOUR
            )
        await core.registry.refresh(core.pool)
    await learner
    await core.push([sample(hour + 1000, 1)])

    versions_of = await rows(
        core,
        "SELECT count(*) FROM label_set l JOIN meter_version v ON v.id = l.meter_version_id "
        "WHERE v.valid_from > 'epoch'",
    )
    assert [(1,)] == versions_of


async def test_no_sample_can_be_waiting_in_the_hours_of_a_new_version(core: Core) -> None:
    """Settings allow samples 50 min ahead: a new version must start later than any of them."""
    changed = meter("vcpu", max_rate=Decimal(7))
    result = await load_meters(core.pool, MeterFile((changed,), ()))

    assert result.new_versions["vcpu"] - from_ms(await core.now_ms()) > timedelta(minutes=50)


async def test_a_key_of_one_site_makes_no_projects_in_another(core: Core) -> None:
    hour = await hour_before(core)
    access = Access("limited", frozenset({Scope.INGEST}), sites=frozenset({"mine"}))
    receipt = await core.push(
        [sample(hour, 1, site="mine"), sample(hour, 1, site="other", name="p1")], access=access
    )

    assert 1 == receipt.accepted
    assert [("mine",)] == await rows(core, "SELECT site FROM project")
    allowed = await core.push([sample(hour, 1, site="other")])
    assert 1 == allowed.accepted


async def test_booking_ends_though_pushes_never_do(core: Core) -> None:
    hour = await hour_before(core)
    pushed = 0

    async def push_on() -> None:
        nonlocal pushed
        while True:
            pushed += 1
            await core.push([sample(hour + pushed, pushed)])

    senders = [asyncio.create_task(push_on()) for _ in range(4)]
    try:
        async with asyncio.timeout(15):
            for _ in range(3):
                await core.book()
    finally:
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)


async def test_booking_commits_what_it_rated_before_it_takes_more(core: Core) -> None:
    """A long backlog must not become one transaction that loses all when it is cut off."""
    hour = await hour_before(core)
    slow = new_core(core.pool, samples_max=1)
    for at in range(40):
        await core.push([sample(hour + at, at)])
    await slow.book()
    waiting = (await rows(core, "SELECT count(*) FROM batch"))[0][0]

    assert 0 < waiting < 40
    for _ in range(10):
        await slow.book()
    assert [(0,)] == await rows(core, "SELECT count(*) FROM batch")


async def test_a_full_run_is_known_by_its_samples_and_by_its_batches(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = await hour_before(core)
    by_samples, by_batches = new_core(core.pool, samples_max=3).rater, core.rater
    monkeypatch.setattr(batches, "BATCHES_AT_ONCE_MAX", 4)
    found = []
    for at in range(4):
        found.append((await by_samples.has_full_run(), await by_batches.has_full_run()))
        await core.push([sample(hour + at, at)])
    found.append((await by_samples.has_full_run(), await by_batches.has_full_run()))

    assert [(False, False)] * 3 + [(True, False), (True, True)] == found
    await core.rate()
    assert not await by_samples.has_full_run()


async def test_another_database_under_the_same_name_is_not_taken_for_the_first(
    core: Core, migrated_template: str
) -> None:
    """As after a switch to a standby that lacks the last commits."""
    hour = await hour_before(core)
    await core.push([sample(hour, 1, server="lost")])
    await core.rate()
    with database.database(database.server_url(), template=migrated_template) as url:
        async with opened_core(url, FILE) as other:
            await other.push([sample(hour, 1, server="kept")])
            await other.rate()
            ingest = Ingest(other.pool, core.registry, core.stats, WINDOW)
            for at, server in ((1, "lost"), (2, "lost"), (3, "kept")):
                await ingest.accept(
                    push_of([sample(hour + at, at + 1, server=server)]),
                    labels_of=labels_of, door="test", access=ADMIN,
                )  # fmt: skip
            core.rater._pool = other.pool
            await core.rate()

            assert [("kept", 3), ("lost", 1)] == await rows(
                other,
                "SELECT s.resource, quantity::bigint / 1000000 FROM usage u "
                "JOIN series s ON s.id = u.series_id ORDER BY 1",
            )


async def test_a_counter_silent_for_weeks_is_rated_in_bounded_parts(core: Core) -> None:
    now = await core.now_ms()
    count, days = 40, 30
    start = now - days * 24 * HOUR_MS
    for at, value in ((start, 0), (now, days * 24)):
        await core.push([sample(at, value, server=f"s{number}") for number in range(count)])
        await core.rate()

    summed = "SELECT sum(quantity)::bigint, sum(credits) FROM usage"
    assert [(count * days * 24 * 10**6, Decimal(count * days * 24))] == await rows(core, summed)
    assert [(Decimal(count * days * 24),)] == await rows(core, "SELECT sum(charged) FROM charge")
    change = await set_price(
        core.pool, meter="vcpu", flavor=None, credits_per_unit=Decimal(3), author="t",
        valid_from=EPOCH,
    )  # fmt: skip
    assert Decimal(count * days * 24 * 2) == change.credits
    assert [(3 * count * days * 24,)] == await rows(core, "SELECT sum(charged)::int FROM charge")
