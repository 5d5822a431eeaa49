"""The past played once more: skipped hours are those in which nothing could be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.domain.amount import from_micro
from os_credits.domain.threshold import Lines
from os_credits.notify.replay import HourChange, PastAccount, PastNotice, replay
from os_credits.notify.thresholds import Facts, settled, step

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CREDIT = 10**6


def every_hour(past: PastAccount, lines: Lines) -> list[PastNotice]:
    """Play the past with a check at the end of each hour, whatever happened."""
    balance, granted = past.balance, past.granted
    before = past.start - lines.cool_down
    told = settled(lines, Facts(from_micro(balance), from_micro(granted)), {}, before)
    notices = []
    hour = past.start
    while hour < past.end:
        change = past.changes.get(hour, HourChange())
        balance -= change.expired
        granted -= change.ended
        moments = [(hour, False), (hour, True)] if change.given else []
        for moment, lifted in (*moments, (min(hour + HOUR, past.end), False)):
            if lifted:
                balance += change.given
                granted += change.granted
            if moment != hour:
                balance -= change.used + change.taken
                granted -= change.ungranted
            facts = Facts(from_micro(balance), from_micro(granted))
            told, draft = step(lines, facts, told, moment, lifted=lifted)
            if draft is not None:
                notices.append(PastNotice(moment, draft, facts))
        hour += HOUR
    return notices


amounts = st.sampled_from([0, 0, 0, 1, 5, 10, 50, 100]).map(lambda n: n * CREDIT)
changes = st.builds(
    HourChange,
    expired=amounts,
    ended=amounts,
    given=amounts,
    granted=amounts,
    used=amounts,
    taken=amounts,
    ungranted=amounts,
)
lines_tried = st.builds(
    Lines,
    percents=st.lists(st.sampled_from([Decimal(n) for n in (0, 20, 50, 90)])).map(tuple),
    credits=st.lists(st.sampled_from([Decimal(n) for n in (-10, 0, 30)])).map(tuple),
    cool_down_hours=st.sampled_from([0, 3, 24]),
)


@settings(deadline=None, max_examples=80)
@given(
    lines=lines_tried,
    balance=amounts,
    granted=amounts,
    changed=st.dictionaries(st.integers(0, 40).map(lambda n: START + n * HOUR), changes),
    minutes=st.sampled_from([0, 25]),
)
def test_no_hour_is_skipped_in_which_something_is_told(
    lines: Lines,
    balance: int,
    granted: int,
    changed: dict[datetime, HourChange],
    minutes: int,
) -> None:
    end = START + 41 * HOUR + timedelta(minutes=minutes)
    past = PastAccount(START, end, balance, granted, changed)

    assert every_hour(past, lines) == replay(past, lines)
