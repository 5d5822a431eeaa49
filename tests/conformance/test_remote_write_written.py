"""Remote write, rules P9 to P11 and P15 to P20: what is written, counted, and read back."""

import math

import pytest

from tests.acceptance import stored
from tests.acceptance.conftest import Service
from tests.acceptance.senders import now_ms
from tests.conformance import wire
from tests.conformance.doors import Door, push
from tests.conformance.faulty import DAY_MS, Series
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

MANY = 200
MESSAGE_LENGTH_MAX = 2000
STALE = "7ff0000000000002"


@BOTH
async def test_p09_p10_a_partial_write_keeps_the_good_and_names_the_bad(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p09 {door.name}"
    nameless = Series([(b"job", b"x")], [wire.sample(at, 1.0)] * 3)
    sent = (
        series(project, (at - 2, 1.0)),
        nameless,
        series(project, (at - 1, 2.0), (at + DAY_MS, 3.0)),
        series(project, (at - 400 * DAY_MS, 4.0)),
        series(project, (at, 5.0)),
    )
    message = check_refused(await send(shared, door, *sent), door, 3)

    assert message.startswith("refused 5: ")
    for place in ("series 2: no metric name", "series 3: ", "series 4: "):
        assert place in message
    assert await read_back(shared, project) == {
        (project, at - 2): 1.0,
        (project, at - 1): 2.0,
        (project, at): 5.0,
    }


@BOTH
async def test_p09_the_text_of_a_refusal_is_bounded_and_still_says_how_many(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p09 many {door.name}"
    long = b"\xff" * 900
    bad = [
        Series([(b"__name__", long), (b"n", b"%d" % n)], [wire.sample(at, 1.0)])
        for n in range(MANY)
    ]
    message = check_refused(await send(shared, door, series(project, (at, 1.0)), *bad), door, 1)

    assert message.startswith(f"refused {MANY}: series 2: ")
    assert " more" in message
    assert len(message) <= MESSAGE_LENGTH_MAX
    assert await read_back(shared, project) == {(project, at): 1.0}


@BOTH
async def test_p11_what_is_set_aside_unknown_or_a_repetition_counts_as_written(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p11 {door.name}"
    since = await counting(shared)
    name = f"unknown_{door.name[-3]}"
    sent = (
        series(project, (at - 3, 1.0), (at - 3, 1.0), (at - 2, math.nan), (at - 1, -1.0)),
        Series([(b"__name__", name.encode())], [wire.sample(at, 1.0), wire.sample(at + 1, 1.0)]),
        series(project, (at, math.inf), (at - 3, 1.0)),
    )
    for _ in range(2):
        check_taken(await send(shared, door, *sent), door, 8)

    assert await read_back(shared, project) == {(project, at - 3): 1.0}
    assert await since() == {
        "accepted": {"project_vcpu_usage": 6},
        "unknown_metrics": {name: 4},
        "set_aside": {"nan": 2, "negative": 2, "out_of_range": 2},
        "refused": {},
    }


@BOTH
async def test_p15_several_series_of_one_request_may_have_equal_labels(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p15 {door.name}"
    sent = [series(project, (at - number, 5.0 - number)) for number in range(4)]
    several = series(project, (at - 9, 0.0), (at - 8, 0.25), (at - 7, 0.5))
    check_taken(await send(shared, door, *sent, several), door, 7)

    assert await read_back(shared, project) == {
        **{(project, at - number): 5.0 - number for number in range(4)},
        (project, at - 9): 0.0,
        (project, at - 8): 0.25,
        (project, at - 7): 0.5,
    }


async def test_p15_a_series_needs_samples_or_histograms_and_never_has_both(
    shared: Service,
) -> None:
    at = now_ms()
    both = Series(series("p15 both").pairs, [wire.sample(at, 1.0)], (), [wire.histogram(2, at)])
    message = check_refused(await send(shared, RW2, both, series("p15 ok", (at, 1.0))), RW2, 1)
    assert message == "refused 2: series 1: both samples and histograms"
    message = check_refused(await send(shared, RW2, series("p15 both")), RW2, 0)
    assert message == "refused 0: series 1: neither samples nor histograms"
    assert await read_back(shared, "p15 both", "p15 ok") == {("p15 ok", at): 1.0}


@pytest.mark.parametrize(
    "start_ms", [0, 1, -1, 1_700_000_000_000, 2**63 - 1, -(2**63)], ids=lambda start: f"{start}"
)
async def test_p16_start_and_created_timestamps_never_matter(
    shared: Service, start_ms: int
) -> None:
    """Any int64 is legal on the wire, 0 means unset, and a start after its sample harms nobody.

    The specification lets receivers refuse a sample for the lack of one; none for having one.
    """
    at, project = now_ms(), f"p16 {start_ms}"
    symbols = wire.Symbols()
    refs = symbols.refs(series(project).pairs)
    started = wire.sample(at, 1.0) + wire.whole(3, start_ms)
    created = wire.series_v2(refs, [wire.sample(at + 1, 2.0)]) + wire.whole(6, start_ms)
    histogram = wire.histogram(2, at) + wire.whole(17, start_ms)
    all_series = [
        wire.series_v2(refs, [started]),
        created,
        wire.series_v2(refs, (), (), [histogram]),
    ]
    check_taken(await push(shared, RW2, symbols.body(all_series)), RW2, 2, 1)

    assert await read_back(shared, project) == {(project, at): 1.0, (project, at + 1): 2.0}


@BOTH
async def test_p17_a_stale_marker_counts_as_written_and_is_no_usage(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p17 {door.name}"
    since = await counting(shared)
    stale = Series(series(project).pairs, [wire.sample(at, 0.0, wire.STALE_BITS)])
    nearly = Series(series(project).pairs, [wire.sample(at + 1, 0.0, wire.STALE_BITS + 1)])
    check_taken(await send(shared, door, stale, nearly, series(project, (at - 1, 1.0))), door, 3)

    assert await read_back(shared, project) == {(project, at - 1): 1.0}
    assert (await since())["set_aside"] == {"stale_marker": 1, "nan": 1}


@BOTH
async def test_p17_the_stale_marker_of_a_level_is_kept_bit_for_bit(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p17 level {door.name}"
    pairs = [
        (b"__name__", b"openstack_cinder_volume_gb"),
        (b"id", b"volume"),
        (b"tenant_id", project.encode()),
    ]
    level = Series(pairs, [wire.sample(at - 1000, 8.0), wire.sample(at, 0.0, wire.STALE_BITS)])
    check_taken(await send(shared, door, level), door, 2)
    await shared.rated()
    rows = await stored.query(
        shared.settings.database_url,
        """
        SELECT encode(float8send(sample.value), 'hex') FROM sample
        JOIN series s ON s.id = sample.series_id JOIN project p ON p.id = s.project_id
        WHERE p.external_id = %s ORDER BY sample.measured_at
        """,
        project,
    )

    assert rows == [("4020000000000000",), (STALE,)]


@BOTH
async def test_p18_samples_at_the_edges_of_the_window(shared: Service, door: Door) -> None:
    past_ms = shared.settings.acceptance_window_days * DAY_MS
    ahead_ms = shared.settings.acceptance_ahead_seconds * 1000
    now, project = now_ms(), f"p18 {door.name}"
    within = (now - past_ms + 20_000, now + ahead_ms - 5000)
    beyond = (now - past_ms - 1, now + ahead_ms + 20_000, 0, -1, 2**63 - 1, -(2**63))
    good = series(project, *((at, 1.0) for at in within))
    bad = [series(project, (at, 2.0)) for at in beyond]
    message = check_refused(await send(shared, door, *bad, good), door, 2)

    assert message.startswith("refused 6: ")
    assert await read_back(shared, project) == {(project, at): 1.0 for at in within}


@BOTH
async def test_p19_the_largest_of_several_values_of_one_time_wins_in_any_order(
    shared: Service, door: Door
) -> None:
    at, project = now_ms(), f"p19 {door.name}"
    sent = series(project, (at - 1, 3.0), (at - 1, 2.0), (at, 2.0), (at, 3.0))
    check_taken(await send(shared, door, sent), door, 4)
    other = RW1 if door is RW2 else RW2
    check_taken(await send(shared, other, series(project, (at, 2.5), (at - 1, 2.5))), other, 2)
    assert await read_back(shared, project) == {(project, at - 1): 3.0, (project, at): 3.0}
    check_taken(await send(shared, other, series(project, (at, 4.0))), other, 1)
    assert await read_back(shared, project) == {(project, at - 1): 3.0, (project, at): 4.0}


@BOTH
async def test_p20_samples_may_come_out_of_order(shared: Service, door: Door) -> None:
    start, project = now_ms() - 60_000, f"p20 {door.name}"
    for number in (5, 1, 9):
        times = [start + 10 * number + step for step in (2, 0, 1)]
        sent = series(project, *((at, float(at - start)) for at in times))
        check_taken(await send(shared, door, sent), door, 3)

    assert await read_back(shared, project) == {
        (project, start + at): float(at) for n in (1, 5, 9) for at in range(10 * n, 10 * n + 3)
    }
