"""How far back a page looks."""

from datetime import UTC, datetime, timedelta

import pytest

from os_credits.errors import InvalidInput
from os_credits.web.span import SPANS, floor_step, span_between, span_of

NOW = datetime(2026, 3, 10, 14, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "key,start",
    [
        ("24h", datetime(2026, 3, 9, 15, tzinfo=UTC)),
        ("7d", datetime(2026, 3, 3, 15, tzinfo=UTC)),
        ("30d", datetime(2026, 2, 9, tzinfo=UTC)),
        ("1y", datetime(2025, 3, 11, tzinfo=UTC)),
    ],
)
def test_a_span_starts_at_a_full_step_and_ends_with_the_one_that_is_running(
    key: str, start: datetime
) -> None:
    span = span_of(key)

    assert span.start_before(NOW) == start
    assert (NOW - start) // span.step_length + 1 == span.length // span.step_length


def test_no_choice_means_thirty_days() -> None:
    assert span_of(None).key == "30d"


def test_an_unknown_span_names_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="range: 'x' is not one of 24h, 7d, 30d, 90d, 1y"):
        span_of("x")


def test_no_span_has_more_steps_than_a_chart_can_show() -> None:
    assert all(span.length / span.step_length <= 366 for span in SPANS)


BEGIN = datetime(2025, 12, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "first,last,start,until,step,row_step",
    [
        ("2026-03-01", "2026-03-03", (2026, 3, 1), (2026, 3, 4), "hour", "day"),
        ("2026-03-03", "2026-03-03", (2026, 3, 3), (2026, 3, 4), "hour", "hour"),
        ("2026-02-01", "2026-03-03", (2026, 2, 1), (2026, 3, 4), "day", "day"),
        # Nothing was before the account began, and nothing is after today.
        ("0001-01-01", "9999-12-31", (2025, 12, 24), (2026, 3, 11), "day", "day"),
        ("", "", (2025, 12, 24), (2026, 3, 11), "day", "day"),
        ("2026-03-09", "", (2026, 3, 9), (2026, 3, 11), "hour", "day"),
        ("2001-01-01", "2001-02-01", (2001, 2, 1), (2001, 2, 2), "hour", "hour"),
    ],
)
def test_a_span_between_two_days_includes_both(
    first: str,
    last: str,
    start: tuple[int, int, int],
    until: tuple[int, int, int],
    step: str,
    row_step: str,
) -> None:
    span = span_between(first, last, begin=BEGIN, now=NOW)

    assert (span.start, span.until) == (
        datetime(*start, tzinfo=UTC), datetime(*until, tzinfo=UTC)
    )  # fmt: skip
    assert (span.step, span.row_step) == (step, row_step)
    assert span.start_before(NOW) == span.start
    assert span.is_live(NOW) == (until == (2026, 3, 11))
    assert span.last_day == (datetime(*until, tzinfo=UTC) - timedelta(days=1)).date().isoformat()


def test_a_long_span_has_a_row_for_each_month() -> None:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    span = span_between("", "", begin=begin, now=NOW)

    assert span.row_step == "month"
    assert floor_step(NOW, "month") == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "first,last,where",
    [
        ("2026-03-04", "2026-03-03", "to"), ("yesterday", "", "from"), ("20260301", "", "from"),
        ("", "2026-02-30", "to"), ("", "2026-03-01T00:00", "to"), ("٢٠٢٦-03-01", "", "from"),
    ],
)  # fmt: skip
def test_what_is_no_day_is_named(first: str, last: str, where: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{where}: must"):
        span_between(first, last, begin=BEGIN, now=NOW)
