"""How far back a page looks."""

from datetime import UTC, datetime

import pytest

from os_credits.errors import InvalidInput
from os_credits.web.span import SPANS, span_of

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
