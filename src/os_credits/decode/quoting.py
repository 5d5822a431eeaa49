"""Show a sender's own text inside an error message: short, quoted, harmless."""

from __future__ import annotations

from os_credits.domain.text import legible

SHOWN_CHARACTERS_MAX = 80
# With escapes, of which each stands for one character.
WRITTEN_CHARACTERS_MAX = 2 * SHOWN_CHARACTERS_MAX


def quoted(text: str | bytes, mark: str = '"') -> str:
    """Quote `text`, cut to a readable length, with every unprintable character escaped."""
    if isinstance(text, bytes):
        text = text[: 4 * SHOWN_CHARACTERS_MAX + 4].decode("utf-8", "backslashreplace")
    shown = legible(text[:SHOWN_CHARACTERS_MAX])
    if len(text) > SHOWN_CHARACTERS_MAX or len(shown) > WRITTEN_CHARACTERS_MAX:
        shown = f"{shown[:WRITTEN_CHARACTERS_MAX]}..."
    return f"{mark}{shown}{mark}"
