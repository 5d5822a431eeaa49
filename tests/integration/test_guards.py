"""Guards on which money depends, one by one: each falls with one mutation (docs/invariants.md)."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from os_credits.decode.remote_write_encode import encode_v1, encode_v2
from os_credits.domain.amount import credits_of
from os_credits.domain.entry import CHAIN_START, EntryDraft, EntryKind, link_hash
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import EPOCH, HOUR, from_ms
from os_credits.domain.price import Price, PriceList
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.flows.exclusions import ExclusionRequest, exclude
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.settle import SettlementRequest, settle
from os_credits.ledger.posting import due_at
from os_credits.store import rating_state
from os_credits.store.pool import connection, transaction
from os_credits.store.server import read_durability
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.senders import V1, V2
from tests.core import STALE, WINDOW_MS, Core, Written, new_core, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOUR_MS = 3_600_000


def meter(name: str, **changes: Any) -> MeterDefinition:
    """Declare a meter of whole steps that knows flavor and status, but for what is said."""
    usual = {
        "metric": name, "unit": "thing", "steps_per_unit": 1, "project_id": "project",
        "resource": "server", "flavor": "flavor", "match": {"status": ["ACTIVE"]},
    }  # fmt: skip
    return MeterDefinition(**{"name": name, **usual, **changes})


FILE = MeterFile(
    (
        meter("level", kind="gauge"),
        meter("server", kind="gauge", value="one"),
        meter("total", kind="counter"),
        meter("amount", kind="delta"),
    ),
    tuple(
        FilePrice(name, flavor, price)
        for name in ("level", "server", "total", "amount")
        for flavor, price in ((None, Decimal(1)), ("large", Decimal(10)))
    ),
)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


def sample(metric: str, time_ms: int, value: float, **labels: str) -> Written:
    usual = {"project": "p1", "server": "s1", "flavor": "small", "status": "ACTIVE"}
    return {"__name__": metric, **usual, **labels}, time_ms, value


async def fetched(core: Core, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async with connection(core.pool) as conn:
        return [tuple(row) for row in await conn.fetch(statement, *arguments)]


async def charged(core: Core) -> dict[str, Decimal]:
    """Give what each project is charged in all, by its id."""
    rows = await fetched(
        core,
        "SELECT p.external_id, sum(c.charged) FROM charge c JOIN project p ON p.id = c.project_id "
        "GROUP BY 1 HAVING sum(c.charged) <> 0",
    )
    return dict(rows)


async def hour_before(core: Core, hours: int = 2) -> int:
    return (await core.now_ms() // HOUR_MS - hours) * HOUR_MS


async def test_the_database_refuses_the_same_sample_twice(core: Core) -> None:
    hour = await hour_before(core)
    await core.push([sample("amount", hour, 5)])
    await core.rate()

    columns = "series_id, hour, flavor_id, kind, quantity, credits"
    with pytest.raises(asyncpg.UniqueViolationError):
        await fetched(core, "INSERT INTO sample_block SELECT * FROM sample_block")
    with pytest.raises(asyncpg.UniqueViolationError):
        await fetched(core, f"INSERT INTO usage ({columns}) SELECT {columns} FROM usage")


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_sent_again_is_billed_once(core: Core, at_once: bool) -> None:
    """In one rating run and in another one; of a level, presence, a counter and an amount."""
    hour = await hour_before(core)
    body = [
        sample(metric, hour + at, value)
        for metric in ("level", "server", "total", "amount")
        for at, value in ((0, 3), (1_800_000, 5))
    ]
    for _ in range(3):
        await core.push(body)
        if not at_once:
            await core.rate()
    await core.rate()

    assert {"p1": Decimal("1.5") + Decimal("0.5") + 2 + (3 + 5)} == await charged(core)
    assert 16 == core.stats.duplicate_samples


async def test_what_is_acknowledged_is_there_for_everyone_at_once(core: Core) -> None:
    await core.push([sample("amount", await core.now_ms(), 1)])

    assert [(1,)] == await fetched(core, "SELECT sample_count FROM batch")


async def test_commits_wait_for_the_disk_in_the_sessions_of_the_service(core: Core) -> None:
    async with connection(core.pool) as conn:
        durability = await read_durability(conn)

    assert "on" == durability.synchronous_commit == durability.full_page_writes


async def test_a_tie_is_decided_alike_in_any_order(core: Core) -> None:
    """What fits beats what does not, then the larger value, then the larger flavor text."""
    hour = await hour_before(core)
    tied = [
        sample("level", hour, 90, status="SHUTOFF", flavor="xl"),
        sample("level", hour, 4, flavor="xl"),
        sample("level", hour, 6, flavor="large"),
        sample("level", hour, 6, flavor="small"),
    ]
    orders = list(permutations(tied))
    for number, order in enumerate(orders):
        for labels, time_ms, value in order:
            await core.push([({**labels, "project": f"p{number}"}, time_ms, value)])
            if number % 2:
                await core.rate()
        await core.push([sample("level", hour + HOUR_MS, 0, project=f"p{number}")])
    await core.rate()

    assert {f"p{number}": Decimal(6) for number in range(len(orders))} == await charged(core)


async def test_a_late_sample_finds_two_neighbours_before_it(core: Core) -> None:
    """A dip to 3 lies just before it: it grew from 5, not from 3."""
    hour = await hour_before(core)
    await core.push([sample("total", hour + at, value) for at, value in ((0, 5), (1, 3), (3, 10))])
    await core.rate()
    await core.push([sample("total", hour + 2, 6, flavor="large")])
    await core.rate()

    assert {"p1": Decimal((6 - 5) * 10 + (10 - 6))} == await charged(core)


async def test_a_sample_that_beats_another_moves_the_two_after_it(core: Core) -> None:
    hour = await hour_before(core)
    await core.push([sample("total", hour + at, at) for at in (1, 2, 3, 4, 5, 6)])
    await core.rate()
    await core.push([sample("total", hour + 2, 5)])
    await core.rate()

    # 2: 5 - 1; 3: 3 - max(5, 1); 4: 4 - max(3, 5); 5: 5 - max(4, 3); 6: 6 - max(5, 4).
    assert {"p1": Decimal(4 + 1 + 1)} == await charged(core)


async def rate_and_fail(core: Core) -> None:
    async with core.rater.turn() as conn:
        await core.rater.rate_all(conn)
        raise RuntimeError("doubt")


async def test_a_copy_whose_turn_failed_does_not_miss_what_another_one_wrote(core: Core) -> None:
    """Its rise of the epoch was rolled back, so the next one that it makes has the same number."""
    other = new_core(core.pool)
    hour = await hour_before(core)
    await core.push([sample("total", hour, 9)])
    await other.rate()
    await core.push([sample("total", hour + 1, 10)])
    with pytest.raises(RuntimeError, match="doubt"):
        await rate_and_fail(core)
    await core.push([sample("total", hour + 2, 20)])
    await other.rate()
    await core.push([sample("total", hour + 3, 40)])
    await core.rate()

    assert {"p1": Decimal(40 - 9)} == await charged(core)


async def test_a_copy_does_not_rate_while_another_one_holds_the_lock(core: Core) -> None:
    hour = await hour_before(core)
    await core.push([sample("total", hour, 1)])
    await core.rate()
    await core.push([sample("total", hour + 1, 3)])
    async with transaction(core.pool) as conn:
        await rating_state.lock(conn)
        assert 0 == await core.rater.run()
    await core.rate()

    assert {"p1": Decimal(2)} == await charged(core)


async def test_an_exclusion_of_one_series_lets_later_samples_of_others_in(core: Core) -> None:
    hour = await hour_before(core)
    await core.push(
        [sample("amount", hour, 5, server="s1"), sample("amount", hour, 7, server="s2")]
    )
    await core.rate()
    ((project_id, series_id),) = await fetched(
        core, "SELECT project_id, id FROM series WHERE resource = 's1'"
    )
    request = ExclusionRequest(project_id, "bad", "tester", series_id=series_id)
    await exclude(core.pool, request, window_ms=WINDOW_MS)
    await core.push([sample("amount", hour + 1, 1000, server="s1")])
    await core.push([sample("amount", hour + 1, 11, server="s2")])
    await core.rate()

    assert {"p1": Decimal(7 + 11)} == await charged(core)


async def test_a_verdict_does_not_reach_usage_that_other_hours_find_later(core: Core) -> None:
    """Two servers unseen for an hour and a half; only the second hour is settled."""
    hour = await hour_before(core, 3)
    for server, billed in (("s1", 3), ("s2", 6)):
        await core.push(
            [
                sample("level", hour, 6, server=server),
                sample("level", hour + 5_400_000, 0, server=server),
            ]
        )
        await core.rate()
        if server == "s1":
            ((project_id,),) = await fetched(core, "SELECT id FROM project")
            hours = from_ms(hour) + HOUR, from_ms(hour) + 2 * HOUR
            request = SettlementRequest(
                project_id, UsageKind.UNMETERED, *hours, Verdict.BILL, "was there", "tester"
            )
            await settle(core.pool, request)

        assert {"p1": Decimal(billed)} == await charged(core)


async def test_a_gap_is_billed_up_to_its_last_millisecond(core: Core) -> None:
    hour = await hour_before(core, 3)
    for project, gap_ms in (("within", HOUR_MS), ("beyond", HOUR_MS + 1)):
        await core.push([sample("level", hour, 7, project=project)])
        await core.push([sample("level", hour + gap_ms, 0, project=project)])
    await core.rate()

    assert {"within": Decimal(7)} == await charged(core)


async def test_a_stale_marker_ends_presence(core: Core) -> None:
    hour = await hour_before(core)
    await core.push([sample("server", hour, 1), sample("server", hour + 900_000, STALE)])
    await core.push([sample("server", hour + 1_800_000, 1), sample("server", hour + HOUR_MS, 1)])
    await core.rate()

    assert {"p1": Decimal("0.75")} == await charged(core)


def test_an_hour_closes_a_grace_period_after_its_end() -> None:
    end, grace = datetime(2027, 5, 1, 11, tzinfo=UTC), timedelta(minutes=15)

    assert end - HOUR == due_at(end + grace - timedelta(microseconds=1), grace).closed_until
    assert end == due_at(end + grace, grace).closed_until


async def test_an_hour_within_its_grace_is_not_booked(core: Core) -> None:
    hour = await hour_before(core, 1)
    await core.push([sample("amount", hour, 5)])
    await core.rate()

    assert 0 == await core.book(grace=timedelta(hours=1))
    assert [] == await fetched(core, "SELECT FROM entry")


def test_of_two_prices_for_one_start_the_later_revision_counts() -> None:
    revisions = [
        Price(2, 1, None, EPOCH + HOUR, Decimal(7), "second"),
        Price(1, 1, None, EPOCH + HOUR, Decimal(5), "first"),
        Price(3, 1, None, EPOCH, Decimal(3), "third, but older"),
    ]
    for order in permutations(revisions):
        prices = PriceList(order)
        found = [prices.at(1, 0, hour) for hour in (0, HOUR_MS - 1, HOUR_MS)]

        assert [3, 3, 7] == [price and price.credits_per_unit for price in found]


DRAFT = EntryDraft(
    project_id=1, kind=EntryKind.CORRECTION, amount=credits_of("-1.5"), hour=EPOCH, reason="r",
    author="a", entry_key="k", meter_id=2, flavor_id=3, corrects=4, grant_id=5,
)  # fmt: skip
OTHERS: dict[str, Any] = {
    "project_id": 9, "kind": EntryKind.USAGE, "amount": credits_of("-1.500001"),
    "hour": from_ms(HOUR_MS), "reason": "s", "author": "b", "entry_key": "l", "meter_id": 9,
    "flavor_id": 9, "corrects": 9, "grant_id": 9,
}  # fmt: skip


def test_every_field_of_an_entry_is_in_its_hash() -> None:
    assert {field.name for field in fields(EntryDraft)} == set(OTHERS)
    place = (7, credits_of("2"), EPOCH, CHAIN_START)
    changed = [link_hash(replace(DRAFT, **{name: value}), *place) for name, value in OTHERS.items()]
    moved = [
        link_hash(DRAFT, 8, *place[1:]),
        link_hash(DRAFT, 7, credits_of("2.000001"), *place[2:]),
        link_hash(DRAFT, 7, place[1], EPOCH + timedelta(microseconds=1), CHAIN_START),
        link_hash(DRAFT, *place[:3], bytes(31) + b"\1"),
    ]

    assert len({link_hash(DRAFT, *place), *changed, *moved}) == 1 + len(OTHERS) + 4


AMOUNTS = """
[[meter]]
name = "requests"
metric = "requests"
kind = "delta"
unit = "request"
project_id = "project"
"""


async def test_amounts_do_not_come_by_remote_write(database_url: str, tmp_path: Path) -> None:
    """Its senders repeat and interleave as they like; line protocol's have one writer each."""
    file = tmp_path / "meters.toml"
    file.write_text(AMOUNTS)
    async with running(settings_for(database_url, meter_file=file)) as service:
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        series = [((("__name__", "requests"), ("project", "p1")), [(now_ms, 1.0)])]
        for body, headers in ((encode_v1(series), V1), (encode_v2(series), V2)):
            async with service.request(
                "POST", "/api/v1/write", key="ingest", data=body, headers=headers
            ) as response:
                assert 400 == response.status
                assert "takes amounts" in await response.text()
        line = f"requests,project=p1 value=1 {now_ms}"
        async with service.request(
            "POST", "/write?precision=ms", key="ingest", data=line
        ) as response:
            assert 204 == response.status
