"""What a push leaves behind besides its samples: projects in the database, label sets in memory."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from os_credits.domain.access import Access, Scope
from os_credits.domain.meter import MeterDefinition
from os_credits.errors import Unavailable
from os_credits.flows.ingest import Ingest
from os_credits.flows.label_reading import Limits
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.registry import Registry
from os_credits.rating.judgement import AcceptanceWindow
from os_credits.store.pool import connection
from tests.core import ADMIN, WINDOW_MS, Core, Written, labels_of, opened_core, push_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.claim import KnownLabelSet
    from os_credits.domain.sample import Push
    from os_credits.flows.ingest import Receipt
    from os_credits.store.meters import Clock

FILE = MeterFile(
    tuple(
        MeterDefinition(
            name=name, metric="vcpu", kind="counter", unit="vCPU-hour", project_name="project",
            site="site",
        )
        for name in ("first", "second")
    ),
    (FilePrice("first", None, Decimal(1)),),
)  # fmt: skip


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


def limited(**limits: Any) -> Access:
    return Access("limited", frozenset({Scope.INGEST}), **limits)


async def rows(core: Core, statement: str) -> list[tuple[Any, ...]]:
    async with connection(core.pool) as conn:
        return [tuple(row) for row in await conn.fetch(statement)]


async def vcpu(core: Core, project: str, site: str) -> Written:
    return {"__name__": "vcpu", "project": project, "site": site}, await core.now_ms(), 1.0


async def test_a_key_of_one_site_makes_no_project_at_another(core: Core) -> None:
    push = [await vcpu(core, "mine", "here"), await vcpu(core, "forged", "there")]
    for _ in range(2):
        receipt = await core.push(push, access=limited(sites=frozenset({"here"})))
        assert {"line 2"} == {one.where for one in receipt.rejected}

    assert [("mine",)] == await rows(core, "SELECT name FROM project")


async def test_a_key_of_one_meter_makes_no_series_of_another(core: Core) -> None:
    push = [await vcpu(core, "p", "here")]
    receipt = await core.push(push, access=limited(meters=frozenset({"first"})))

    assert (1, 1) == (receipt.accepted, len(receipt.rejected))
    series = "SELECT m.name FROM series s JOIN meter m ON m.id = s.meter_id ORDER BY 1"
    assert [("first",)] == await rows(core, series)
    # What one key was refused is not held against the next one.
    assert 2 == (await core.push(push)).accepted
    assert [("first",), ("second",)] == await rows(core, series)


async def resolved(registry: Registry, core: Core, push: Push) -> list[KnownLabelSet]:
    """Ask what is known of the label sets of a push, storing none."""
    known = await registry.resolve(
        core.pool, "test", push.keys, labels_of, ADMIN, worth_storing=lambda _: ()
    )
    return [known.kinds[number] for number in known.kind_index.tolist()]


async def test_samples_that_are_too_old_make_no_project(core: Core) -> None:
    metric, time_ms, value = await vcpu(core, "p", "here")
    old = (metric, time_ms - WINDOW_MS - 1000, value)

    receipt = await core.push([old])

    assert (0, 1) == (receipt.accepted, receipt.refused)
    assert ["older than"] * 2 == reasons(receipt, "older than")  # what either meter says
    for table in ("project", "series", "label_set"):
        assert [] == await rows(core, f"SELECT id FROM {table}")
    # With one that is not, the label set is stored, and only the old sample is refused.
    receipt = await core.push([old, (metric, time_ms, value)])
    assert (2, 1) == (receipt.accepted, receipt.refused)


async def test_a_key_brings_as_many_new_series_in_an_hour_as_it_may(core: Core) -> None:
    bring_at_most(core, 3)
    pushes = [await vcpu(core, f"p{number}", "here") for number in range(5)]
    spendthrift, other = limited(key_id=1), limited(key_id=2)

    # Each label set counts once for either of the two meters.
    first = await core.push(pushes[:2], access=spendthrift)
    again = await core.push(pushes[:3], access=spendthrift)
    others = await core.push(pushes[2:3], access=other)
    # What another key has brought is new no more.
    afterwards = await core.push(pushes[:3], access=spendthrift)

    assert (3, 3, 2, 5) == tuple(one.accepted for one in (first, again, others, afterwards))
    assert ["new series"] * 3 == reasons(again, "new series")
    assert {"new_series": 1 + 3 + 1} == core.stats.refused
    assert 3 == len(await rows(core, "SELECT id FROM project"))


async def test_what_could_not_be_stored_is_not_counted_as_new(
    core: Core, owner_database_url: str
) -> None:
    bring_at_most(core, 2)
    push = [await vcpu(core, "p", "here")]
    await as_owner(owner_database_url, "ALTER TABLE flavor RENAME TO elsewhere")
    for _ in range(3):
        with pytest.raises(asyncpg.PostgresError):
            await core.push(push)
    await as_owner(owner_database_url, "ALTER TABLE elsewhere RENAME TO flavor")

    assert 2 == (await core.push(push)).accepted


async def as_owner(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(statement)


async def test_where_the_clock_was_set_back_meanwhile_the_push_has_to_come_again(
    core: Core,
) -> None:
    class Behind(Ingest):
        """Looked at the label sets when all their samples were too old."""

        def _acceptable_keys(self, push: Push, clock: Clock) -> set[bytes]:
            del push, clock
            return set()

    push = [await vcpu(core, "p", "here")]
    behind = Behind(core.pool, core.registry, core.stats, AcceptanceWindow(WINDOW_MS, 600_000))
    with pytest.raises(Unavailable):
        await behind.accept(push_of(push), labels_of=labels_of, door="test", access=ADMIN)

    assert {} == core.stats.accepted
    assert [] == await rows(core, "SELECT id FROM batch")
    assert 2 == (await core.push(push)).accepted


def bring_at_most(core: Core, new_series: int) -> None:
    core.registry = Registry(Limits(64, 1024, 100_000, new_series_per_hour_max=new_series))
    window = AcceptanceWindow(WINDOW_MS, 600_000)
    core.ingest = Ingest(core.pool, core.registry, core.stats, window)


def reasons(receipt: Receipt, words: str) -> list[str]:
    """Give the words once for every refused sample whose reason holds them."""
    return [words for one in receipt.rejected if words in one.reason]


async def test_text_where_a_meter_takes_a_number_is_set_aside(core: Core) -> None:
    push = push_of([await vcpu(core, "p", "here")])
    push.texts.update({"vcpu": 2, "unheard_of": 5})

    receipt = await core.ingest.accept(push, labels_of=labels_of, door="test", access=ADMIN)

    assert {"text": 2} == receipt.set_aside
    assert {"text": 2} == core.stats.set_aside


async def test_long_metrics_are_not_remembered_without_end(core: Core) -> None:
    registry = Registry(Limits(64, 1024, 100_000, cached_text_bytes_max=10_000))
    for number in range(10):
        metric = f"unknown_{number}_{'x' * 3000}"
        known = await resolved(registry, core, push_of([({"__name__": metric}, 0, 1.0)]))
        assert [metric] == [one.metric for one in known]

    # Two of them fill a generation, and there are two generations.
    assert 4 == len(registry)


async def test_a_flood_of_strange_label_sets_does_not_make_the_honest_ones_forgotten(
    core: Core,
) -> None:
    registry = Registry(Limits(64, 1024, 100))
    honest = push_of([({"__name__": "unknown", "text": "honest"}, 0, 1.0)])
    [known] = await resolved(registry, core, honest)
    for number in range(30):
        strange = [
            ({"__name__": "unknown", "text": f"{number} {one}"}, 0, 1.0) for one in range(40)
        ]
        await resolved(registry, core, push_of(strange))
        assert [known] == [one for one in await resolved(registry, core, honest) if one is known]

    assert len(registry) <= 100


async def test_one_label_set_longer_than_the_memory_still_works(core: Core) -> None:
    registry = Registry(Limits(64, 1024, 100_000, cached_text_bytes_max=100))
    push = push_of([({"__name__": "x" * 3000}, 0, 1.0)])
    for _ in range(2):
        known = await resolved(registry, core, push)
        assert ["x" * 3000] == [one.metric for one in known]
