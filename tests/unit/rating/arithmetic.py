"""Reads the calculations that explanations print, and does them again with fractions.

It knows the symbols and nothing of the product: what a person would do with pencil and paper.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE_IN_NUMBER = re.compile(r"(?<=\d) (?=\d)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|max|[()⌊⌋,×/−]")
# Units say what a number counts; they follow it and change nothing.
_UNIT = re.compile(r"(?<=\d) (?:s|steps|step·ms)(?= |$|\)|⌋)")


def result_of(expression: str) -> Fraction:
    """Work out an expression; raises ValueError for anything that is no plain arithmetic."""
    text = _UNIT.sub("", _SPACE_IN_NUMBER.sub("", expression))
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise ValueError(f"no arithmetic: {expression!r}")
    stream = iter([*tokens, ""])
    reader = _Reader(stream)
    value = reader.sum()
    if reader.token:
        raise ValueError(f"too much: {expression!r}")
    return value


class _Reader:
    """One pass over the tokens, from the left."""

    def __init__(self, stream: Iterator[str]) -> None:
        self._stream = stream
        self.token = next(stream)

    def take(self, expected: str | None = None) -> str:
        token = self.token
        if expected is not None and token != expected:
            raise ValueError(f"{expected!r} instead of {token!r}")
        self.token = next(self._stream, "")
        return token

    def sum(self) -> Fraction:
        value = self.product()
        while self.token == "−":
            self.take()
            value -= self.product()
        return value

    def product(self) -> Fraction:
        value = self.atom()
        while self.token in ("×", "/"):
            if self.take() == "×":
                value *= self.atom()
            else:
                value /= self.atom()
        return value

    def atom(self) -> Fraction:
        token = self.take()
        if token == "(":
            value = self.sum()
            self.take(")")
        elif token == "⌊":
            value = Fraction(math.floor(self.sum()))
            self.take("⌋")
        elif token == "max":
            self.take("(")
            first = self.sum()
            self.take(",")
            value = max(first, self.sum())
            self.take(")")
        else:
            value = Fraction(token)
        return value
