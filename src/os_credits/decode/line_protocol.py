"""Read InfluxDB line protocol: Telegraf, InfluxDB subscriptions, InfluxDB's client libraries.

Each numeric or boolean field of a point is one sample. Its metric is named as Telegraf names it
for Prometheus: `measurement_field`, and the field alone under the measurement `prometheus`; the
measurement alone where the field is called `value`, which is how InfluxDB stores what Prometheus
wrote into it. So a meter names one metric, whatever the door. A field that holds text is no
sample; it is counted by that name.

Each line is judged alone. A point that the grammar accepts but whose content is wrong (a number, a
tag twice) is skipped as a whole, including newlines inside its strings. Where the grammar itself
fails, reading goes on at the next newline, so that a quote that never ends costs one line only.
"""

from __future__ import annotations

from collections import Counter

from os_credits.decode.columns import PIECES_MAX, Columns
from os_credits.decode.line_fault import syntax_fault
from os_credits.decode.line_grammar import BLANK_LINE, BLANK_LINES, FIELD, POINT
from os_credits.decode.line_series import (
    KEY_MARK,
    TIME_NAME,
    labels_of,
    metric_of,
    series_fault,
)
from os_credits.decode.line_value import nanoseconds_per_unit, number, time_ms
from os_credits.decode.quoting import quoted
from os_credits.domain.sample import Push
from os_credits.errors import InvalidInput, TooLarge

__all__ = ["decode", "labels_of"]

# Far more than any sender writes, and little enough to take apart.
POINT_BYTES_MAX = 1024 * 1024

QUOTE = ord('"')

# So many refused points of one body are shown to their sender, and so much of each.
POINTS_SHOWN_MAX = 256
POINT_BYTES_SHOWN_MAX = 512


def decode(body: bytes, precision: str, pieces_max: int = PIECES_MAX) -> Push:
    """Read all points of `body`, whose times are in units of `precision`.

    Raises TooLarge for more than `pieces_max` lines or fields.
    """
    reader = _PointReader(body, nanoseconds_per_unit(precision), pieces_max)
    start = 0
    line = 1
    while start < len(body):
        end = reader.read(start, line)
        line += body.count(b"\n", start, end)
        start = end
    return reader.push()


class _PointReader:
    """Reads the points of one body; remembers which series are sound and which have texts."""

    def __init__(self, body: bytes, nanoseconds: int, pieces_max: int) -> None:
        self.columns = Columns("line", pieces_max)
        self._body = body
        self._nanoseconds = nanoseconds
        self._is_text = _is_utf8(body)
        self._series_faults: dict[bytes, str | None] = {}
        self._texts: Counter[tuple[bytes, tuple[bytes, ...]]] = Counter()

    def push(self) -> Push:
        """Hand out what was read; only now are texts counted by the names of metrics."""
        for (series, fields), count in self._texts.items():
            for field in fields:
                self.columns.add_text(metric_of(series, field), count)
        return self.columns.push()

    def read(self, start: int, line: int) -> int:
        """Read the point, comment or blank line at `start`; say where the next one starts."""
        point = POINT.match(self._body, start)
        if point is None:
            return self._read_no_point(start, line)
        self.columns.take_up(1)
        end = point.end()
        if end - start > POINT_BYTES_MAX:
            self._refuse(start, end, line, f"longer than {POINT_BYTES_MAX} bytes")
            return end
        try:
            self._read_point(point[0], point[1], point[2], point[3], line)
        except TooLarge:
            raise
        except InvalidInput as error:
            self._refuse(start, end, line, error.message)
        return end

    def _read_no_point(self, start: int, line: int) -> int:
        blank = BLANK_LINES.match(self._body, start) or BLANK_LINE.match(self._body, start)
        if blank is not None:
            return blank.end()
        self.columns.take_up(1)
        end = self._body.find(b"\n", start) + 1 or len(self._body)
        self._refuse(start, end, line, syntax_fault(self._body, start))
        return end

    def _refuse(self, start: int, end: int, line: int, fault: str) -> None:
        """Refuse the point from `start` to `end` in InfluxDB's words, which its clients know."""
        shown = ""
        if len(self.columns.rejected) < POINTS_SHOWN_MAX:
            point = self._body[start : min(end, start + POINT_BYTES_SHOWN_MAX)]
            shown = " " + quoted(point.strip(b" \r\n"), mark="'")
        self.columns.reject(line, f"unable to parse{shown}: {fault}")

    def _read_point(
        self, point: bytes, series: bytes, fields: bytes, written_time: bytes | None, line: int
    ) -> None:
        if not self._is_text and not _is_utf8(point):
            raise InvalidInput("not valid UTF-8")
        if series not in self._series_faults:
            self._series_faults[series] = series_fault(series)
        if fault := self._series_faults[series]:
            raise InvalidInput(fault)
        written_time = (written_time or b"").removesuffix(b"\r").rstrip(b" ")
        time = time_ms(written_time, self._nanoseconds) if written_time else None
        written = dict(FIELD.findall(fields))  # of a repeated field the last counts
        self.columns.take_up(len(written))
        if TIME_NAME in written:
            raise InvalidInput('"time" cannot be the name of a field')
        numbers = {name: number(text) for name, text in written.items() if text[0] != QUOTE}
        if len(numbers) < len(written):
            texts = tuple([name for name in written if name not in numbers])
            self._texts[series, texts] += 1
        key_start = b"".join((KEY_MARK, series, b" "))
        for name, value in numbers.items():
            self.columns.add(key_start + name, time, value, line)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
