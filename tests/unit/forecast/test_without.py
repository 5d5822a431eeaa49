"""How much longer it lasts without what burns most now."""

from decimal import Decimal

import numpy as np
import pytest

from os_credits.errors import InvalidInput
from os_credits.forecast.credit import Credit
from os_credits.forecast.history import Floats, History
from os_credits.forecast.without import Saving, without
from tests.unit.forecast.projects import END, HOURS, NOW, flat


def since(hours: int, credits_per_hour: float) -> Floats:
    used = np.zeros(HOURS)
    used[-hours:] = credits_per_hour
    return used


def savings(balance: int = 4800, **resources: Floats) -> tuple[Saving, ...]:
    """Ask about a project of ten credits an hour and some resources."""
    hourly = flat() + sum(resources.values())
    return without(History(END, hourly), Credit(Decimal(balance)), NOW, resources)


def test_the_two_that_burn_most_are_named_each_and_together() -> None:
    large, small, tiny = savings(a=flat(1), b=flat(6), c=flat(3))

    assert [("b",), ("c",), ("b", "c")] == [large.names, small.names, tiny.names]
    assert large.days == pytest.approx(4800 / 14 / 24 - 10, rel=0.1)
    assert small.days == pytest.approx(4800 / 17 / 24 - 10, rel=0.1)
    assert tiny.days == pytest.approx(4800 / 11 / 24 - 10, rel=0.1)


def test_a_server_that_ended_yesterday_is_not_named() -> None:
    ended = since(24 * 30, 50)
    ended[-24:] = 0

    assert [("b",)] == [saving.names for saving in savings(ended=ended, b=flat(6))]


def test_a_server_that_ended_in_the_last_hour_is_not_named() -> None:
    ended = since(24 * 30, 50)
    ended[-1] = 0

    assert [("b",)] == [saving.names for saving in savings(ended=ended, b=flat(6))]


def test_a_server_that_began_three_hours_ago_is_named_first() -> None:
    first, *_ = savings(old=flat(6), new=since(3, 30))

    assert first.names == ("new",)
    assert first.days is not None
    assert first.days > 5


def test_what_is_pushed_late_does_not_hide_what_runs() -> None:
    late, steady = flat(6), flat(10)
    late[-2:] = steady[-2:] = 0
    history = History(END, late + steady)

    found = without(history, Credit(Decimal(4800)), NOW, {"late": late})

    assert [("late",)] == [saving.names for saving in found]


def test_without_all_that_runs_it_never_runs_out() -> None:
    used = flat(5)
    found = without(History(END, used), Credit(Decimal(1200)), NOW, {"only": used})

    assert found == (Saving(("only",), None),)


def test_a_resource_may_have_fewer_hours_than_the_history() -> None:
    (saving,) = without(
        History(END, flat()), Credit(Decimal(2400)), NOW, {"part": np.full(200, 5.0)}
    )

    assert saving.days is not None
    assert saving.days > 3


def test_nothing_is_told_where_there_is_no_date() -> None:
    assert savings(balance=10**7, a=flat(1)) == ()
    assert savings(balance=0, a=flat(1)) == ()
    assert savings() == ()
    assert without(History(END, flat()[:71]), Credit(Decimal(9)), NOW, {"a": flat(1)}) == ()
    assert without(History(END, np.zeros(0)), Credit(Decimal(1)), NOW, {"a": flat(1)}) == ()


def test_absurd_hours_of_a_resource_are_refused() -> None:
    with pytest.raises(InvalidInput, match="hourly"):
        savings(a=flat(1)) + without(
            History(END, flat()), Credit(Decimal(9)), NOW, {"a": np.array([np.nan])}
        )
