"""How many credits a simulated project gets, so that it is left with what it is meant to have."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

from os_credits.demo.cast import (
    CREDITS_PER_GIB_HOUR,
    CREDITS_PER_VCPU_HOUR,
    CREDITS_PER_VOLUME_GIB_HOUR,
    Flavor,
    Measure,
    Project,
)
from os_credits.demo.cloud import size_gib
from os_credits.demo.rhythm import DAY_MS, outages_between, runs_between
from os_credits.domain.period import HOUR_MS

_MINUTE_MS = 60_000
_LIVE_STEP_MS = 1000
_HUNDRED = Decimal(100)


def budget_of(project: Project, start_ms: int, now_ms: int, step_ms: int) -> int:
    """Say how many whole credits leave what the project is meant to have left at `now_ms`."""
    used = credits_between(project, start_ms, now_ms, step_ms)
    if project.left_minutes:
        end_ms = now_ms + project.left_minutes * _MINUTE_MS
        budget = used + credits_between(project, now_ms, end_ms, _LIVE_STEP_MS)
    else:
        budget = used * _HUNDRED / (_HUNDRED - project.left_percent)
    return max(int(budget.to_integral_value(ROUND_CEILING)), 1)


def credits_between(project: Project, start_ms: int, end_ms: int, step_ms: int) -> Decimal:
    """Say what the project costs in this time at the shipped prices, measured in these steps.

    This is for sizing a budget; what is really charged is the service's to say.
    """
    total = Decimal(0)
    for server in project.servers:
        for run in runs_between(server, start_ms, end_ms):
            part = range(max(run.start_ms, start_ms), min(run.end_ms, end_ms))
            length_ms = len(part)
            if project.measure is not Measure.COUNTERS:
                leaves = server.rhythm.leaves and run.end_ms <= end_ms
                length_ms = sum(
                    _seen_ms(piece, step_ms, leaves=leaves or piece.stop < part.stop)
                    for piece in _measured_pieces(project, part)
                )
            total += _credits_per_hour(project, run.flavor) * length_ms
    for volume in project.volumes:
        for part_start in range(start_ms, end_ms, DAY_MS):
            length_ms = min(part_start + DAY_MS, end_ms) - part_start
            total += size_gib(volume, part_start) * CREDITS_PER_VOLUME_GIB_HOUR * length_ms
    return total / HOUR_MS


def _measured_pieces(project: Project, part: range) -> Iterator[range]:
    """Cut out when nobody measured the project's servers: a gap so long is not billed."""
    start_ms = part.start
    if project.fails:
        for outage in outages_between(part.start, part.stop):
            yield range(start_ms, max(outage.start, start_ms))
            start_ms = min(outage.stop, part.stop)
    yield range(start_ms, part.stop)


def _seen_ms(part: range, step_ms: int, *, leaves: bool) -> int:
    """Say for how long a server is seen running: from sample to sample.

    One that leaves has no sample after its last one, so its last interval is never known.
    """
    sample_count = -(-part.stop // step_ms) - -(-part.start // step_ms)
    return max(sample_count - leaves, 0) * step_ms


def _credits_per_hour(project: Project, flavor: Flavor) -> Decimal:
    if project.measure is not Measure.COUNTERS:
        return flavor.credits_per_hour
    return flavor.vcpus * CREDITS_PER_VCPU_HOUR + flavor.memory_gib * CREDITS_PER_GIB_HOUR
