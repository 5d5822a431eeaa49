"""Lets a meter be rated otherwise from a past hour on: its gap, its reset rule, its highest rate.

What a label means can only change for hours to come (`flows/meters.py`), since samples were
read by it; how neighbours become usage can be worked out again while the samples are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from os_credits.domain.meter import RATING_FIELDS, MeterDefinition, MeterVersion
from os_credits.domain.period import floor_hour, full_hour
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.change import apply_change, in_columns, sample_groups
from os_credits.flows.facts import Facts
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import Change
from os_credits.store import batches, meters, rating_state, retention, samples, series
from os_credits.store.pool import Pool, previewed
from os_credits.store.samples import LAST_MOMENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from os_credits.domain.pricing import Pricing
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Revision:
    """A new version of a meter: the hours it holds for, and what that changed."""

    valid_from: datetime
    valid_until: datetime | None
    change: Change


async def revise(
    pool: Pool,
    *,
    meter: str,
    changes: Mapping[str, Any],
    valid_from: datetime,
    reason: str,
    author: str,
    window_ms: int,
    preview: bool = False,
) -> Revision:
    """Let `changes` (names of `RATING_FIELDS`) hold from a past full hour up to the next version.

    Hours that were booked get corrections. With `preview`, nothing is kept. Raises NotFound for
    an unknown meter, InvalidInput for other fields, values or hours that cannot be, Conflict
    where a version begins in that very hour.
    """
    start = full_hour(valid_from, where="valid_from")
    async with previewed(pool, preview=preview) as conn:
        await rating_state.lock(conn)
        await meters.lock_meters(conn)
        await _check_start(conn, start)
        before = await read_pricing(conn)
        meter_id = before.meters.find(meter)
        if meter_id is None:
            raise NotFound(f"there is no meter {meter!r}")
        version = _version_at(before, meter_id, start)
        definition = _changed(version, changes)
        if not await meters.insert_version(
            conn, meter_id, definition, start, author=author, reason=reason
        ):
            raise Conflict(
                f"a version of meter {meter} begins at {start:%Y-%m-%dT%H:%MZ} already; "
                "name the hour after it"
            )
        await rating_state.raise_epoch(conn)
        change = await _rate_again(conn, meter_id, start, before, window_ms)
    return Revision(start, version.valid_until, change)


async def _check_start(conn: Connection, start: datetime) -> None:
    if start > floor_hour(await batches.read_now(conn)):
        raise InvalidInput("lies ahead: change the meter file instead", where="valid_from")
    kept_from = (await retention.read_retention(conn)).samples_dropped_until
    if start < kept_from:
        raise InvalidInput(
            f"samples before {kept_from:%Y-%m-%dT%H:%MZ} are no longer kept", where="valid_from"
        )


def _version_at(pricing: Pricing, meter_id: int, start: datetime) -> MeterVersion:
    held = [one for one in pricing.meters.versions_of(meter_id) if one.valid_from <= start]
    if not held:
        raise InvalidInput("lies before the meter's first version", where="valid_from")
    return held[-1]


def _changed(version: MeterVersion, changes: Mapping[str, Any]) -> MeterDefinition:
    others = sorted(set(changes) - set(RATING_FIELDS))
    if others:
        raise InvalidInput(
            f"only {', '.join(RATING_FIELDS)} can change for the past", where=others[0]
        )
    fields = {**version.definition.model_dump(), **changes}
    try:
        definition = MeterDefinition(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(first["msg"], where=".".join(map(str, first["loc"]))) from error
    if definition == version.definition:
        raise InvalidInput("that is what holds already", where="changes")
    return definition


async def _rate_again(
    conn: Connection, meter_id: int, start: datetime, before: Pricing, window_ms: int
) -> Change:
    """Rate every series of the meter from an hour on, as before and as now."""
    pricing, facts, change = await read_pricing(conn), Facts(), Change()
    concerned = await series.list_series_of_meter(conn, meter_id)
    async for counts in sample_groups(conn, concerned, start, LAST_MOMENT):
        rows = await samples.read_period(conn, list(counts), start, LAST_MOMENT)
        await facts.learn(conn, rows.label_set_ids)
        columns = in_columns(rows, facts)
        change.join(
            await apply_change(
                conn,
                facts,
                after=columns,
                before=columns,
                pricing=pricing,
                pricing_before=before,
                window_ms=window_ms,
            )
        )
    return change
