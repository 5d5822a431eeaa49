"""Remote write, rules P11, P21 and P22: what is validated, counted and set aside."""

import pytest

from os_credits.decode import snappy
from tests.acceptance.conftest import Service
from tests.acceptance.senders import now_ms
from tests.conformance import wire
from tests.conformance.doors import Door, push
from tests.conformance.faulty import Series
from tests.conformance.influx import counting
from tests.conformance.remote_write_door import (
    BOTH,
    RW1,
    RW2,
    check_refused,
    check_taken,
    read_back,
    send,
    series,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("scan")]

TRACE = [(b"trace_id", b"abc")]


@BOTH
async def test_p21_histograms_are_counted_and_stored_nowhere(shared: Service, door: Door) -> None:
    at, project = now_ms(), f"p21 {door.name}"
    since = await counting(shared)
    billed = Series(series(project).pairs, histograms=[wire.histogram(2, at)] * 3)
    check_taken(await send(shared, door, billed, series(project, (at, 1.0))), door, 1, 3)

    assert await read_back(shared, project) == {(project, at): 1.0}
    assert (await since())["accepted"] == {"project_vcpu_usage": 1}


@BOTH
async def test_p21_a_histogram_that_contradicts_itself_is_refused_alone(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p21 bad {door.name}"
    pairs = series(project).pairs
    sent = (
        Series(pairs, histograms=[wire.histogram(5, at), wire.histogram(2, at)]),
        series(project, (at, 1.0)),
    )
    message = check_refused(await send(shared, door, *sent), door, 1, 1)

    assert message == "refused 1: series 1: histogram counts 5, its buckets hold 2"
    assert await read_back(shared, project) == {(project, at): 1.0}


@BOTH
async def test_p21_histograms_and_exemplars_under_bad_labels_are_not_counted(
    shared: Service, door: Door
) -> None:
    nameless = [(b"job", b"x")]
    alone = Series(nameless, histograms=[wire.histogram(2, now_ms())] * 2)
    shown = Series(nameless, exemplars=[TRACE])
    message = check_refused(await send(shared, door, alone, shown), door, 0)

    assert message.startswith("refused 2: series 1: no metric name")


@BOTH
async def test_p22_exemplars_are_counted_and_stored_nowhere(shared: Service, door: Door) -> None:
    at, project = now_ms(), f"p22 {door.name}"
    pairs = series(project).pairs
    beside = Series(pairs, [wire.sample(at, 1.0)], [TRACE, [], TRACE])
    alone = Series(pairs, exemplars=[TRACE])
    check_taken(await send(shared, door, beside, alone), door, 1, 0, 4)
    check_taken(await send(shared, door, alone), door, 0, 0, 1)

    assert await read_back(shared, project) == {(project, at): 1.0}


@BOTH
async def test_p22_a_bad_exemplar_is_refused_alone_and_never_with_a_2xx(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p22 bad {door.name}"
    bad = [[(b"a", b"")], [(b"", b"a")], [(b"a", b"1"), (b"a", b"2")], [(b"a", b"\xff")]]
    one = Series(series(project).pairs, [wire.sample(at, 1.0)], [*bad, TRACE])
    message = check_refused(await send(shared, door, one), door, 1, 0, 1)

    assert message.startswith("refused 0: series 1: exemplar: ")
    assert await read_back(shared, project) == {(project, at): 1.0}


async def test_p22_wrong_references_of_an_exemplar_cost_no_sample(shared: Service) -> None:
    at, symbols = now_ms(), wire.Symbols()
    refs = symbols.refs(series("p22 refs").pairs)
    one = wire.series_v2(refs, [wire.sample(at, 1.0)], [[1], [1, 10**4], [1, 2]])
    message = check_refused(await push(shared, RW2, symbols.body([one])), RW2, 1, 0, 1)

    assert "odd number of references" in message
    assert "out of the symbol table" in message
    assert await read_back(shared, "p22 refs") == {("p22 refs", at): 1.0}


async def test_p22_metadata_alone_is_a_success(shared: Service) -> None:
    symbols = wire.Symbols()
    refs = symbols.refs([(b"__name__", b"orphan")])
    help_text, unit = symbols.refs([(b"Some help", b"seconds")])
    described = wire.part(5, wire.whole(1, 1) + wire.whole(3, help_text) + wire.whole(4, unit))
    alone = wire.series_v2(refs) + described
    check_taken(await push(shared, RW2, symbols.body([alone])), RW2, 0)
    nameless = wire.series_v2([help_text, unit]) + described
    check_refused(await push(shared, RW2, symbols.body([alone, nameless])), RW2, 0)
    metadata = wire.whole(1, 1) + wire.part(2, b"up") + wire.part(4, b"help")
    check_taken(await push(shared, RW1, snappy.compress(wire.part(3, metadata) * 2000)), RW1, 0)
