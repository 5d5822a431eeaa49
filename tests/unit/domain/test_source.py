"""What is known of a source after what came of it: its rhythm, its last hour, its silence."""

from datetime import UTC, datetime, timedelta

import pytest

from os_credits.domain.source import (
    EXAMPLES_MAX,
    Refusal,
    Source,
    SourceKey,
    SourceState,
    Traffic,
    new_source,
)

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = SourceKey(1, "remote_write_1", "berlin")
EVERY = timedelta(seconds=30)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def push(seconds: float, accepted: int = 10) -> Traffic:
    return Traffic(at(seconds), at(seconds), 1, accepted)


def regular(count: int, every: timedelta = EVERY) -> Source:
    source = new_source(KEY, push(0))
    for number in range(1, count):
        source = source.after(push(number * every.total_seconds()))
    return source


def test_counts_add_up() -> None:
    source = regular(3).after(Traffic(at(70), at(80), 2, 5, 3, 1, at(79), {"too_old": 4}))

    assert (5, 35, 3, 1) == (
        source.push_count,
        source.accepted_count,
        source.set_aside_count,
        source.unknown_count,
    )
    assert {"too_old": 4} == source.refused
    assert (at(0), at(80), at(79)) == (
        source.first_push_at,
        source.last_push_at,
        source.last_sample_at,
    )


def test_what_is_usual_is_the_time_between_pushes() -> None:
    assert regular(20).usual == EVERY


def test_one_report_of_several_pushes_tells_the_same_rhythm() -> None:
    source = new_source(KEY, Traffic(at(0), at(60), 3, 30))
    for number in range(1, 10):
        source = source.after(Traffic(at(90 * number), at(90 * number + 60), 3, 30))

    assert EVERY == source.usual


def test_two_copies_that_report_in_turns_tell_the_same_rhythm() -> None:
    """Each sees every other push, and reports some seconds after the other."""
    source = new_source(KEY, push(0))
    for number in range(1, 60):
        base = number * 60
        source = source.after(Traffic(at(base - 30), at(base - 30), 1, 10))
        source = source.after(Traffic(at(base), at(base), 1, 10))

    assert source.usual is not None
    assert abs(source.usual - EVERY) < timedelta(seconds=1)


def test_a_long_pause_does_not_become_usual() -> None:
    source = regular(20).after(push(20 * 30 + 86_400))

    assert source.usual is not None
    assert source.usual < 2 * EVERY


def test_a_source_that_sends_as_usual_is_sending() -> None:
    source = regular(20)

    assert source.state(source.last_push_at + 9 * EVERY) is SourceState.SENDING


def test_ten_times_the_usual_without_a_push_is_silence() -> None:
    source = regular(20)

    assert source.state(source.last_push_at + timedelta(minutes=15)) is SourceState.SILENT


def test_a_quick_source_is_given_five_minutes() -> None:
    source = regular(20, timedelta(seconds=1))

    assert source.state(source.last_push_at + timedelta(minutes=4)) is SourceState.SENDING
    assert source.state(source.last_push_at + timedelta(minutes=6)) is SourceState.SILENT


def test_of_few_pushes_nobody_says_what_is_usual() -> None:
    source = regular(4)

    assert source.state(source.last_push_at + timedelta(days=30)) is SourceState.NEW


def test_the_last_hour_forgets_step_by_step() -> None:
    source = new_source(KEY, push(0, 100)).after(push(600, 10))

    assert 110 == source.accepted_last_hour(at(600))
    assert 110 == source.accepted_last_hour(at(55 * 60))
    assert 10 == source.accepted_last_hour(at(60 * 60))
    assert 0 == source.accepted_last_hour(at(70 * 60))
    assert 0 == source.accepted_last_hour(at(1e9))


def test_a_report_that_comes_late_counts_where_it_belongs() -> None:
    source = new_source(KEY, push(3600, 1)).after(push(0, 100)).after(push(600, 10))

    assert 11 == source.accepted_last_hour(at(3600))
    assert 1 == source.accepted_last_hour(at(3600 + 11 * 300))


@pytest.mark.parametrize("count", [1, 20])
def test_only_the_last_examples_stay(count: int) -> None:
    source = new_source(KEY, push(0))
    for number in range(count):
        example = Refusal(at(number), "too_old", str(number))
        source = source.after(Traffic(at(number), at(number), 1, examples=[example]))

    kept = [str(number) for number in range(count)][-EXAMPLES_MAX:]
    assert kept == [one.text for one in source.refused_examples]
