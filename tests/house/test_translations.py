"""Every text of the pages has a German one, none loses a placeholder, and none is translated twice.

What is missing is listed as it belongs into a catalogue of `web/translations/de`.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

from os_credits.domain.mail import Language
from os_credits.web.language import CATALOGUES, catalogue
from tests.house.source import nodes, place

WEB = CATALOGUES.parent
KEYWORDS = {
    "_": None,
    "gettext": None,
    "N_": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
OPTIONS = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%")
TRANSLATED = [language for language in Language if language is not Language.ENGLISH]


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the pages: its context, its English forms, and where it stands."""

    context: str
    forms: tuple[str, ...]
    place: str

    @property
    def key(self) -> tuple[str, str]:
        """Give what catalogues find it by."""
        return self.context, self.forms[0]

    def as_entry(self) -> str:
        """Write it as an entry of a catalogue that waits for its translation."""
        context = [f"msgctxt {_quoted(self.context)}"] if self.context else []
        strings = ['msgstr ""']
        if len(self.forms) > 1:
            strings = [f"msgid_plural {_quoted(self.forms[1])}", 'msgstr[0] ""', 'msgstr[1] ""']
        lines = [f"#: {self.place}", *context, f"msgid {_quoted(self.forms[0])}", *strings]
        return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@cache
def texts() -> tuple[Text, ...]:
    """Find every text in templates and Python code of the pages."""
    return tuple(text for path in _sources() for text in _found_in(path))


def _sources() -> list[Path]:
    return sorted([*WEB.rglob("*.py"), *WEB.glob("templates/**/*.html")])


def _found_in(path: Path) -> Iterator[Text]:
    method = "python" if path.suffix == ".py" else "jinja2"
    for line, message, _, context in extract_from_file(
        method, path, keywords=KEYWORDS, options=OPTIONS
    ):
        forms = message if isinstance(message, tuple) else (message,)
        yield Text(context or "", forms, f"{path.relative_to(WEB)}:{line}")


def _entries(language: Language) -> Iterator[tuple[Path, Message]]:
    for path in sorted((CATALOGUES / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=str(language), abort_invalid=True):
                if message.id:
                    yield path, message


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated(language: Language) -> None:
    known = catalogue(language)

    missing = {text.key: text for text in texts() if text.key not in known}

    assert not missing, "\n\n" + "\n\n".join(text.as_entry() for text in missing.values())


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_loses_a_placeholder_or_makes_one_up(language: Language) -> None:
    wrong = []
    for text in texts():
        expected = set(PLACEHOLDER.findall(" ".join(text.forms)))
        for form in catalogue(language).get(text.key, ()):
            # A form for exactly one may leave out the number, as English does.
            if set(PLACEHOLDER.findall(form)) | {"num"} != expected | {"num"}:
                wrong.append(f"{text.place}: {text.forms} -> {form}")
            if "%" in PLACEHOLDER.sub("", form):
                wrong.append(f"{text.place}: a single % in {form}")

    assert not wrong


@pytest.mark.parametrize("language", TRANSLATED)
def test_counted_texts_have_both_forms(language: Language) -> None:
    known = catalogue(language)

    wrong = [
        text.place
        for text in texts()
        if text.key in known and len(known[text.key]) != len(text.forms)
    ]

    assert not wrong


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_two_entries_are_of_one_text(language: Language) -> None:
    places = defaultdict(set)
    for path, message in _entries(language):
        english = message.id if isinstance(message.id, str) else message.id[0]
        written = message.string if isinstance(message.string, str) else tuple(message.string or ())
        places[message.context, english].add((path.name, written))

    # The same text may stand in the catalogues of two areas, in the same words.
    differing = {
        key: found for key, found in places.items() if len({text for _, text in found}) > 1
    }

    assert not differing


@pytest.mark.parametrize("path", sorted(CATALOGUES.glob("*/*.po")), ids=lambda path: path.stem)
def test_a_catalogue_has_no_uncertain_entry_and_no_empty_one(path: Path) -> None:
    wrong = [
        message.id
        for found, message in _entries(Language(path.parent.name))
        if found == path
        and (message.fuzzy or not message.string or not all(message.string or ("",)))
    ]

    assert not wrong


def test_no_text_hides_in_a_formatted_string_where_no_tool_finds_it() -> None:
    hidden = [
        place(path, call)
        for path in sorted(WEB.rglob("*.py"))
        for string in nodes(path)
        if isinstance(string, ast.JoinedStr)
        for call in ast.walk(string)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in KEYWORDS
    ]

    assert not hidden


def test_templates_write_no_text_past_the_catalogues() -> None:
    """What stands between tags of a template is a value, a sign, or marked for the catalogues."""
    wrong = []
    for path in sorted(WEB.glob("templates/**/*.html")):
        source = path.read_text()
        source = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
        source = re.sub(r"\{%-? macro _described.*?endmacro", "", source, flags=re.DOTALL)
        source = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", source, flags=re.DOTALL)
        source = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)
        source = re.sub(r"<(code|script|style)\b.*?</\1>", "", source, flags=re.DOTALL)
        for bare in re.findall(r">([^<>]+)<", source):
            words = re.sub(r"&\w+;|os_credits|·", "", bare).strip()
            if re.search(r"[A-Za-z]{2}", words) and words not in ALLOWED:
                wrong.append(f"{path.relative_to(WEB)}: {words!r}")
        for name, value in re.findall(r'\b(aria-label|title|placeholder|alt)="([^"]*)"', source):
            if re.search(r"[A-Za-z]{2}", value):
                wrong.append(f"{path.relative_to(WEB)}: {name}={value!r}")

    assert not wrong


# What is the same in every language.
ALLOWED = {"API", "CSV", "GiB", "JSON", "UTC", "ms", "vCPU"}
