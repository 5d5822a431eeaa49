"""Brings the database up to the meter file, the whitelist and the de.NBI price setting."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from os_credits.domain.flavor import FlavorSpec, size_of
from os_credits.domain.meter import FIXED_FOR_LIFE, MeterDefinition, MeterKind
from os_credits.domain.period import EPOCH, HOUR, floor_hour
from os_credits.domain.price import price_of
from os_credits.errors import InvalidInput, Misconfigured
from os_credits.flows.flavors import seed_specs, unsaid_specs
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import reprice
from os_credits.store import (
    batches,
    flavors,
    meters,
    prices,
    projects,
    rating_state,
    retention,
    whitelist,
)
from os_credits.store.pool import Pool, connection, transaction
from os_credits.store.usage import Chosen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from os_credits.domain.meter import MeterVersion
    from os_credits.store.pool import Connection

AUTHOR = "meter file"
SIZES = ("vcpus", "ram_gib", "disk_gib")
# No sample that was accepted before may lie in the hours of a new version: this is longer than
# any sample may be ahead of the database's clock (50 min, `acceptance_ahead_seconds`).
NOTICE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class FilePrice:
    """A price of the meter file: it seeds a meter and flavor that have none."""

    meter: str
    flavor: str | None
    credits_per_unit: Decimal


@dataclass(frozen=True, slots=True)
class FileFlavor:
    """What a flavor of the meter file is made of."""

    name: str
    spec: FlavorSpec


@dataclass(frozen=True, slots=True)
class MeterFile:
    """What a meter file declares."""

    meters: tuple[MeterDefinition, ...]
    prices: tuple[FilePrice, ...]
    flavors: tuple[FileFlavor, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Which meters are new, which get a new version (from when), and how many prices are."""

    new_meters: tuple[str, ...]
    new_versions: dict[str, datetime]
    seeded_prices: int


def read_meter_file(path: Path) -> MeterFile:
    """Read and check a meter file; Misconfigured names the file, the table and the mistake."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"meter file {path}: {error}") from error
    unknown = set(content) - {"meter", "price", "flavor"}
    if unknown:
        raise Misconfigured(f"meter file {path}: unknown table {min(unknown)!r}")
    definitions = tuple(
        _definition(path, number, table) for number, table in enumerate(content.get("meter", []), 1)
    )
    names = [definition.name for definition in definitions]
    for name in names:
        if names.count(name) > 1:
            raise Misconfigured(f"meter file {path}: meter {name!r} is declared twice")
    file_prices = tuple(
        _price(path, number, table, names)
        for number, table in enumerate(content.get("price", []), 1)
    )
    file_flavors = tuple(
        _flavor(path, number, table) for number, table in enumerate(content.get("flavor", []), 1)
    )
    flavor_names = [one.name for one in file_flavors]
    for name in flavor_names:
        if flavor_names.count(name) > 1:
            raise Misconfigured(f"meter file {path}: flavor {name!r} is declared twice")
    return MeterFile(definitions, file_prices, file_flavors)


def _definition(path: Path, number: int, table: dict[str, Any]) -> MeterDefinition:
    try:
        return MeterDefinition(**table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole"
        name = table.get("name", f"number {number}")
        raise Misconfigured(f"meter file {path}: meter {name}: {field}: {first['msg']}") from error


def _price(path: Path, number: int, table: dict[str, Any], meter_names: list[str]) -> FilePrice:
    place = f"meter file {path}: price {number}"
    unknown = set(table) - {"meter", "flavor", "credits_per_unit"}
    if unknown:
        raise Misconfigured(f"{place}: unknown key {min(unknown)!r}")
    if table.get("meter") not in meter_names:
        raise Misconfigured(f"{place}: meter {table.get('meter')!r} is not declared in this file")
    try:
        amount = price_of(table.get("credits_per_unit", ""), where="credits_per_unit")
    except InvalidInput as error:
        raise Misconfigured(f"{place}: {error}") from error
    if amount is None:
        raise Misconfigured(f"{place}: a file seeds prices, it cannot end one")
    return FilePrice(table["meter"], table.get("flavor"), amount)


def _flavor(path: Path, number: int, table: dict[str, Any]) -> FileFlavor:
    name = table.get("name")
    place = f"meter file {path}: flavor {name or number}"
    unknown = set(table) - {"name", *SIZES}
    if unknown:
        raise Misconfigured(f"{place}: unknown key {min(unknown)!r}")
    if not isinstance(name, str) or not name or "\0" in name:
        raise Misconfigured(f"{place}: name must be a text that is not empty")
    try:
        sizes = {one: size_of(table.get(one), where=one) for one in SIZES}
    except InvalidInput as error:
        raise Misconfigured(f"{place}: {error}") from error
    return FileFlavor(name, FlavorSpec(**sizes))


def with_denbi_prices(file: MeterFile, metrics_to_bill: str) -> MeterFile:
    """Add what the de.NBI setting METRICS_TO_BILL says: a JSON object of metric to price.

    A metric that the file declares gets this price in place of the file's own; any other
    becomes a counter with the labels of the de.NBI exporters.
    """
    if not metrics_to_bill.strip():
        return file
    try:
        wanted = json.loads(metrics_to_bill, parse_float=Decimal, parse_int=Decimal)
        pairs = {str(metric): Decimal(str(value)) for metric, value in wanted.items()}
    except (ValueError, AttributeError, InvalidOperation) as error:
        raise Misconfigured(
            f"METRICS_TO_BILL is no JSON object of metric to price: {error}"
        ) from error
    declared = {definition.metric: definition.name for definition in file.meters}
    try:
        added = tuple(_denbi_meter(metric) for metric in pairs if metric not in declared)
        own = tuple(
            FilePrice(
                declared.get(metric, metric), None, price_of(value, where=metric) or Decimal(0)
            )
            for metric, value in pairs.items()
        )
    except (ValidationError, InvalidInput) as error:
        raise Misconfigured(f"METRICS_TO_BILL: {error}") from error
    replaced = {price.meter for price in own}
    kept = tuple(
        price for price in file.prices if price.flavor is not None or price.meter not in replaced
    )
    return MeterFile(file.meters + added, kept + own, file.flavors)


def _denbi_meter(metric: str) -> MeterDefinition:
    return MeterDefinition(
        name=metric,
        metric=metric,
        kind=MeterKind.COUNTER,
        unit="unit",
        description="Declared by METRICS_TO_BILL.",
        project_id="project_id",
        project_name="project_name",
        domain="domain_name",
        site="location_id",
    )


async def load_meters(pool: Pool, file: MeterFile) -> LoadResult:
    """Store new meters at once, changed ones as a version from a coming full hour on.

    Raises Misconfigured if a meter changes what its stored quantities are made of. Prices are
    seeded from the epoch on, only where the meter and flavor have none. Meters that the file
    does not name stay as they are. Where nothing differs, nobody is waited for.
    """
    async with connection(pool) as conn:
        if await _is_loaded(conn, file):
            return LoadResult((), {}, 0)
    async with transaction(pool) as conn:
        await rating_state.lock(conn)
        await meters.lock_meters(conn)
        now = await batches.read_now(conn)
        coming = floor_hour(now + NOTICE) + HOUR
        latest = {version.definition.name: version for version in await meters.list_versions(conn)}
        new: list[str] = []
        changed: dict[str, datetime] = {}
        for definition in file.meters:
            before = latest.get(definition.name)
            meter_id = await meters.insert_meter(conn, definition)
            if before is None:
                await meters.insert_version(conn, meter_id, definition, EPOCH)
                new.append(definition.name)
            elif before.definition.dated_part() != definition.dated_part():
                _check_fixed(before, definition)
                # A version that waits for its hour keeps it: label sets may refer to it.
                start = max(coming, before.valid_from + HOUR)
                await meters.insert_version(conn, meter_id, definition, start)
                changed[definition.name] = start
        seeded = await _seed_prices(conn, file.prices)
        await seed_specs(conn, {one.name: one.spec for one in file.flavors}, author=AUTHOR)
        renamed = any(
            latest[one.name].definition.place_labels != one.place_labels
            for one in file.meters
            if one.name in latest
        )
        if new or changed or seeded or renamed:
            await rating_state.raise_epoch(conn)
    return LoadResult(tuple(new), changed, seeded)


async def _is_loaded(conn: Connection, file: MeterFile) -> bool:
    """Tell whether the database says all that the file says."""
    latest = {version.definition.name: version for version in await meters.list_versions(conn)}
    if any(
        definition.name not in latest or latest[definition.name].definition != definition
        for definition in file.meters
    ):
        return False
    specs = {one.name: one.spec for one in file.flavors}
    if await unsaid_specs(conn, specs, author=AUTHOR):
        return False
    flavor_names = await flavors.list_flavors(conn)
    priced = {
        (price.meter_id, None if price.flavor_id is None else flavor_names[price.flavor_id])
        for price in await prices.list_prices(conn)
    }
    return all((latest[one.meter].meter_id, one.flavor) in priced for one in file.prices)


def _check_fixed(before: MeterVersion, definition: MeterDefinition) -> None:
    for field in FIXED_FOR_LIFE:
        old, new = getattr(before.definition, field), getattr(definition, field)
        if old != new:
            raise Misconfigured(
                f"meter {definition.name}: {field} cannot change from {old!s} to {new!s}, since "
                "stored quantities would lose their meaning; declare a meter with a new name"
            )


async def _seed_prices(conn: Connection, wanted: Sequence[FilePrice]) -> int:
    """Set file prices from the epoch on, where the meter and flavor have none.

    Usage that was unpriced so far is charged by them at once (rule 5).
    """
    pricing = await read_pricing(conn)
    # The epoch, as long as all usage is kept: settled hours never change their price.
    kept_from = (await retention.read_retention(conn)).usage_dropped_until
    priced = {(price.meter_id, price.flavor_id) for price in await prices.list_prices(conn)}
    names = [price.flavor for price in wanted if price.flavor is not None]
    flavor_ids = await flavors.ensure_flavors(conn, names)
    seeded = []
    for price in wanted:
        meter_id = pricing.meters.find(price.meter)
        flavor_id = None if price.flavor is None else flavor_ids[price.flavor]
        if meter_id is None or (meter_id, flavor_id) in priced:
            continue
        await prices.insert_price(
            conn,
            meter_id=meter_id,
            flavor_id=flavor_id,
            valid_from=kept_from,
            credits_per_unit=price.credits_per_unit,
            author=AUTHOR,
        )
        seeded.append((meter_id, flavor_id))
    pricing = await read_pricing(conn)
    for meter_id, flavor_id in seeded:
        await reprice(conn, Chosen(kept_from, meter_id=meter_id, flavor_id=flavor_id), pricing)
    return len(seeded)


async def _is_in_force(conn: Connection, wanted: list[str] | None) -> bool:
    revisions = await whitelist.list_whitelists(conn)
    current = revisions[-1][1] if revisions else None
    return current == (None if wanted is None else frozenset(wanted))


async def apply_whitelist(pool: Pool, wanted: list[str] | None) -> datetime | None:
    """Let a new whitelist (None: everyone) hold from the current full hour on.

    A database without projects takes it from the epoch on. Gives its start, or None if the
    newest whitelist says the same already.
    """
    async with connection(pool) as conn:
        if await _is_in_force(conn, wanted):
            return None
    async with transaction(pool) as conn:
        await rating_state.lock(conn)
        if await _is_in_force(conn, wanted):
            return None
        is_new = not await projects.list_projects(conn, limit=1)
        start = EPOCH if is_new else floor_hour(await batches.read_now(conn))
        await whitelist.insert_whitelist(conn, start, wanted)
        await reprice(conn, Chosen(start), await read_pricing(conn))
        await rating_state.raise_epoch(conn)
    return start
