"""Texts of senders and people: kept exactly as they came, shown so that they cannot act.

What is stored is identity, and never changed. Whoever shows it to people (terminal, log, page)
shows what is not printable as its escape: control characters steer terminals and forge lines,
marks of direction turn round what stands beside them, and invisible ones make names look alike.
"""

from __future__ import annotations

import re
import unicodedata

# Invisible, but Persian, Indic scripts and emoji are written with them.
_JOINERS = "\u200c\u200d"
# Letters and symbols by their category, that nobody can see: fillers, and Braille without dots.
_WITHOUT_INK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# By these spreadsheets know a formula; some read the fullwidth forms as well.
_FORMULA_STARTS = ("=", "+", "-", "@", "|", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BEHIND_ASCII = re.compile("[\x7f-\U0010ffff]")


def legible(text: str) -> str:
    r"""Show what is not printable as its escape (`\x1b`, `\n`, `\u202e`), all on one line.

    Joiners stay where they are spelling; fillers, printable but without ink, are shown as well.
    """
    if text.isprintable() and _WITHOUT_INK.isdisjoint(text):
        return text
    return "".join(
        sign if _has_ink(sign) or is_spelling(text, place) else _escape(sign)
        for place, sign in enumerate(text)
    )


def _has_ink(sign: str) -> bool:
    return sign.isprintable() and sign not in _WITHOUT_INK


def is_spelling(text: str, place: int) -> bool:
    """Tell whether a joiner stands there between two characters beyond ASCII."""
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    return (
        text[place] in _JOINERS
        and len(around) == 2  # noqa: PLR2004 - one on each side
        and around.isprintable()
        and min(around) > "\x7f"
    )


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def legible_json(text: str) -> str:
    r"""Write what a JSON text holds unprintable as `\u` escapes, the same to any program.

    JSON itself does so below U+0020 only, and people read it on terminals, too.
    """
    return _BEHIND_ASCII.sub(lambda found: _json_escape(found[0]), text)


def _json_escape(sign: str) -> str:
    if sign.isprintable():
        return sign
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def is_blank(text: str) -> bool:
    """Tell whether nobody would see a thing: no letter, number, sign or symbol."""
    return not any(
        unicodedata.category(sign)[0] in "LNPS" and sign not in _WITHOUT_INK for sign in text
    )


def as_cell(text: str) -> str:
    """Give a text as a cell of a table for spreadsheets, where nothing in it is a formula.

    An apostrophe before the text says so to them, and stays visible to every other program.
    """
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text
