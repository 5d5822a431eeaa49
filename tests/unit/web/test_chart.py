"""The numbers behind the chart."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from os_credits.domain.amount import credits_of
from os_credits.web.chart import chart_of
from os_credits.web.history_view import view_of
from tests.unit.web.facts import NOW, day, facts, forecast, moved, spent

LINES = (Decimal(50), Decimal("12.5"), Decimal(0))


def test_balances_stand_at_the_beginning_and_at_the_end_of_each_bar() -> None:
    made = facts(
        left="80",
        granted="100",
        charges=[spent(day(8), "5"), spent(day(10), "15")],
        first=(day(1), credits_of("100")),
    )
    chart = chart_of(made, view_of(made), LINES)

    assert chart["starts"] == [day(8).timestamp(), day(9).timestamp(), day(10).timestamp()]
    assert chart["until"] == day(11).timestamp()
    assert chart["ends"] == [*(day(number).timestamp() for number in (8, 9, 10)), NOW.timestamp()]
    assert chart["left"] == ["100.000000", "95.000000", "95.000000", "80.000000"]
    assert chart["expected"] == [None] * 4
    assert chart["used"] == [["5.000000", "0.000000", "15.000000"]]


def test_before_the_first_grant_the_line_is_counted_back_from_it() -> None:
    made = facts(
        left="80",
        granted="100",
        charges=[spent(day(8), "5"), spent(day(9), "7"), spent(day(10), "8")],
        gifts=[moved(day(10), "100")],
    )
    chart = chart_of(made, view_of(made), LINES)

    assert chart["left"] == [None, None, None, "80.000000"]
    assert chart["expected"] == ["100.000000", "95.000000", "88.000000", "80.000000"]


def test_a_project_that_never_got_credits_has_no_line_at_all() -> None:
    made = facts(left="-5", charges=[spent(day(8), "5")])
    chart = chart_of(made, view_of(made), LINES)

    assert chart["left"] == chart["expected"] == [None] * 4


def test_the_lines_of_notices_are_drawn_at_their_share_of_what_was_granted() -> None:
    made = facts(left="100", granted="200", first=(day(1), credits_of("200")))
    chart = chart_of(made, view_of(made), LINES)

    assert [(one["percent"], Decimal(one["credits"])) for one in chart["percents"]] == [
        ("50", Decimal(100)),
        ("12.5", Decimal(25)),
    ]


def test_amounts_travel_as_exact_text() -> None:
    amount = "12345678901234567.123456"
    made = facts(left="0", charges=[spent(day(9), amount)])
    chart = json.loads(json.dumps(chart_of(made, view_of(made), LINES)))

    assert chart["used"][0][1] == amount


def test_the_balance_goes_on_to_nothing_with_the_grants_that_are_to_come() -> None:
    ends = {
        "p10": NOW + timedelta(days=8), "p50": NOW + timedelta(days=10),
        "p90": NOW + timedelta(days=16),
    }  # fmt: skip
    coming = [{"at": (NOW + timedelta(days=5)).isoformat(), "credits": "100.000000"}]
    made = facts(
        left="50",
        granted="100",
        charges=[spent(day(9), "5")],
        forecast=forecast("ok", **ends, facts={"balance": "50", "without": [], "coming": coming}),
    )
    chart = chart_of(made, view_of(made), LINES)["forecast"]

    now = NOW.timestamp()
    assert chart["middle"] == [
        [now, "50.000000"],
        [now + 5 * 86400, "-25.000000"],
        [now + 5 * 86400, "75.000000"],
        [now + 10 * 86400, "0"],
    ]
    assert chart["at"] == now + 10 * 86400
    assert chart["label"] == "20 Mar 2026"
    # As much room as for what was, and for a week at least.
    assert chart["until"] == now + 7 * 86400


@pytest.mark.parametrize("left,state", [("50", "short"), ("-1", "ok")])
def test_without_a_date_or_anything_left_nothing_goes_on(left: str, state: str) -> None:
    day_ahead = NOW + timedelta(days=1)
    dates = dict.fromkeys(("p10", "p50", "p90"), day_ahead) if state == "ok" else {}
    made = facts(left=left, charges=[spent(day(9), "5")], forecast=forecast(state, **dates))

    assert chart_of(made, view_of(made), LINES)["forecast"] is None
