"""Puts names of clouds and people into mail headers, so that they stay names.

Python's own header classes decode an encoded word when it is assigned, which brings out the
line ends that it hides, and lose blanks where they fold. So these texts are encoded here, by
RFC 2047, and stored as they are (`EmailMessage.set_raw`).
"""

from __future__ import annotations

import re
from email.header import Header

from os_credits.domain.text import is_spelling

NAME_LENGTH_MAX = 80
# Words that may stand before an address as they are; everything else is encoded.
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~ -]*")


def one_line(text: str, length_max: int = NAME_LENGTH_MAX) -> str:
    """Give a text without control characters and line ends, cut to a length in characters.

    `=?` is broken up, so that no program takes a part of a name for an encoded word.
    """
    printable = "".join(
        sign if sign.isprintable() or is_spelling(text, place) else " "
        for place, sign in enumerate(text)
    )
    line = " ".join(printable.replace("=?", "= ?").split())
    return line if len(line) <= length_max else line[: length_max - 1] + "…"


def text_header(name: str, text: str) -> str:
    """Encode the value of a header that is free text, such as the subject; one line."""
    charset = "us-ascii" if text.isascii() else "utf-8"
    return Header(text, charset, header_name=name).encode(linesep="\r\n")


def mailbox(name: str, address: str) -> str:
    """Write an address with the name of its owner, if there is one; both are checked already."""
    if not name:
        return address
    if _PLAIN_PHRASE.fullmatch(name):
        return f"{name} <{address}>"
    # As if the header had a long name: a word of the name never exceeds its 75 characters.
    phrase = Header(name, "utf-8", header_name="Resent-From").encode(linesep="\r\n")
    return f"{phrase}\r\n <{address}>"


def split_mailbox(text: str) -> tuple[str, str]:
    """Part `Name <address>` or a bare address into name and address, without judging them."""
    name, bracket, rest = text.strip().partition("<")
    if bracket and rest.endswith(">"):
        return name.strip(' "'), rest[:-1]
    return "", text.strip()
