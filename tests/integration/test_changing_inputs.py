"""Exclusions, settlements and revised meters: each causes exactly the corrections that it must."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.period import HOUR_MS, from_ms
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.exclusions import ExclusionRequest, exclude, lift
from os_credits.flows.revise import revise
from os_credits.flows.settle import SettlementRequest, settle
from os_credits.store.pool import connection
from tests.core import WINDOW_MS, opened_core
from tests.integration.changing_inputs import (
    FILE,
    base_hour,
    booked,
    by_hour,
    entries,
    minutes,
    project_id,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.core import Core

MINUTE = 60_000
# Late amounts wait for a quiet grace period: with a negative one everything is quiet.
AT_ONCE = timedelta(seconds=-1)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    """Give one copy of the service."""
    async with opened_core(database_url, FILE) as one:
        yield one


async def taken_out(core: Core, start_ms: int | None, end_ms: int | None) -> int:
    request = ExclusionRequest(
        await project_id(core),
        "sensor was broken",
        "op",
        starts_at=None if start_ms is None else from_ms(start_ms),
        ends_at=None if end_ms is None else from_ms(end_ms),
    )
    done = await exclude(core.pool, request, window_ms=WINDOW_MS)
    assert done.exclusion_id is not None
    return done.exclusion_id


async def stored(core: Core) -> tuple[int, int]:
    async with connection(core.pool) as conn:
        return (
            await conn.fetchval("SELECT count(*) FROM sample"),
            await conn.fetchval("SELECT count(*) FROM excluded_sample"),
        )


# -- exclusions


async def test_an_excluded_sample_counts_as_if_it_had_never_come(core: Core) -> None:
    base = await base_hour(core)
    good = minutes(base, (0, 2), (20, 2), (60, 2), (80, 0))
    bad = minutes(base, (30, 50), (40, 60))
    await core.push([*good[:2], *bad, *good[2:]])
    assert 2 == len(await booked(core, grace=AT_ONCE))

    await taken_out(core, base + 30 * MINUTE, base + 41 * MINUTE)

    # 20 -> 60 is longer than half an hour: unmetered. Left: 0 -> 20, and 60 -> 80 an hour later.
    assert {0: 666_667, 1: 666_667} == await by_hour(core, base)
    assert (4, 2) == await stored(core)
    kinds = [kind for kind, *_ in await booked(core, grace=AT_ONCE)]
    assert ["usage", "usage", "correction"] == kinds
    assert -(666_667 * 2) == sum(amount for _, amount, _ in await entries(core))


async def test_samples_that_come_into_an_exclusion_are_laid_aside(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 2), (30, 2)))
    await core.rate()
    await taken_out(core, base + 10 * MINUTE, base + 20 * MINUTE)

    await core.push(minutes(base, (10, 90), (15, 90), (15, 95), (20, 4)))
    await core.push(minutes(base, (15, 95)))
    await core.rate()

    assert {0: round(1_000_000 * (2 * 20 + 4 * 10) / 60)} == await by_hour(core, base)
    assert (3, 2) == await stored(core)
    assert 4 == core.stats.excluded_samples


async def test_what_is_lifted_counts_again_to_the_last_digit(core: Core) -> None:
    base = await base_hour(core)
    everything = [
        *minutes(base, (0, 2), (10, 7), (25, 3), (55, 1), (70, 9), (75, 0)),
        *minutes(base, (0, 10), (10, 5), (30, 14), (50, 11), (90, 20), meter="total"),
    ]
    await core.push(everything)
    await core.rate()
    before = await by_hour(core, base), await by_hour(core, base, meter="total")

    wide = await taken_out(core, None, None)
    assert ({}, {}) == (await by_hour(core, base), await by_hour(core, base, meter="total"))
    inner = await taken_out(core, base, base + 20 * MINUTE)
    assert 0 == (await stored(core))[0]

    await lift(core.pool, wide, reason="was right", author="op")
    await core.rate()
    assert (7, 4) == await stored(core)
    await lift(core.pool, inner, reason="was right too", author="op")
    await core.rate()

    assert before == (await by_hour(core, base), await by_hour(core, base, meter="total"))
    with pytest.raises(Conflict, match="lifted before"):
        await lift(core.pool, inner, reason="again", author="op")


async def test_a_preview_of_an_exclusion_keeps_nothing(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 6), (20, 6), (40, 6)))
    await core.rate()
    before = await by_hour(core, base)
    request = ExclusionRequest(
        await project_id(core), "x", "op", starts_at=from_ms(base + 20 * MINUTE)
    )

    seen = await exclude(core.pool, request, window_ms=WINDOW_MS, preview=True)

    assert (None, 2) == (seen.exclusion_id, seen.sample_count)
    assert (1, 1, -4_000_000) == (
        seen.change.hour_count, seen.change.project_count, seen.change.micro,
    )  # fmt: skip
    assert before == await by_hour(core, base)
    assert (3, 0) == await stored(core)


async def test_an_exclusion_of_one_series_spares_the_others(core: Core) -> None:
    base = await base_hour(core)
    await core.push(
        [sample("level", base + at * MINUTE, 1, server=s) for at in (0, 30) for s in "ab"]
    )
    await core.rate()
    async with connection(core.pool) as conn:
        series_id = await conn.fetchval("SELECT id FROM series WHERE resource = 'a'")
    request = ExclusionRequest(await project_id(core), "x", "op", series_id=series_id)

    await exclude(core.pool, request, window_ms=WINDOW_MS)

    assert {0: 500_000} == await by_hour(core, base)
    with pytest.raises(NotFound, match="no series 999"):
        await exclude(
            core.pool,
            ExclusionRequest(await project_id(core), "x", "op", series_id=999),
            window_ms=WINDOW_MS,
        )


async def test_an_exclusion_that_ends_before_it_starts_is_refused(core: Core) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    with pytest.raises(InvalidInput, match="after its start"):
        await exclude(
            core.pool,
            ExclusionRequest(1, "x", "op", starts_at=moment, ends_at=moment),
            window_ms=WINDOW_MS,
        )


# -- settlements


async def settled(core: Core, base: int, kind: UsageKind, verdict: Verdict) -> int:
    request = SettlementRequest(
        await project_id(core), kind, from_ms(base), from_ms(base + 2 * HOUR_MS),
        verdict, "the owner says so", "op",
    )  # fmt: skip
    return (await settle(core.pool, request)).change.micro


async def test_suspect_usage_is_billed_once_a_person_says_so(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 10), (30, 110), (45, 112), meter="total"))
    assert [("usage", -4_000_000, None)] == await booked(core, grace=AT_ONCE)

    assert 200_000_000 == await settled(core, base, UsageKind.SUSPECT, Verdict.BILL)
    assert ("correction", -200_000_000) == (await booked(core, grace=AT_ONCE))[-1][:2]

    # A late sample shows that a part of it was slow enough: the verdict holds for the rest.
    await core.push(minutes(base, (29, 20), meter="total"))
    await core.rate()
    assert {0: 204_000_000} == await by_hour(core, base, meter="total")

    assert -180_000_000 == await settled(core, base, UsageKind.SUSPECT, Verdict.WAIVE)
    assert 0 == await settled(core, base, UsageKind.SUSPECT, Verdict.REOPEN)
    assert {0: 24_000_000} == await by_hour(core, base, meter="total")


async def test_unmetered_time_is_billed_for_as_long_as_no_sample_fills_it(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 6), (60, 6), (90, 0)))
    await core.rate()
    assert {1: 3_000_000} == await by_hour(core, base)

    assert 6_000_000 == await settled(core, base, UsageKind.UNMETERED, Verdict.BILL)
    assert {0: 6_000_000, 1: 3_000_000} == await by_hour(core, base)

    await core.push(minutes(base, (20, 3), (40, 3)))
    await core.rate()
    assert {0: 4_000_000, 1: 3_000_000} == await by_hour(core, base)


async def test_a_settlement_is_only_for_its_kind_and_hours(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 6), (60, 6), (90, 0)))
    await core.rate()

    assert 0 == await settled(core, base, UsageKind.SUSPECT, Verdict.BILL)
    assert 0 == await settled(core, base + HOUR_MS, UsageKind.UNMETERED, Verdict.BILL)
    with pytest.raises(InvalidInput, match="full hour"):
        await settled(core, base + 1, UsageKind.SUSPECT, Verdict.BILL)


async def test_a_preview_of_a_settlement_keeps_nothing(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 6), (60, 6)))
    await core.rate()
    request = SettlementRequest(
        await project_id(core), UsageKind.UNMETERED, from_ms(base), from_ms(base + HOUR_MS),
        Verdict.BILL, "x", "op",
    )  # fmt: skip

    seen = await settle(core.pool, request, preview=True)

    assert (None, 6_000_000) == (seen.settlement_id, seen.change.micro)
    assert {} == await by_hour(core, base)


# -- meters


async def test_a_wider_gap_for_the_past_corrects_exactly_its_hours(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 6), (45, 6), (120, 6), (165, 6), (180, 0)))
    await booked(core, grace=AT_ONCE)
    assert {2: 1_500_000} == await by_hour(core, base)
    change = partial(
        revise, core.pool, meter="level", changes={"max_gap_seconds": 2700},
        valid_from=from_ms(base + 2 * HOUR_MS), reason="scrapes are slower", author="op",
        window_ms=WINDOW_MS,
    )  # fmt: skip

    seen = await change(preview=True)
    done = await change()

    assert (1, 4_500_000) == (seen.change.hour_count, seen.change.micro)
    assert seen.change.micro == done.change.micro
    assert {2: 6_000_000} == await by_hour(core, base)
    assert ("correction", -4_500_000) == (await booked(core, grace=AT_ONCE))[-1][:2]
    with pytest.raises(Conflict, match="begins at"):
        await change(changes={"max_gap_seconds": 100})


async def test_samples_after_a_revision_are_rated_by_it_in_whatever_order(core: Core) -> None:
    base = await base_hour(core)
    await core.push(minutes(base, (0, 1), meter="total"))
    await core.rate()
    await revise(
        core.pool, meter="total", changes={"on_reset": "restart", "max_rate": None},
        valid_from=from_ms(base + HOUR_MS), reason="one source", author="op",
        window_ms=WINDOW_MS,
    )  # fmt: skip

    await core.push(minutes(base, (150, 4), (30, 3), meter="total"))
    await core.push(minutes(base, (90, 70), (110, 1), meter="total"))
    await core.rate()

    # By hour 0's rule: 3 - 1; 70 - 3 over an hour is suspect there, but not from hour 1 on, where
    # the fall to 1 is a restart.
    half = 33_500_000
    assert {0: 4_000_000, 1: 2 * (half + 1_000_000) + 2 * 750_000, 2: 2 * 2_250_000} == (
        await by_hour(core, base, meter="total")
    )


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"project_id": "x"}, "only max_gap_seconds"),
        ({"max_gap_seconds": -1}, "greater than 0"),
        ({"max_gap_seconds": 1800}, "holds already"),
    ],
)
async def test_a_revision_that_cannot_be_is_refused(
    core: Core, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        await revise(
            core.pool, meter="level", changes=changes,
            valid_from=from_ms(await base_hour(core)), reason="x", author="op",
            window_ms=WINDOW_MS,
        )  # fmt: skip


async def test_a_revision_for_hours_to_come_belongs_into_the_meter_file(core: Core) -> None:
    with pytest.raises(InvalidInput, match="lies ahead"):
        await revise(
            core.pool, meter="level", changes={"max_rate": None},
            valid_from=from_ms(await base_hour(core, hours_ago=-2)), reason="x", author="op",
            window_ms=WINDOW_MS,
        )  # fmt: skip
