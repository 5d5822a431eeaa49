"""Who sends what, as several copies of the service and restarts of it add it up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from os_credits.domain.access import Access, Scope
from os_credits.domain.meter import MeterDefinition, MeterKind
from os_credits.domain.sample import Rejected
from os_credits.domain.source import Source, SourceKey
from os_credits.flows import sources
from os_credits.flows.keys import KeyRequest, KeyRing, create_key
from os_credits.flows.meters import MeterFile
from os_credits.flows.sources import SITES_MAX, SOURCES_MAX, Reporter, read_sources
from os_credits.store import copies, key_uses
from os_credits.store.pool import connection, transaction
from tests.core import Core, Written, new_core, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu",
            metric="vcpu",
            kind=MeterKind.COUNTER,
            unit="vCPU-hour",
            project_id="project",
            site="site",
        ),
    ),
    (),
)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as one:
        yield one


def sender(key_id: int) -> Access:
    return Access("sender", frozenset({Scope.INGEST}), key_id=key_id)


def reporter(core: Core, ring: KeyRing | None = None) -> Reporter:
    return Reporter(core.pool, core.stats.sources, ring or KeyRing(), list)


def sample(site: str, time_ms: int, *, metric: str = "vcpu", project: str = "alpha") -> Written:
    return ({"__name__": metric, "project": project, "site": site}, time_ms, 1.0)


async def told(core: Core) -> dict[SourceKey, Source]:
    async with connection(core.pool) as conn:
        _, found = await read_sources(conn)
    return {one.source.key: one.source for one in found}


async def test_a_push_is_told_of_its_key_door_and_site(core: Core) -> None:
    now = await core.now_ms()
    await core.push([sample("berlin", now - 2000), sample("berlin", now)], access=sender(7))
    await reporter(core).run()

    [(key, source)] = (await told(core)).items()

    assert SourceKey(7, "test", "berlin") == key
    assert (1, 2, 2) == (source.push_count, source.accepted_count, source.recent_counts[-1])
    assert source.last_sample_at is not None
    assert now == int(source.last_sample_at.timestamp() * 1000)
    assert abs(source.last_push_at - source.last_sample_at) < timedelta(seconds=10)


async def test_sites_of_one_push_are_told_apart(core: Core) -> None:
    now = await core.now_ms()
    await core.push([sample("a", now), sample("b", now - 5), sample("b", now)], access=sender(7))
    await reporter(core).run()

    found = await told(core)

    assert {"a": 1, "b": 2} == {key.site: source.accepted_count for key, source in found.items()}


async def test_what_was_refused_is_told_with_its_reason(core: Core) -> None:
    now = await core.now_ms()
    much_too_old = now - 400 * 86_400_000
    await core.push([sample("a", now), sample("a", much_too_old)], access=sender(7))
    await core.push([sample("a", now, metric="nobodys")], access=sender(7))
    core.stats.sources.note_body(sender(7), "test", Rejected("body", "no \x00 snappy"))
    await reporter(core).run()

    found = await told(core)
    of_site, mixed = found[SourceKey(7, "test", "a")], found[SourceKey(7, "test", None)]

    assert {"too_old": 1} == of_site.refused
    assert "older than the acceptance window" in of_site.refused_examples[0].text
    assert ({"body": 1}, 1) == (mixed.refused, mixed.unknown_count)
    assert [r"body: no \x00 snappy"] == [one.text for one in mixed.refused_examples]


async def test_copies_and_restarts_add_up(core: Core) -> None:
    """Each of three copies reports in its own time; the last one has just been started."""
    now = await core.now_ms()
    one, other = core, new_core(core.pool)
    for number in range(4):
        await one.push([sample("a", now + number)], access=sender(7))
        await other.push([sample("a", now + 10 + number)], access=sender(7))
    await asyncio.gather(reporter(one).run(), reporter(other).run())
    restarted = new_core(core.pool)
    await restarted.push([sample("a", now + 20)], access=sender(7))
    again = reporter(restarted)
    await again.run()
    await again.run()

    [source] = (await told(core)).values()

    assert (9, 9) == (source.push_count, source.accepted_count)


async def test_names_from_outside_do_not_fill_the_table(core: Core) -> None:
    """One push names a hundred sites, of which each has a long name."""
    now = await core.now_ms()
    names = [f"{number} {'x' * 500}" for number in range(100)]
    for _ in range(2):
        await core.push([sample(name, now) for name in names], access=sender(7))
        await reporter(core).run()

    found = await told(core)

    assert SITES_MAX + 1 == len(found)
    assert 200 == sum(source.accepted_count for source in found.values())
    assert max(len(key.site or "") for key in found) == 200


async def test_the_table_has_a_bound_for_all_keys_together(core: Core) -> None:
    now = await core.now_ms()
    for key_id in range(1, SOURCES_MAX // 10):
        batch = [sample(f"s{number}", now) for number in range(SITES_MAX)]
        await core.push(batch, access=sender(key_id))
        await reporter(core).run()

    found = await told(core)

    own = [key for key in found if key.site is not None]
    assert len(own) <= SOURCES_MAX < len(own) + SITES_MAX + len(found) - len(own)
    assert len(found) <= SOURCES_MAX + SOURCES_MAX // 10
    assert sum(one.accepted_count for one in found.values()) == SITES_MAX * (SOURCES_MAX // 10 - 1)


async def test_what_could_not_be_told_is_told_next_time(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await core.now_ms()
    await core.push([sample("a", now)], access=sender(7))
    own = reporter(core)

    with monkeypatch.context() as broken:
        broken.setattr(sources, "FORGOTTEN_AFTER", "no length of time")
        with pytest.raises(TypeError):
            await own.run()
    await core.push([sample("a", now + 1)], access=sender(7))
    await own.run()

    [source] = (await told(core)).values()
    assert (2, 2) == (source.push_count, source.accepted_count)


async def test_sources_of_long_ago_are_forgotten(core: Core) -> None:
    now = await core.now_ms()
    await core.push([sample("a", now)], access=sender(7))
    await reporter(core).run()
    async with transaction(core.pool) as conn:
        await conn.execute("UPDATE source SET last_push_at = now() - interval '91 days'")
    await core.push([sample("a", now + 1)], access=sender(8))
    await reporter(core).run()

    assert {8} == {key.key_id for key in await told(core)}


async def test_a_key_tells_when_it_was_last_used(core: Core) -> None:
    used, key = await create_key(core.pool, KeyRequest("used", frozenset({Scope.READ})))
    unused, _ = await create_key(core.pool, KeyRequest("unused", frozenset({Scope.READ})))
    ring = KeyRing()
    assert await ring.find(core.pool, key)
    assert await ring.find(core.pool, key)
    await reporter(core, ring).run()

    async with connection(core.pool) as conn:
        uses = await key_uses.read_uses(conn)

    assert {used.id} == set(uses)
    assert abs(uses[used.id].timestamp() * 1000 - await core.now_ms()) < 10_000
    assert unused.id not in uses


async def test_a_copy_tells_of_itself_and_is_forgotten_in_time(core: Core) -> None:
    jobs = [{"name": "rate", "running": True, "failures_in_a_row": 0, "last_error": ""}]
    own = Reporter(core.pool, core.stats.sources, KeyRing(), lambda: jobs)
    await own.run()
    await own.run()

    async with transaction(core.pool) as conn:
        [copy] = await copies.list_copies(conn)
        assert (own.copy_id, jobs) == (copy.id, copy.jobs)
        await conn.execute("UPDATE service_copy SET seen_at = now() - interval '2 hours'")
    await reporter(core).run()

    async with connection(core.pool) as conn:
        assert own.copy_id not in {one.id for one in await copies.list_copies(conn)}


async def test_a_push_that_is_refused_in_part_counts_its_site(core: Core) -> None:
    """What a limited key may not feed is told as its own source's refusal."""
    now = await core.now_ms()
    access = Access("sender", frozenset({Scope.INGEST}), sites=frozenset({"a"}), key_id=7)
    receipt = await core.push([sample("a", now), sample("b", now)], access=access)
    await reporter(core).run()

    found = await told(core)

    assert 1 == receipt.refused
    assert {"key_scope": 1} == found[SourceKey(7, "test", None)].refused
    assert 1 == found[SourceKey(7, "test", "a")].accepted_count
    assert np.sum([one.accepted_count for one in found.values()]) == 1
