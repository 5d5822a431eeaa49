"""In which language a page speaks: English is the key of every text, a catalogue has the others.

    _("No projects yet.")                        a text of Python code, and of templates
    _("%(name)s is closed.", name=name)          values stand beside it; a per cent sign is %%
    ngettext("%(num)s day", "%(num)s days", 3)   singular and plural, `num` is the count
    pgettext("amount", "Left")                   where one English word has several meanings
    NAMES = {1: N_("Grant")} ... _(NAMES[1])     constants are marked, and translated when shown
    told(error.message)                          a sentence of another room, as it is or translated

The catalogues are the files of `translations/<language>/`, one for each area, read at the start;
nothing is compiled. Which language holds while a page is made is told by `speaking`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel.messages.pofile import read_po
from markupsafe import Markup

from os_credits.domain.mail import Language
from os_credits.domain.text import legible
from os_credits.errors import Misconfigured

if TYPE_CHECKING:
    from jinja2 import Environment

CATALOGUES = Path(__file__).resolve().parent / "translations"
# What each language calls itself.
NATIVE_NAMES = {Language.ENGLISH: "English", Language.GERMAN: "Deutsch"}
# The parameter of an address, and the cookie, by which a browser asks for a language.
PARAMETER = COOKIE = "lang"
_ACCEPTED_MAX = 20
_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")
# The catalogue of sentences that come from other rooms, with their values filled in.
PATTERNS = "sentences.po"
# A value's place in a sentence, after `re.escape`.
_VALUE = re.compile(r"%\\\((\w+)\\\)s")
# A text by its context ('' mostly) and its English form; with a plural, both forms.
Key = tuple[str, str]
Catalogue = Mapping[Key, tuple[str, ...]]

_current: ContextVar[Language] = ContextVar("language", default=Language.ENGLISH)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Let everything that is written meanwhile be in this language."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Language:
    """Give the language that holds now; English where nobody has said."""
    return _current.get()


def chosen(
    *, asked: str | None, kept: str | None, own: str, accepted: str, otherwise: Language
) -> Language:
    """Choose the language of a page.

    `asked` stands in the address, `kept` in the browser's cookie, `own` is what the person has
    set for mails and pages ('' for none), `accepted` the header Accept-Language. What somebody
    chose in this browser goes before what they set for all.
    """
    for code in (asked, kept, own):
        if code in NATIVE_NAMES:
            return Language(code)
    return _accepted(accepted) or otherwise


def _accepted(header: str) -> Language | None:
    """Give the language that a browser prefers among ours, None if it wants none of them."""
    best, best_weight = None, 0.0
    for part in header.lower().split(",")[:_ACCEPTED_MAX]:
        name, _, parameter = part.partition(";")
        code = name.strip().partition("-")[0]
        written = parameter.strip().removeprefix("q=") or "1"
        weight = float(written) if _WEIGHT.fullmatch(written) else 0.0
        if code in NATIVE_NAMES and weight > best_weight:
            best, best_weight = Language(code), weight
    return best


@cache
def catalogue(language: Language) -> Catalogue:
    """Read all catalogues of a language; Misconfigured if one of them is unreadable."""
    texts: dict[Key, tuple[str, ...]] = {}
    for path in sorted((CATALOGUES / language).glob("*.po")):
        with path.open("rb") as file:
            try:
                messages = list(read_po(file, locale=str(language), abort_invalid=True))
            except ValueError as error:
                raise Misconfigured(f"{path}: {error}") from error
        for message in messages:
            if not message.id or message.fuzzy:
                continue
            english = message.id if isinstance(message.id, str) else message.id[0]
            written = message.string
            forms = (written,) if isinstance(written, str) else tuple(written or ("",))
            if not all(forms):
                continue
            texts.setdefault((message.context or "", english), forms)
    return texts


def _found(context: str, english: str, *, form: int = 0) -> str | None:
    language = _current.get()
    if language is Language.ENGLISH:
        return None
    forms = catalogue(language).get((context, english))
    return None if forms is None else forms[min(form, len(forms) - 1)]


def gettext(text: str, /, **values: object) -> str:
    """Write a text in the language that holds, with its values."""
    return (_found("", text) or text) % values


_ = gettext


def pgettext(context: str, text: str, /, **values: object) -> str:
    """Write a text that has another meaning elsewhere; `context` says which is meant."""
    return (_found(context, text) or text) % values


def ngettext(one: str, many: str, num: int, /, **values: object) -> str:
    """Write a text that depends on a count, which is its value `num`."""
    return _counted("", one, many, num) % {"num": num, **values}


def N_(text: str) -> str:  # noqa: N802 - the name by which every tool knows it
    """Mark a text for the catalogues, and leave it as it is."""
    return text


def told(sentence: str) -> str:
    """Write a sentence of another room in the language that holds, if a catalogue has it.

    One that was filled with values already is found by its pattern (`sentences.po`).
    """
    known = _found("", sentence)
    if known is not None or _current.get() is Language.ENGLISH:
        return known or sentence
    for pattern, translated in _patterns(_current.get()):
        found = pattern.fullmatch(sentence)
        if found is not None:
            return translated % found.groupdict()
    return sentence


@cache
def _patterns(language: Language) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Give the sentences with values by which they are recognised, the longest first."""
    path = CATALOGUES / language / PATTERNS
    with path.open("rb") as file:
        known = [
            (str(message.id), str(message.string))
            for message in read_po(file, locale=str(language), abort_invalid=True)
            if message.id and "%(" in message.id
        ]
    return tuple(
        (re.compile(_VALUE.sub(r"(?P<\1>.+?)", re.escape(english)), re.DOTALL), translated)
        for english, translated in sorted(known, key=lambda one: -len(one[0]))
    )


def _counted(context: str, one: str, many: str, num: int) -> str:
    form = 0 if num == 1 else 1
    return _found(context, one, form=form) or (one, many)[form]


def teach(environment: Environment) -> None:
    """Let templates speak: `_`, `ngettext`, `pgettext` and `{% trans %}`.

    Values of a text are escaped and legible there, as all that a template writes.
    """
    environment.add_extension("jinja2.ext.i18n")
    # The functions take the values themselves: {% trans %} then hands them over.
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(
        _=_page_gettext,
        gettext=_page_gettext,
        ngettext=_page_ngettext,
        pgettext=_page_pgettext,
        npgettext=_page_npgettext,
        told=told,
    )
    for language in Language:
        catalogue(language)


def _filled(text: str, values: Mapping[str, Any]) -> Markup:
    """Put values into a text of ours, which may hold markup; the values may not."""
    if not values and "%" not in text:
        return Markup(text)  # noqa: S704 - the text is ours
    safe = {name: legible(value) if type(value) is str else value for name, value in values.items()}
    return Markup(text) % safe  # noqa: S704 - the text is ours, Markup escapes the values


def _page_gettext(text: str, /, **values: object) -> Markup:
    return _filled(_found("", text) or text, values)


def _page_pgettext(context: str, text: str, /, **values: object) -> Markup:
    return _filled(_found(context, text) or text, values)


def _page_ngettext(one: str, many: str, num: int, /, **values: object) -> Markup:
    return _filled(_counted("", one, many, num), {"num": num, **values})


def _page_npgettext(context: str, one: str, many: str, num: int, /, **values: object) -> Markup:
    return _filled(_counted(context, one, many, num), {"num": num, **values})
