"""What senders wrote is shown so that it can be read, and can do nothing."""

import json

import pytest

from os_credits.domain.text import is_blank, legible, legible_json
from tests.payloads import PAYLOADS, acting_signs


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_a_shown_text_is_one_line_in_which_nothing_acts(text: str) -> None:
    shown = legible(text)

    assert "\n" not in shown
    assert acting_signs(shown) == []
    assert legible(shown) == shown


@pytest.mark.parametrize(
    "text,shown",
    [
        ("plain ü 漢字 שלום 🙂", "plain ü 漢字 שלום 🙂"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[31m\x9b\x7f", "\\x1b[31m\\x9b\\x7f"),
        ("a\u202eb\u2069", "a\\u202eb\\u2069"),
        ("a\ud800", "a\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u3164\u2800", "a\\u3164\\u2800"),
        # Joiners are spelling within a word that is not ASCII, and a trap anywhere else.
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),
        ("\U0001f468\u200d\U0001f467", "\U0001f468\u200d\U0001f467"),
        ("alpha\u200d", "alpha\\u200d"),
        ("\u200dä", "\\u200dä"),
        ("ä\u200d\u200dä", "ä\\u200d\\u200dä"),
        ("ä\u200d\u202e", "ä\\u200d\\u202e"),
    ],
)
def test_only_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert legible(text) == shown


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_json_stays_the_same_to_programs_and_is_printable_to_people(text: str) -> None:
    for written in (json.dumps({text: text}), json.dumps({text: text}, ensure_ascii=False)):
        shown = legible_json(written)

        assert {text: text} == json.loads(shown)
        assert shown.isprintable()


def test_json_keeps_its_letters_and_its_lines() -> None:
    text = json.dumps({"name": "Genü 漢字 🙂"}, ensure_ascii=False, indent=2)

    assert legible_json(text) == text


@pytest.mark.parametrize(
    "text,blank",
    [
        ("", True),
        (" \t\n", True),
        ("\u00a0\u2003\u3000", True),
        ("\u200b\u2060\ufeff\u200d", True),
        ("\u3164\u115f\u2800\uffa0", True),
        ("\u0301\u034f\ufe0f", True),
        ("-", False),
        ("a", False),
        ("漢", False),
        ("🙂", False),
        (" \u3164x", False),
    ],
)
def test_blank_is_what_nobody_can_see(text: str, blank: bool) -> None:
    assert is_blank(text) is blank
