"""Say what is wrong with a line that the grammar of line protocol refuses."""

from __future__ import annotations

from os_credits.decode.line_grammar import KEY, MEASUREMENT, SCALAR, STRING, TAG
from os_credits.decode.quoting import quoted


def syntax_fault(body: bytes, start: int) -> str:
    """Walk the point at `start` of `body` up to its first fault, and name that."""
    line = body[start : _line_end(body, start)]
    start += len(line) - len(line.lstrip(b" "))
    measurement = MEASUREMENT.match(body, start)
    if measurement is None:
        return "missing measurement"
    end = measurement.end()
    while tag := TAG.match(body, end):
        end = tag.end()
    return _after_tags(body, end)


def _after_tags(body: bytes, end: int) -> str:
    rest = body[end : _line_end(body, end)]
    if rest.startswith(b","):
        return _tag_fault(rest[1:])
    if rest and not rest.startswith(b" "):
        return f"unexpected {quoted(rest[:1])}"
    end += len(rest) - len(rest.lstrip(b" "))
    return _field_fault(body, end) if rest.strip(b" ") else "missing fields"


def _tag_fault(rest: bytes) -> str:
    """Explain why `rest` does not start with a tag."""
    name = KEY.match(rest)
    if name is None:
        return "missing tag name"
    if rest[name.end() : name.end() + 1] == b"=":
        return f"tag {quoted(name[0])} has an empty value"
    return f"tag {quoted(name[0])} has no value"


def _field_fault(body: bytes, start: int) -> str:
    """Walk the fields from `start` on; strings may lead beyond the end of the line."""
    while True:
        name = KEY.match(body, start)
        if name is None:
            return "missing field name"
        if body[name.end() : name.end() + 1] != b"=":
            return f"field {quoted(name[0])} has no value"
        value = STRING.match(body, name.end() + 1) or SCALAR.match(body, name.end() + 1)
        if value is None:
            unterminated = body.startswith(b'"', name.end() + 1)
            fault = "a string without an end" if unterminated else "no value"
            return f"field {quoted(name[0])} has {fault}"
        if body[value.end() : value.end() + 1] != b",":
            found = body[value.end() : _line_end(body, value.end())]
            return f"unexpected {quoted(found)} after field {quoted(name[0])}"
        start = value.end() + 1


def _line_end(body: bytes, start: int) -> int:
    newline = body.find(b"\n", start)
    end = len(body) if newline < 0 else newline
    return end - 1 if body[start:end].endswith(b"\r") else end
