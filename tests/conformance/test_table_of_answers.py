"""One table of answers (invariant I-8): every cause of trouble at every door.

Whatever befalls us, the sender is asked to come again, in words that all senders understand, and
what comes again is counted once.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from os_credits.flows import group_commit, registry
from os_credits.store.migrate import migrate
from scripts import timescaledb
from scripts.cluster import OWNER_ROLE, Cluster
from tests import database
from tests.acceptance.conftest import Service, running, settings_for
from tests.conformance.answers import (
    Cell,
    Matrix,
    check_stored,
    fresh_key,
    full_second_ms,
    new_cells,
    store_keys,
)
from tests.conformance.causes import (
    ALL,
    Cause,
    Stage,
    altered,
    blocked,
    database_causes,
    locked,
    owner,
    until_waiting,
)
from tests.conformance.disk import filled, small_disk, stop_for_want_of_room, until_gone
from tests.conformance.doors import DOORS, STORING, Point, permanent_faults, push, transient_faults
from tests.conformance.figures import say
from tests.conformance.influx import CODES
from tests.conformance.pressure import (
    go_through_half_sent_bodies,
    no_free_connection,
    no_room_for_bodies,
    turned_away_at_once,
)
from tests.conformance.stopping import SITUATIONS, Stopping
from tests.conformance.wrongs import BOUNDS, wrongs

# Nothing is rated, so nothing but pushes takes locks.
QUIET: dict[str, Any] = {"endpoints_only": True, "log_level": "ERROR"}


@contextmanager
def another_database(template: str) -> Iterator[str]:
    """Give a migrated database beside the one of the fixture."""
    with database.database(database.server_url(), template=template) as url:
        yield database.as_service(url)


async def test_trouble_with_the_database_is_503_and_the_same_body_is_then_counted_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that every door is in the middle of the same deadlock.
    monkeypatch.setattr(registry, "STORING_PUSHES_MAX", len(STORING))
    monkeypatch.setattr(group_commit, "AT_ONCE_MAX", len(DOORS))
    settings = settings_for(database_url, database_connections_max=30, **QUIET)
    role = urlsplit(database_url).username or ""
    causes = database_causes(role, door_count=len(DOORS), storing_count=len(STORING))
    async with running(settings) as service:
        matrix = Matrix(service)
        cells = await matrix.cells_of([cause.name for cause in causes])
        for cause in causes:
            await matrix.go_through(cause, cells[cause.name])
    matrix.check()
    await check_stored(database_url, matrix)


async def test_no_connection_no_room_and_no_time_are_503(
    database_url: str, migrated_template: str
) -> None:
    with another_database(migrated_template) as two, another_database(migrated_template) as three:
        matrices = await asyncio.gather(
            _without_connections(database_url), _with_slow_statements(two), _with_bodies(three)
        )
        for matrix in matrices:
            matrix.check()
            await check_stored(matrix.service.settings.database_url, matrix)


async def test_one_connection_too_many_is_503_before_anything_is_asked(database_url: str) -> None:
    settings = settings_for(database_url, connections_max=5, **QUIET)
    async with running(settings) as service:
        # Our own connection is at nobody's turn: it makes room.
        replies = await turned_away_at_once(service, database_url)
    anyone = replace(DOORS[0], name="whoever it may be")
    for reply in replies.values():
        assert reply is not None
        assert transient_faults(anyone, reply) == []
    say("I-8, one connection too many", cells=len(replies), wrong=0)


async def _without_connections(url: str) -> Matrix:
    async with running(settings_for(url, database_connections_max=2, **QUIET)) as service:
        matrix = Matrix(service)
        cause = Cause("no free connection", ALL, partial(no_free_connection, service))
        cells = await matrix.cells_of([cause.name])
        await matrix.go_through(cause, cells[cause.name])
    return matrix


async def _with_slow_statements(url: str) -> Matrix:
    settings = settings_for(url, database_statement_timeout_seconds=1, **QUIET)
    async with running(settings) as service:
        matrix = Matrix(service)
        cause = Cause("statement timeout", Stage.KEY | Stage.STORE, blocked)
        cells = await matrix.cells_of([cause.name])
        await matrix.go_through(cause, cells[cause.name])
    return matrix


async def _with_bodies(url: str) -> Matrix:
    settings = settings_for(
        url,
        body_bytes_max=50_000,
        decoded_bytes_max=50_000,
        bodies_bytes_max=100_000,
        body_timeout_seconds=2.5,
        **QUIET,
    )
    async with running(settings) as service:
        matrix = Matrix(service)
        cause = Cause("no room", Stage.BODY, partial(no_room_for_bodies, service))
        cells = await matrix.cells_of([cause.name, "half a body"])
        await matrix.go_through(cause, cells[cause.name])
        await go_through_half_sent_bodies(matrix, cells["half a body"])
    return matrix


async def test_a_database_and_a_schema_that_are_not_there_yet_are_503(
    database_url: str,
    empty_database_url: str,
) -> None:
    cells = new_cells("never there", full_second_ms())
    await store_keys(database_url, [cell.key for cell in cells])
    away = altered("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true", database_url)
    matrices = []
    async with AsyncExitStack() as stack:
        async with away:
            one = await stack.enter_async_context(_not_ready(database_url))
            matrices.append(await _refused(one, cells))
        other = await stack.enter_async_context(_not_ready(empty_database_url))
        no_schema = new_cells("no schema", full_second_ms())
        matrices.append(await _refused(other, no_schema))
        await asyncio.to_thread(migrate, empty_database_url)
        await store_keys(empty_database_url, [cell.key for cell in no_schema])
        for matrix, again in zip(matrices, (cells, no_schema), strict=True):
            await matrix.come_again(again)
            matrix.check()
    for matrix in matrices:
        await check_stored(matrix.service.settings.database_url, matrix)


def _not_ready(url: str) -> Any:
    return running(settings_for(url, **QUIET), ready=False)


async def _refused(service: Service, cells: list[Cell]) -> Matrix:
    matrix = Matrix(service)
    matrix.note_all(cells, await matrix.send(cells), ALL)
    return matrix


async def test_a_service_that_stops_finishes_what_is_under_way_or_asks_to_come_again(
    database_url: str,
) -> None:
    settings = settings_for(database_url, database_connections_max=40, **QUIET)
    lock = AsyncExitStack()
    async with running(settings) as service:
        matrix = Matrix(service)
        cells = [cell for of in (await matrix.cells_of(SITUATIONS)).values() for cell in of]
        await asyncio.gather(
            *(
                matrix.let_be_remembered([cell for cell in cells if cell.cause == cause])
                for cause in SITUATIONS
            )
        )
        await lock.enter_async_context(locked(database_url, "batch", "api_key"))
        stopping = Stopping(matrix, cells)
        await stopping.begin()
        async with owner(database_url, elsewhere=True) as observer:
            await until_waiting(observer, database_url, len(DOORS) + len(STORING))
        ending = asyncio.create_task(stopping.end(lock.aclose))
    await ending
    async with running(settings) as service:
        matrix.service = service
        await matrix.come_again(cells)
    matrix.check()
    await check_stored(database_url, matrix)


async def test_a_full_disk_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk() as disk, ExitStack() as server:
        cluster = Cluster(timescaledb.make(), disk)
        url = _served_from(cluster, server, monkeypatch)
        async with running(settings_for(url, **QUIET)) as service:
            matrix = Matrix(service)
            cells = await matrix.cells_of(["disk full", "disk of the log full"])
            await matrix.let_be_remembered(cells["disk full"])
            with filled(disk):
                await matrix.fill_pages()
                replies = await matrix.send(cells["disk full"])
                matrix.note_all(cells["disk full"], replies, Stage.STORE)
            await matrix.come_again(cells["disk full"])
            with filled(disk):
                stop_for_want_of_room(cluster)
                await until_gone(cluster)
                log_cells = [cell for cell in cells["disk of the log full"] if cell.is_new]
                matrix.note_all(log_cells, await matrix.send(log_cells), ALL)
            server.close()
            server.enter_context(cluster.running())
            await matrix.come_again(log_cells)
        matrix.check()
        await check_stored(url, matrix)


def _served_from(cluster: Cluster, server: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Start a cluster with a migrated database, and let tests find it; gives the service's URL."""
    cluster.make()
    server.enter_context(cluster.running())
    cluster.make_roles(may_create=True)
    monkeypatch.setenv(database.SERVER_VARIABLE, cluster.url("postgres", OWNER_ROLE))
    monkeypatch.setenv(database.SERVICE_VARIABLE, cluster.url("postgres"))
    cluster.make_database("os_credits")
    migrate(cluster.url("os_credits", OWNER_ROLE), cluster.url("os_credits"))
    return cluster.url("os_credits")


async def test_what_is_wrong_for_good_is_refused_for_good_and_nothing_of_it_is_stored(
    database_url: str,
) -> None:
    count = 0
    found: list[str] = []
    async with running(settings_for(database_url, **BOUNDS)) as service:
        matrix = Matrix(service)
        revoked = fresh_key()
        for door in DOORS:
            good = Point(f"good {door.name}", matrix.start_ms, 1.0)
            cells = list(wrongs(door, good, revoked))
            replies = await asyncio.gather(
                *(push(service, door, one.body, key=one.key, **one.more) for one in cells)
            )
            for one, reply in zip(cells, replies, strict=True):
                faults = permanent_faults(door, reply, one.status, code=CODES[one.status])
                found += [f"{door.name}, {one.name}: {fault}" for fault in faults]
            count += len(cells)
            after = await push(service, door, door.write([good]))
            assert after.status == door.success, after.text
            if door.stores:
                matrix.want(good)
    say("I-8, wrong for good", cells=count, wrong=len(found))
    assert not found, "\n".join(found)
    await check_stored(database_url, matrix)
