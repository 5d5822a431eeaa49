"""The numbers behind the chart."""

import json
from decimal import Decimal

from os_credits.domain.amount import credits_of
from os_credits.web.chart import chart_of
from os_credits.web.history_view import view_of
from tests.unit.web.facts import NOW, day, facts, moved, spent

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
