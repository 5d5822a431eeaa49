"""What a unit cost in a period, and places of groups in addresses."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from os_credits.domain.bill import By, Place, PriceSpan, Subject, place_of, place_text, price_span
from os_credits.domain.organisation import Organisation
from os_credits.domain.period import HOUR, Period
from os_credits.domain.price import Price, PriceList
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput

START = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD = Period(START, START + 24 * HOUR)
ONE, TWO = Decimal(1), Decimal(2)


def prices(*said: tuple[int, int | None, Decimal | None]) -> PriceList:
    """Make a list of prices of meter 1: hours from the start, flavor, credits."""
    return PriceList(
        Price(number, 1, flavor, START + hours * HOUR, amount, "ada")
        for number, (hours, flavor, amount) in enumerate(said, 1)
    )


@pytest.mark.parametrize(
    "said,expected",
    [
        ([], PriceSpan(None, 0)),
        ([(0, None, ONE)], PriceSpan(ONE, 1)),
        ([(-5, None, TWO), (0, None, ONE)], PriceSpan(ONE, 1)),
        ([(-5, None, ONE), (24, None, TWO)], PriceSpan(ONE, 1)),
        ([(-5, None, ONE), (23, None, TWO)], PriceSpan(None, 2)),
        ([(-5, None, ONE), (5, None, Decimal("1.0"))], PriceSpan(ONE, 1)),
        ([(5, None, ONE)], PriceSpan(ONE, 1)),
        ([(-5, None, ONE), (5, None, None)], PriceSpan(ONE, 1)),
        ([(-5, None, ONE), (-5, 7, TWO)], PriceSpan(TWO, 1)),
        ([(-5, None, ONE), (5, 7, TWO)], PriceSpan(None, 2)),
        ([(-5, None, ONE), (-5, 8, TWO)], PriceSpan(ONE, 1)),
    ],
)
def test_a_price_is_told_if_one_held_throughout(
    said: list[tuple[int, int | None, Decimal | None]], expected: PriceSpan
) -> None:
    assert expected == price_span(prices(*said), 1, 7, PERIOD)


@pytest.mark.parametrize(
    "place",
    [
        Place(Decimal(0), 0, datetime(1970, 1, 1, tzinfo=UTC)),
        Place(Decimal("-12.345678"), 10**17, START),
        Place(Decimal("1E+3"), 1, START + timedelta(days=300_000)),
    ],
)
def test_a_place_is_read_as_it_was_written(place: Place) -> None:
    assert place == place_of(place_text(place))


@pytest.mark.parametrize("text", ["", "1", "1_2", "1_2_x", "1e5_1_1", "NaN_1_1", "1_2_3 "])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="after"):
        place_of(text)


def test_a_subject_has_its_groupings_and_refuses_others() -> None:
    organisation = Subject(organisation=Organisation(1, "a"))
    project = Subject(project=Project(1, "", "", "", "p"))
    resource = Subject(project=Project(1, "", "", "", "p"), resource="s")

    assert (By.PART, By.METER, By.METER) == tuple(
        one.grouping(None) for one in (organisation, project, resource)
    )
    for subject, wrong in (
        (organisation, By.RESOURCE),
        (project, By.PART),
        (project, By.PROJECT),
        (resource, By.RESOURCE),
    ):
        with pytest.raises(InvalidInput, match="by"):
            subject.grouping(wrong)
