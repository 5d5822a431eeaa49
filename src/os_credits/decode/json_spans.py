"""Find the metrics in a JSON body by its brackets alone, so that each can then be read alone.

Reading the whole body at once would take many times its memory, and one bad byte would cost all.
What stands between the brackets of a metric may be anything: whoever reads it will see. Every
repetition is possessive, so that no body, however strange, is walked in more than linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from os_credits.errors import InvalidInput, TooLarge

_BLANK = rb"[\x20\t\n\r]*+"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'

# Up to the first metric: of the batch form (1), of a mere list (2), or the only one.
_HEAD = re.compile(
    rb"(?:\xef\xbb\xbf)?+" + _BLANK + rb"(?:"
    rb"(\{" + _BLANK + rb'"metrics"' + _BLANK + rb":" + _BLANK + rb"\[)"
    rb"|(\[)"
    rb"|(?=\{))" + _BLANK
)
_EMPTY = re.compile(rb"\]" + _BLANK)
_AFTER_METRIC = re.compile(_BLANK + rb"([,\]])" + _BLANK)
_AFTER_LIST = re.compile(rb"\}" + _BLANK)
_END = re.compile(_BLANK + rb"\Z")

# A value without brackets: it is no metric, but may stand beside some.
_PLAIN = re.compile(rb'[^"{}\[\],]++|' + _STRING, re.DOTALL)

# Up to the next bracket outside of strings; not always, since a match lets no thread in.
_RUN = re.compile(
    rb'(?:[^"{}\[\]]*+"[^"\\]*+(?:\\.[^"\\]*+)*+"){0,65536}+[^"{}\[\]]*+([{}\[\]]?)', re.DOTALL
)


class MetricSpans:
    """Walks once over a body, from metric to metric; takes at most `brackets_max` brackets."""

    def __init__(self, body: bytes, brackets_max: int) -> None:
        self._body = body
        self._at = 0
        self._brackets_max = brackets_max
        self._brackets_left = brackets_max

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Say where each metric starts and ends.

        Raises InvalidInput for a body of another shape, TooLarge for too many brackets.
        """
        head = self._expect(_HEAD, 'expected {"metrics": [...]}, a metric or a list of metrics')
        if head.lastindex is None:
            yield self._value()
        elif not self._skip(_EMPTY):
            yield self._value()
            while self._expect(_AFTER_METRIC, "expected a comma or the end of the list")[1] == b",":
                yield self._value()
        if head[1]:
            self._expect(_AFTER_LIST, 'expected nothing beside "metrics"')
        self._expect(_END, "expected the end of the body")

    def _value(self) -> tuple[int, int]:
        start = self._at
        if not self._skip(_PLAIN):
            if self._body[start : start + 1] not in (b"{", b"["):
                raise self._fault("expected a metric")
            depth = 1
            self._at += 1
            while depth:
                depth += self._next_bracket()
        return start, self._at

    def _next_bracket(self) -> int:
        """Go on behind the next bracket; say whether it opens (1) or closes (-1)."""
        while True:
            run = _RUN.match(self._body, self._at)
            if run is None or run.end() == self._at:
                raise self._fault("expected a closing bracket or quote")
            self._at = run.end()
            if run[1]:
                break
        self._brackets_left -= 1
        if self._brackets_left < 0:
            raise TooLarge(f"more than {self._brackets_max} brackets in one body")
        return 1 if run[1] in (b"{", b"[") else -1

    def _skip(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        found = pattern.match(self._body, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _expect(self, pattern: re.Pattern[bytes], otherwise: str) -> re.Match[bytes]:
        found = self._skip(pattern)
        if found is None:
            raise self._fault(otherwise)
        return found

    def _fault(self, message: str) -> InvalidInput:
        return InvalidInput(message, where=f"byte {self._at + 1}")
