"""What a push leaves behind besides its samples: projects in the database, label sets in memory."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.access import Access, Scope
from os_credits.domain.meter import MeterDefinition
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.registry import Limits, Registry
from os_credits.store.pool import connection
from tests.core import ADMIN, Core, Written, labels_of, opened_core, push_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


async def test_long_label_sets_are_not_remembered_without_end(core: Core) -> None:
    registry = Registry(Limits(64, 1024, 100_000, label_set_bytes_cached_max=10_000))
    for number in range(10):
        push = push_of([({"__name__": "unknown", "text": f"{number}{'x' * 3000}"}, 0, 1.0)])
        known = await registry.resolve(core.pool, "test", push.keys, labels_of, ADMIN)
        assert ["unknown"] == [one.metric for one in known]

    # Three of them fit; before the fourth all are forgotten: 1-3, 4-6, 7-9, and the last.
    assert 1 == len(registry)


async def test_one_label_set_longer_than_the_memory_still_works(core: Core) -> None:
    registry = Registry(Limits(64, 1024, 100_000, label_set_bytes_cached_max=100))
    push = push_of([({"__name__": "unknown", "text": "x" * 3000}, 0, 1.0)])
    for _ in range(2):
        known = await registry.resolve(core.pool, "test", push.keys, labels_of, ADMIN)
        assert ["unknown"] == [one.metric for one in known]
