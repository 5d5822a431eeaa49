"""Which level of a path limits."""

from __future__ import annotations

from decimal import Decimal

from os_credits.domain.amount import Credits
from os_credits.domain.budget import Level, Usable, usable_of
from os_credits.domain.organisation import Organisation

OWN = Credits(Decimal("12.5"))
TEAM, UNIVERSITY = Organisation(1, "team"), Organisation(2, "university")


def level(organisation: Organisation | None, balance: str) -> Level:
    return Level(organisation, Credits(Decimal(balance)))


def test_the_least_along_the_path_is_usable() -> None:
    levels = (level(None, "12.5"), level(TEAM, "3"), level(UNIVERSITY, "-4"))

    assert Usable(Credits(Decimal(-4)), levels[2], levels) == usable_of(OWN, levels)


def test_of_levels_that_have_the_same_the_nearest_limits() -> None:
    levels = (level(None, "12.5"), level(TEAM, "3"), level(UNIVERSITY, "3"))

    assert TEAM == getattr(usable_of(OWN, levels).limited_by, "organisation", None)


def test_without_a_level_the_own_balance_is_usable_and_nothing_limits() -> None:
    assert Usable(OWN, None, ()) == usable_of(OWN, ())
