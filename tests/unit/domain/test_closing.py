"""From which hour a project is closed, in what state it is, and which line an entry is in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.closing import (
    Closing,
    ProjectState,
    Statement,
    StatementKind,
    StatementLine,
    closing_hour,
    kind_of,
    state_of,
    summed_up,
)
from os_credits.domain.entry import EntryKind
from os_credits.errors import InvalidInput

NOW = datetime(2026, 3, 1, 12, 40, tzinfo=UTC)
NOON = NOW.replace(minute=0)


def closing(hour: datetime, *, is_closed: bool = True) -> Closing:
    return Closing(1, 1, is_closed, hour, "end", "test", NOW)


def line(
    kind: StatementKind, amount: str, meter: int | None = None, flavor: int = 0
) -> StatementLine:
    return StatementLine(kind, credits_of(amount), meter, None if meter is None else flavor)


def test_without_an_hour_a_project_ends_with_the_one_that_runs() -> None:
    assert closing_hour(None, NOW) == NOON + timedelta(hours=1)
    assert closing_hour(None, NOON) == NOON + timedelta(hours=1)


@pytest.mark.parametrize("hour", [NOON, NOON - timedelta(days=900), NOON + timedelta(days=31)])
def test_an_hour_may_be_past_or_near(hour: datetime) -> None:
    assert hour == closing_hour(hour, NOW)


@pytest.mark.parametrize(
    "hour",
    [
        NOW,
        NOON + timedelta(days=31, hours=1),
        NOON + timedelta(milliseconds=1),
        datetime(1969, 12, 31, 23, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
    ],
)
def test_no_other_hour_is_taken(hour: datetime) -> None:
    with pytest.raises(InvalidInput, match="hour"):
        closing_hour(hour, NOW)


@pytest.mark.parametrize(
    "decision,state",
    [
        (None, ProjectState.OPEN),
        (closing(NOON, is_closed=False), ProjectState.OPEN),
        (closing(NOON + timedelta(hours=1)), ProjectState.CLOSING),
        (closing(NOW), ProjectState.CLOSED),
        (closing(NOON), ProjectState.CLOSED),
    ],
)
def test_a_project_is_closed_from_its_hour_on(
    decision: Closing | None, state: ProjectState
) -> None:
    assert state is state_of(decision, NOW)


def test_every_kind_of_entry_has_its_line() -> None:
    given = {
        (kind, has_meter, is_credit): kind_of(kind, has_meter=has_meter, is_credit=is_credit)
        for kind in EntryKind
        for has_meter in (False, True)
        for is_credit in (False, True)
    }

    assert set(given.values()) == set(StatementKind) - {StatementKind.TALLY}
    assert given[EntryKind.CORRECTION, False, True] is StatementKind.EXPIRED
    assert given[EntryKind.CORRECTION, True, True] is StatementKind.CORRECTED
    assert given[EntryKind.OPENING, True, False] is StatementKind.USED
    assert given[EntryKind.GRANT, False, False] is StatementKind.GRANTED  # a grant taken back


def test_lines_of_one_kind_meter_and_flavor_are_one_and_empty_ones_go() -> None:
    lines = [
        line(StatementKind.USED, "-1", 2),
        line(StatementKind.GRANTED, "5"),
        line(StatementKind.USED, "-0.000001", 2),
        line(StatementKind.USED, "-3", 1),
        line(StatementKind.GRANTED, "5"),
        line(StatementKind.EXPIRED, "-7"),
        line(StatementKind.EXPIRED, "7"),
    ]

    assert summed_up(lines) == (
        line(StatementKind.GRANTED, "10"),
        line(StatementKind.USED, "-3", 1),
        line(StatementKind.USED, "-1.000001", 2),
    )


def test_what_came_after_the_end_is_apart_from_the_balance() -> None:
    statement = Statement(
        project_id=1,
        closing=closing(NOON),
        final_at=NOW,
        lines=(line(StatementKind.GRANTED, "10"), line(StatementKind.USED, "-4", 1)),
        after=(
            line(StatementKind.TALLY, "-2", 1),
            line(StatementKind.CORRECTED, "0.5", 1),
            line(StatementKind.EXPIRED, "-6"),
        ),
        sequence=2,
        hash=b"",
        as_of=NOW,
    )

    assert statement.balance == credits_of("6")
    assert statement.used_after == credits_of("1.5")
    assert statement.current == credits_of("-1.5")
