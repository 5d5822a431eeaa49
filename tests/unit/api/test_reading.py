"""Queries and bodies: what is understood, and how a mistake names its place."""

from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ValidationError

from os_credits.api.reading import Count, Moment, Text, moment_of, problem_of


class Everything(BaseModel):
    when: Moment | None = None
    count: Count | None = None
    word: Text = ""
    inner: dict[str, list[int]] | None = None


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text,moment",
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T12:00:00.000Z", NOON),
        ("2026-01-31T14:00:00+02:00", NOON),
        ("2026-01-31T07:00:00-05:00", NOON),
        ("2026-01-31T14:00:00 02:00", NOON),  # a '+' that was not quoted in a URL
        (" 2026-01-31T12:00:00Z ", NOON),
    ],
)
def test_a_moment_is_iso_8601_and_utc_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    assert moment_of(text) == moment
    assert moment_of(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "20", "1767225600", "20260131", "2026-W05-6", "2026-02-30", "2026-01-31T25:00",
        "31.01.2026", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", 5, None, True,
    ],
)  # fmt: skip
def test_anything_else_is_no_moment(text: object) -> None:
    with pytest.raises(ValueError, match="2026-01-31T12:00:00Z"):
        moment_of(text)


def _problem(**values: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(values)
    return str(problem_of(caught.value))


def test_a_problem_names_the_place_down_to_the_element() -> None:
    assert _problem(inner={"a": [1, "x"]}).startswith("inner.a.1: ")
    assert _problem(when="soon").startswith("when: must be a date or time")
    assert _problem(word="a\0b") == "word: must not contain the character NUL"


def test_several_problems_are_told_together_up_to_a_bound() -> None:
    message = _problem(inner={"a": ["x"] * 100}, count=-1)

    assert message.startswith("count: ")
    assert message.count("inner.a.") == 2


def test_a_broken_document_is_a_problem_of_the_body() -> None:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate_json(b'{"count": ')

    assert str(problem_of(caught.value)).startswith("body: Invalid JSON: EOF")
