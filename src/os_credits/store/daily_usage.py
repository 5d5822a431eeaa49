"""What series used: by days where their sums hold, else by hours. Reads `daily_usage` and `usage`.

Days are read from an index in which those of a series stand side by side, so that a long time
costs little. Days whose hours were dropped are in neither table, but in `daily_charge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.period import EPOCH, floor_day

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.store.summed_days import OpenDays

_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Cut:
    """A period, cut into whole days and the hours that are read one by one.

    The days are all from `first_day` up to before `end_day` that are in no span of hours.
    """

    first_day: datetime
    end_day: datetime
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]

    @property
    def arguments(self) -> tuple[object, ...]:
        """Give all of it in the order in which `USED` numbers it, from `$2` on."""
        return self.first_day, self.end_day, self.starts, self.ends


def whole_days(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Give the first and the end of the whole days of a period; without any, its end twice."""
    first, last = floor_day(start), floor_day(end)
    if first != start:
        first += _DAY
    return (first, last) if first < last else (end, end)


def cut(open_days: OpenDays, start: datetime, end: datetime) -> Cut:
    """Cut the hours from `start` up to before `end`; only whole days of it can be read as such."""
    first, last = whole_days(start, end)
    within = zip(open_days.starts, open_days.ends, strict=True)
    spans = [(start, first), (last, end), *((max(a, first), min(b, last)) for a, b in within)]
    spans = sorted((a, b) for a, b in spans if a < b)
    return Cut(first, last, tuple(a for a, _ in spans), tuple(b for _, b in spans))


def cut_all(open_days: OpenDays) -> Cut:
    """Cut all of time."""
    return cut(open_days, EPOCH, open_days.ends[-1])


# `$1` series, `$2` to `$5` a cut. What was measured, by series, hour or day (`at`) and flavor, in
# smallest steps: `quantity` counts and has its price, `unpriced` counts and waits for one, `free`
# an operator let go, about `undecided` nobody has decided. Nothing else is charged.
USED = """
span AS MATERIALIZED (
    SELECT * FROM unnest($4::timestamptz[], $5::timestamptz[]) AS o(start, "end")
), used AS NOT MATERIALIZED (
    SELECT d.series_id, d.day AS at, d.flavor_id, d.quantity, d.unpriced, d.free, d.undecided,
           d.credits
    FROM unnest($1::bigint[]) AS w(series_id) CROSS JOIN LATERAL (
        SELECT * FROM daily_usage
        WHERE daily_usage.series_id = w.series_id AND day >= $2 AND day < $3 OFFSET 0
    ) d
    WHERE NOT EXISTS (SELECT FROM span o WHERE d.day >= o.start AND d.day < o."end")
    UNION ALL
    SELECT h.series_id, h.hour, h.flavor_id,
           CASE WHEN h.credits IS NOT NULL AND (h.kind = 0 OR h.credits > 0)
                THEN h.quantity ELSE 0 END,
           CASE WHEN h.credits IS NULL AND h.kind = 0 THEN h.quantity ELSE 0 END,
           CASE WHEN h.credits = 0 AND h.kind <> 0 THEN h.quantity ELSE 0 END,
           CASE WHEN h.credits IS NULL AND h.kind <> 0 THEN h.quantity ELSE 0 END,
           coalesce(h.credits, 0)
    FROM span o CROSS JOIN unnest($1::bigint[]) AS w(series_id) CROSS JOIN LATERAL (
        SELECT * FROM usage
        WHERE usage.series_id = w.series_id AND hour >= o.start AND hour < o."end" OFFSET 0
    ) h
)
"""


def with_used(statement: str) -> str:
    """Let a statement of ours read from `used`; begun with a comma, it has more such tables."""
    return f"WITH {USED}{statement}"


def series_arguments(series_ids: Sequence[int], wanted: Cut) -> tuple[object, ...]:
    """Give `$1` to `$5`."""
    return list(series_ids), *wanted.arguments
