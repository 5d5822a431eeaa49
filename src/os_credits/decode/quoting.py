"""Show a sender's own text inside an error message: short, quoted, harmless."""

from __future__ import annotations

SHOWN_CHARACTERS_MAX = 80


def quoted(text: str | bytes) -> str:
    """Quote `text`, cut to a readable length, with every unprintable character escaped."""
    if isinstance(text, bytes):
        text = text[: 4 * SHOWN_CHARACTERS_MAX + 4].decode("utf-8", "backslashreplace")
    shown = "".join(_printable(character) for character in text[:SHOWN_CHARACTERS_MAX])
    return f'"{shown}..."' if len(text) > SHOWN_CHARACTERS_MAX else f'"{shown}"'


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
