"""Bodies of line protocol, good and bad lines mixed, and all that must come of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.conformance.line_writer import (
    IN_KEY,
    IN_MEASUREMENT,
    INT64_MAX,
    INT64_MIN,
    UINT64_MAX,
    LineWriter,
    Point,
)

TIME_NANOSECONDS_MAX = 2**63 - 2
NANOSECONDS = {
    "": 1,
    "n": 1,
    "ns": 1,
    "u": 10**3,
    "us": 10**3,
    "µ": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
# What Python would read as numbers, and what looks like one.
NO_NUMBERS = (
    *("1_0", "+1", "nan", "NaN", "inf", "-Infinity", "0x1", "--1", "1.5i", "-1u", "1e", "."),
    *("-", "-0u", "1ii", "i", "1e3i", "tRUE", "null", "'a'", "\u0661", "1\t", "1\v", "1\u2028"),
)
NO_TIMES = ("1.5", "1_0", "+1", "1e3", "now", "1i", "\u0661", "1 2", "0x1", "1\t", "-", "1,x=1")


@dataclass(frozen=True, slots=True)
class Row:
    """One sample: the line where its point starts, its labels, its time, its value."""

    line: int
    labels: frozenset[tuple[str, str]]
    time_ms: int | None
    value: float


@dataclass(slots=True)
class Body:
    """What is written so far; `refused` are the bad lines and words of what is said of them."""

    writer: LineWriter
    precision: str
    pieces: list[bytes] = field(default_factory=list)
    line: int = 1
    rows: Counter[Row] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[int, str]] = field(default_factory=list)

    @property
    def nanoseconds(self) -> int:
        """Say how long a unit of the timestamps is."""
        return NANOSECONDS[self.precision]

    def add(self, written: str | bytes) -> None:
        """Write something and the end of its line."""
        if isinstance(written, str):
            written = written.encode()
        end = b"\r\n" if self.writer.once_in(4) else b"\n"
        self.pieces.append(written + end)
        self.line += written.count(b"\n") + 1

    def whole(self) -> bytes:
        """Give the body; its last line may lack its end."""
        body = b"".join(self.pieces)
        if self.writer.once_in(2):
            body = body.removesuffix(b"\n")
            body = body.removesuffix(b"\r") if self.writer.once_in(2) else body
        return body

    def add_point(self, point: Point, time: int | None = None) -> None:
        """Write a good point, with this time in units of the precision."""
        stamp = "" if time is None else f"{self.writer.spaces(1)}{time}"
        time_ms = None if time is None else time * self.nanoseconds // 10**6
        for name, value in point.numbers.items():
            labels = frozenset({**point.tags, "__name__": point.metric(name)}.items())
            self.rows[Row(self.line, labels, time_ms, value)] += 1
        self.texts.update(point.metric(name) for name in point.texts)
        self.add(self._spaced(f"{point.series}{self.writer.spaces(1)}{point.fields}{stamp}"))

    def add_bad(self, written: str | bytes, words: str) -> None:
        """Write a line that is refused with these words."""
        self.refused.append((self.line, words))
        self.add(written)

    def add_nothing(self) -> None:
        """Write a blank line or a comment."""
        text, _ = self.writer.name(IN_KEY)
        tab = "\t" if self.writer.once_in(2) else ""
        self.add(self._spaced("" if self.writer.once_in(2) else f"#{text}{tab} x=1 5"))

    def time(self) -> int:
        """Choose a time, one of the outermost now and then."""
        outermost = TIME_NANOSECONDS_MAX // self.nanoseconds
        if self.writer.once_in(5):
            return self.writer.random.choice([outermost, -outermost, 0, -1])
        return self.writer.random.randint(-outermost, outermost)

    def _spaced(self, text: str) -> str:
        return f"{self.writer.spaces(0)}{text}{self.writer.spaces(0)}"


def _with_field(value: str | Callable[[Body], str], words: str) -> Callable[[Body], None]:
    """Make a fault of one field's value; strings of the same point may hold newlines."""

    def add(body: Body) -> None:
        point = body.writer.point(f"bad={value if isinstance(value, str) else value(body)}")
        body.add_bad(f"{point.series} {point.fields} 5", words)

    return add


def _with_time(time: str | Callable[[Body], str], words: str) -> Callable[[Body], None]:
    def add(body: Body) -> None:
        point = body.writer.point()
        written = time if isinstance(time, str) else time(body)
        body.add_bad(f"{point.series} {point.fields} {written}", words)

    return add


def _line(form: str, words: str) -> Callable[[Body], None]:
    """Make a fault of the grammar; `form` holds a measurement and one or two keys."""

    def add(body: Body) -> None:
        measurement, _ = body.writer.name(IN_MEASUREMENT)
        key, other = (f"{body.writer.name(IN_KEY)[0]}{number}" for number in (1, 2))
        body.add_bad(form.format(m=measurement, a=key, b=other), words)

    return add


def _beyond(body: Body) -> str:
    more = body.writer.random.choice([1, 2, 10**6, 10**20, 10**4000])
    low, high, mark = body.writer.random.choice(
        [(INT64_MIN, INT64_MAX, "i"), (INT64_MIN, INT64_MAX, "i"), (None, UINT64_MAX, "u")]
    )
    if low is not None and body.writer.once_in(2):
        return f"-{'9' * 30 if more > 10**3000 else -low + more}{mark}"
    return f"{'9' * 30 if more > 10**3000 else high + more}{mark}"


def _time_beyond(body: Body) -> str:
    outermost = TIME_NANOSECONDS_MAX // body.nanoseconds
    time = outermost + body.writer.random.choice([1, 2, 10**9, 10**18, 10**25])
    return f"{body.writer.random.choice(['', '-'])}{time}"


def _not_utf8(body: Body) -> None:
    point = body.writer.point()
    bad = body.writer.random.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf8"])
    line = f"{point.series} {point.fields} 5".encode()
    place = body.writer.random.choice([len(point.series.encode()), 0])
    body.add_bad(line[:place] + bad + line[place:], "not valid UTF-8")


FAULTS: tuple[Callable[[Body], None], ...] = (
    _line(",{a}=x v=1", "missing measurement"),
    _line("\t{m} v=1", "missing measurement"),
    _line("{m}", "missing fields"),
    _line("{m},{a}={b}  ", "missing fields"),
    _line("{m},{a} v=1", "has no value"),
    _line("{m},{a}= v=1", "has an empty value"),
    _line("{m},{b}=1,{a}=,x=1 v=1", "has an empty value"),
    _line("{m}, v=1", "missing tag name"),
    _line("{m},={a} v=1", "missing tag name"),
    _line("{m},{a}={b}=x v=1", "unexpected"),
    _line("{m}\tv=1", "unexpected"),
    _line("{m},{a}={b}\x01 v=1", "unexpected"),
    _line("{m},{a}\x7f={b} v=1", "has no value"),
    _line("{m}\x0b v=1", "unexpected"),
    _line("{m},{a}=1,{a}=2 v=1", "duplicate tag"),
    _line("{m},{a}=1,{b}=2,{a}=1 v=1 5", "duplicate tag"),
    _line("{m},time=1,{a}=2 v=1", '"time" cannot be the name of a tag'),
    _line("{m} {a}=1,time=1i", '"time" cannot be the name of a field'),
    _line("{m} {a}=1,", "missing field name"),
    _line("{m} {a}=1, {b}=2", "missing field name"),
    _line("{m} =1", "missing field name"),
    _line("{m} {a}", "has no value"),
    _line("{m} {a}= 5", "has no value"),
    _line("{m} {a}=1,{b}", "has no value"),
    _line('{m} {a}="x"{b}', "unexpected"),
    _line("{m},{a}={b}\\", "unexpected"),
    *(_with_field(written, "invalid number") for written in NO_NUMBERS),
    _with_field(_beyond, "out of range"),
    _with_field("1e309", "out of range"),
    *(_with_time(written, "invalid timestamp") for written in NO_TIMES),
    _with_time(_time_beyond, "timestamp out of range"),
    _not_utf8,
)


def write_body(seed: str, precision: str, line_count: int) -> Body:
    """Write a body of so many points (some of them twice), faults, comments and blank lines."""
    body = Body(LineWriter(seed), precision)
    point = body.writer.point()
    for _ in range(line_count):
        chance = body.writer.random.random()
        if chance < 0.6:
            point = point if body.writer.once_in(6) else body.writer.point()
            body.add_point(point, None if chance < 0.1 else body.time())
        elif chance < 0.85:
            body.writer.random.choice(FAULTS)(body)
        else:
            body.add_nothing()
    return body
