"""In which language a page speaks, and how it writes numbers and days in it."""

from datetime import UTC, datetime
from decimal import Decimal

import jinja2
import pytest
from markupsafe import Markup

from os_credits.domain.mail import Language
from os_credits.web import text
from os_credits.web.forecast_words import words_of
from os_credits.web.language import (
    chosen,
    current,
    gettext,
    ngettext,
    pgettext,
    speaking,
    teach,
    told,
)
from tests.unit.web.facts import forecast

SUNDAY = datetime(2026, 11, 22, 14, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "asked,kept,own,accepted,expected",
    [
        (None, None, "", "", "en"),
        (None, None, "", "de", "de"),
        (None, None, "", "de-AT;q=0.9, en;q=0.5", "de"),
        (None, None, "", "en;q=0.5,de;q=0.9", "de"),
        (None, None, "", "fr, de;q=0", "en"),
        (None, None, "", "*", "en"),
        (None, None, "", "de;q=nonsense", "en"),
        (None, None, "", ",".join(["fr"] * 50) + ",de", "en"),
        (None, None, "de", "en", "de"),
        (None, "en", "de", "de", "en"),
        ("de", "en", "en", "en", "de"),
        ("xx", "yy", "zz", "de", "de"),
        ("../de", None, "", "", "en"),
    ],
)
def test_what_was_chosen_in_this_browser_goes_before_what_holds_for_all(
    asked: str | None, kept: str | None, own: str, accepted: str, expected: str
) -> None:
    language = chosen(
        asked=asked, kept=kept, own=own, accepted=accepted, otherwise=Language.ENGLISH
    )

    assert language == expected


def test_a_language_holds_as_long_as_it_is_spoken() -> None:
    with speaking(Language.GERMAN):
        assert gettext("Projects") == "Projekte"
        with speaking(Language.ENGLISH):
            assert gettext("Projects") == "Projects"
        assert current() is Language.GERMAN

    assert current() is Language.ENGLISH
    assert gettext("Projects") == "Projects"


def test_values_and_counts_stand_where_the_language_has_them() -> None:
    with speaking(Language.GERMAN):
        assert ngettext("%(days)s day", "%(days)s days", 1, days="+1") == "+1 Tag"
        assert ngettext("%(days)s day", "%(days)s days", 7, days="+7") == "+7 Tage"
        assert gettext("%(what)s taken back", what="Zuteilung") == "Zuteilung zurückgenommen"
        assert (gettext("From"), pgettext("moment", "From")) == ("Von", "Ab")
        assert gettext("no catalogue has this: 5 %%") == "no catalogue has this: 5 %"


def test_a_sentence_of_another_room_may_hold_anything() -> None:
    with speaking(Language.GERMAN):
        assert told("is not the present one") == "ist nicht das jetzige"
        assert told("100 % of %(nothing)s") == "100 % of %(nothing)s"


def test_numbers_and_days_are_written_as_germans_read_them() -> None:
    with speaking(Language.GERMAN):
        assert text.credits_text(Decimal("-1234567.891"), 2) == "\u22121.234.567,89"
        assert text.credits_text(Decimal("0.001"), 2) == "<0,01"
        assert text.quantity_text(Decimal("1234.5")) == "1.234,5"
        assert text.quantity_text(Decimal(1000000)) == "1.000.000"
        assert text.percent_text(Decimal("9.94")) == "9,9 %"
        assert text.percent_text(Decimal("0.01")) == "<0,1 %"
        assert text.day_text(SUNDAY) == "So., 22. Nov. 2026"
        assert text.hour_text(SUNDAY) == "So., 22. Nov., 14:07"
        assert text.minute_text(SUNDAY) == "22. Nov. 2026, 14:07 UTC"
        assert text.month_text(SUNDAY) == "Nov. 2026"
        assert text.date_text(SUNDAY.replace(hour=0, minute=0)) == "22. Nov. 2026"


def test_a_forecast_is_told_in_german() -> None:
    p10, p50, p90 = (datetime(2027, 3, day, tzinfo=UTC) for day in (5, 12, 30))
    with speaking(Language.GERMAN):
        words = words_of(forecast("ok", p10=p10, p50=p50, p90=p90))

    assert words == "etwa am 12. März 2027 (zwischen 5. März und 30. März)"


@pytest.fixture
def environment() -> jinja2.Environment:
    """Give templates that speak."""
    one = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    teach(one)
    return one


def test_values_cannot_act_in_a_text_of_a_page(environment: jinja2.Environment) -> None:
    template = environment.from_string(
        "{{ _('Manager of %(name)s', name=evil) }} {% trans name=evil %}Manager of {{ name }}"
        "{% endtrans %} {{ _('Manager of %(name)s', name=safe) }}"
    )
    with speaking(Language.GERMAN):
        written = template.render(evil="<b>\u202e%(x)s", safe=Markup("<bdi>x</bdi>"))

    once = "Verwaltung von &lt;b&gt;\\u202e%(x)s"
    assert written == f"{once} {once} Verwaltung von <bdi>x</bdi>"


def test_templates_count(environment: jinja2.Environment) -> None:
    template = environment.from_string(
        "{{ ngettext('%(num)s day', '%(num)s days', days) }}/"
        "{% trans count=days %}{{ count }} thing{% pluralize %}{{ count }} things{% endtrans %}"
    )

    assert template.render(days=1) == "1 day/1 thing"
    assert template.render(days=3) == "3 days/3 things"


def test_a_sentence_that_was_filled_elsewhere_is_known_by_its_pattern() -> None:
    with speaking(Language.GERMAN):
        assert told("there is no project 'a%(b)s\nc'") == "es gibt kein Projekt 'a%(b)s\nc'"
        assert (
            told("there is no exclusion 7 of this project")
            == "dieses Projekt hat keine ausgenommenen Messwerte 7"
        )
        assert told("there is no project") == "there is no project"

    assert told("there is no meter 'x'") == "there is no meter 'x'"
