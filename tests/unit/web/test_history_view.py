"""What a project's page shows of its facts."""

from decimal import Decimal

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.period import HOUR
from os_credits.store.spending import Metered
from os_credits.web.history_view import view_of
from os_credits.web.span import span_between
from tests.unit.web.facts import NOW, day, facts, moved, spent


def test_every_step_up_to_now_has_a_row_the_latest_first() -> None:
    view = view_of(facts(left="90", granted="100", charges=[spent(day(9), "10")]))

    assert [row.start for row in view.rows] == [day(10), day(9), day(8)]
    assert [row.used for row in view.rows] == [0, Decimal(10), 0]


def test_what_is_left_is_counted_back_from_now() -> None:
    view = view_of(
        facts(
            left="65",
            granted="100",
            charges=[spent(day(8), "5"), spent(day(9), "20"), spent(day(10), "10")],
            gifts=[moved(day(9), "30")],
            first=(day(1), credits_of("70")),
        )
    )

    assert view.opening == 70
    assert [row.left for row in view.steps] == [65, 75, 65]
    assert [row.given for row in view.steps] == [0, 30, 0]


def test_before_any_credits_were_given_nothing_is_said_to_be_left() -> None:
    view = view_of(
        facts(
            left="85",
            granted="100",
            charges=[spent(day(8), "5"), spent(day(9), "10")],
            gifts=[moved(day(9), "100")],
        )
    )

    assert view.opening is None
    assert [row.left for row in view.steps] == [None, 85, 85]


def test_what_expired_or_moved_away_is_taken() -> None:
    view = view_of(
        facts(
            left="40",
            granted="100",
            charges=[spent(day(9), "20")],
            gifts=[moved(day(9), "0", "30"), moved(day(10), "5", "15")],
            first=(day(1), credits_of("100")),
        )
    )

    assert view.opening == 100
    assert [row.given for row in view.steps] == [0, 0, 5]
    assert [row.taken for row in view.steps] == [0, 30, 15]
    assert [row.left for row in view.steps] == [100, 50, 40]


def test_a_time_that_is_over_ends_with_what_was_left_then() -> None:
    span = span_between("2026-03-07", "2026-03-08", begin=day(7), now=NOW)
    view = view_of(
        facts(
            left="70",
            granted="100",
            start=day(7),
            span=span,
            charges=[spent(day(8, 5), "30")],
            gifts=[moved(day(7), "100")],
        )
    )

    assert [row.start for row in view.steps] == [day(7) + number * HOUR for number in range(48)]
    assert [view.steps[place].left for place in (0, 28, 29, 47)] == [100, 100, 70, 70]


def test_debt_is_shown_as_it_is() -> None:
    view = view_of(
        facts(
            left="-20",
            granted="10",
            charges=[spent(day(10), "30")],
            gifts=[moved(day(8), "10")],
        )
    )

    assert [row.left for row in view.steps] == [10, 10, -20]


def test_items_that_cost_more_come_first_with_their_share() -> None:
    view = view_of(
        facts(
            left="0",
            charges=[spent(day(9), "10"), spent(day(9), "25", 2, 1), spent(day(10), "5", 2, 1)],
            metered=[
                Metered(1, 0, quantity=4_500_000, unpriced=0),
                Metered(2, 1, quantity=1_000_000 * 3_600_000 * 3, unpriced=0),
            ],
        )
    )

    assert view.labels == ("m1.1", "vcpu")
    assert [item.percent for item in view.items] == [75, 25]
    assert [(item.quantity, item.unit) for item in view.items] == [
        (3, "server-hour"),
        (Decimal("4.5"), "vCPU-hour"),
    ]
    assert list(view.rows[1].used_by_item) == [25, 10]


def test_usage_without_a_price_is_shown_though_it_costs_nothing() -> None:
    metered = [Metered(1, 0, quantity=3_000_000, unpriced=2_000_000)]
    view = view_of(facts(left="0", metered=metered))

    [item] = view.items
    assert item.label == "vcpu"
    assert (item.credits, item.percent) == (credits_of(0), Decimal(0))
    assert item.waiting == 2


def test_usage_whose_hours_are_no_longer_kept_has_no_quantity() -> None:
    view = view_of(facts(left="0", charges=[spent(day(9), "10")]))

    assert view.items[0].quantity is None


@pytest.mark.parametrize("count,labels", [(7, 7), (8, 7), (12, 7)])
def test_beyond_seven_columns_the_last_sums_up_the_rest(count: int, labels: int) -> None:
    charges = [spent(day(9), str(100 - number), 2, number) for number in range(1, count + 1)]
    view = view_of(facts(left="0", charges=charges))

    assert len(view.items) == count
    assert len(view.labels) == labels
    assert (view.labels[-1] == "others") == (count > 7)
    assert sum(view.rows[1].used_by_item) == view.rows[1].used
    colors = [item.color for item in view.items]
    expected = [0, 1, 2, 3, 4, 5, *([6] if count == 7 else [None] * (count - 6))]
    assert colors == expected


def test_flavors_of_one_name_in_two_meters_are_told_apart() -> None:
    view = view_of(facts(left="0", charges=[spent(day(9), "2", 1, 1), spent(day(9), "1", 2, 1)]))

    assert view.labels == ("m1.1 (vcpu)", "m1.1 (server)")


def test_hours_are_summed_up_to_days_in_the_table_of_a_week() -> None:
    view = view_of(
        facts(
            left="84",
            granted="100",
            span="7d",
            start=day(9, 22),
            charges=[spent(day(9, 22), "5"), spent(day(9, 23), "1"), spent(day(10, 14), "10")],
            gifts=[moved(day(9, 23), "100")],
        )
    )

    assert [row.start for row in view.rows] == [day(10), day(9)]
    assert [row.used for row in view.rows] == [10, 6]
    assert [row.left for row in view.rows] == [84, 94]
    assert len(view.steps) == 17


def test_the_last_day_is_told_by_hours() -> None:
    view = view_of(
        facts(left="0", span="24h", start=day(10, 12), charges=[spent(day(10, 13), "1")])
    )

    assert [row.start for row in view.rows] == [day(10, 14), day(10, 13), day(10, 12)]


def test_an_hour_that_a_fast_clock_began_early_is_shown_too() -> None:
    view = view_of(
        facts(left="-1", span="24h", start=day(10, 14), charges=[spent(day(10, 15), "1")])
    )

    assert NOW < day(10, 15) == view.rows[0].start
    assert view.rows[0].used == 1
