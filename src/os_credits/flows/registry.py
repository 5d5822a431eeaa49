"""Which label set, as a sender writes it, feeds which series of which meter.

Label sets and series are never changed once stored, so each copy of the service remembers
them; only a label set that this copy sees for the first time costs work in the database.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.claim import NOT_STORED, OVER_ALLOWANCE, Claim, KnownKeys, KnownLabelSet
from os_credits.domain.period import to_ms
from os_credits.errors import InvalidLabels, Unavailable
from os_credits.flows.known_label_sets import KnownLabelSets
from os_credits.flows.label_reading import (
    METRIC_NAME,
    ReadLabels,
    check_limits,
    label_set_key,
    read_checked,
)
from os_credits.flows.new_series import NewSeriesAllowance
from os_credits.flows.turns import in_turns
from os_credits.store import flavors, label_sets, meters, projects
from os_credits.store.label_sets import NewLabelSet, NewSeries
from os_credits.store.pool import Pool, transaction
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Sequence

    from os_credits.domain.access import Access
    from os_credits.domain.key_spans import KeySpans
    from os_credits.domain.meter import MeterVersion
    from os_credits.domain.sample import Labels
    from os_credits.flows.known_label_sets import Found
    from os_credits.flows.label_reading import Limits
    from os_credits.store.meters import Clock
    from os_credits.store.pool import Connection

FAR_FUTURE_MS = 2**62
# How many label sets are looked for, or stored, before others get a turn.
STORED_AT_ONCE_MAX = 1000
# How many pushes store new ones at once: others find a connection to the database meanwhile.
STORING_PUSHES_MAX = 2
STORING_WAIT_SECONDS_MAX = 5.0
# A label set as it is stored: the meter version's id, and the digest of the labels.
StoredAs = tuple[int, bytes]
# How often label sets are read anew because the meters changed meanwhile.
READINGS_MAX = 5


class Registry:
    """Remembers what every label set means; asks and fills the database on first sight."""

    def __init__(self, limits: Limits) -> None:
        """Start with nothing known."""
        self._limits = limits
        self._allowance = NewSeriesAllowance(limits.new_series_per_hour_max)
        self._known = KnownLabelSets(
            count_max=limits.label_sets_cached_max, text_bytes_max=limits.cached_text_bytes_max
        )
        self._versions: dict[str, list[MeterVersion]] | None = None
        self._storing = asyncio.Semaphore(STORING_PUSHES_MAX)
        self.mark = ""

    def __len__(self) -> int:
        """Count the remembered label sets."""
        return len(self._known)

    def forget(self) -> None:
        """Forget everything, as after a change of the meters."""
        self._known.clear()
        self._versions = None

    def names(self, metric: str) -> bool:
        """Tell whether any meter takes this metric."""
        return metric in (self._versions or {})

    async def refresh(self, pool: Pool) -> None:
        """Read the meters again; forget all label sets if one, or the database, has changed."""
        async with transaction(pool) as conn:
            mark = (await meters.read_clock(conn)).mark
            versions = await meters.list_versions(conn)
        by_metric: dict[str, list[MeterVersion]] = {}
        for version in versions:
            by_metric.setdefault(version.definition.metric, []).append(version)
        if by_metric != self._versions or mark != self.mark:
            self._known.clear()
            self._versions = by_metric
        self.mark = mark

    async def resolve(
        self,
        pool: Pool,
        door: str,
        keys: KeySpans,
        labels_of: Callable[[bytes], Labels],
        access: Access,
        *,
        worth_storing: Callable[[Clock], Container[bytes]],
    ) -> KnownKeys:
        """Give what is known of each key, learning the ones seen for the first time.

        All of it is by the meters and the database that `mark` stands for. What `access` may
        not feed is not stored, nor what is not among the keys that are `worth_storing` at the
        time of the database's clock: so no refused sample makes a project. Raises Unavailable if
        the meters change again and again meanwhile.
        """
        for _ in range(READINGS_MAX):
            if self._versions is None:
                await self.refresh(pool)
            versions = self._versions
            found = self._known.find(door, keys)
            if len(strangers := found.strangers()):
                new = list(dict.fromkeys(keys[place] for place in strangers.tolist()))
                learned = await self._learn(pool, new, labels_of, access, worth_storing)
                if versions is not self._versions:
                    continue  # they changed while we waited for the database
                self._remember(door, learned)
                found = self._known.find(door, keys)
                self._fill(found, keys, learned)
            if not len(found.strangers()):
                return self._known.columns(found)
        raise Unavailable("the meters keep changing")

    def _fill(self, found: Found, keys: KeySpans, learned: dict[bytes, KnownLabelSet]) -> None:
        """Take what was learned but not remembered, since it holds for this sender only."""
        missing = [place for place in found.strangers().tolist() if keys[place] in learned]
        found.put(
            np.array(missing, np.intp), self._known.packed(learned[keys[one]] for one in missing)
        )

    def _remember(self, door: str, learned: dict[bytes, KnownLabelSet]) -> None:
        """Keep what holds for every sender."""
        self._known.remember(
            door,
            {
                key: known
                for key, known in learned.items()
                if all(claim.is_stored or claim.invalid for claim in known.claims)
            },
        )

    async def _learn(
        self,
        pool: Pool,
        keys: list[bytes],
        labels_of: Callable[[bytes], Labels],
        access: Access,
        worth_storing: Callable[[Clock], Container[bytes]],
    ) -> dict[bytes, KnownLabelSet]:
        learned: dict[bytes, KnownLabelSet] = {}
        wanted: dict[bytes, list[tuple[MeterVersion, ReadLabels | InvalidLabels]]] = {}
        async for key in in_turns(keys):
            try:
                metric, read = self._read(labels_of(key))
            except InvalidLabels as error:
                learned[key] = KnownLabelSet(metric="", invalid=error.message)
                continue
            learned[key] = KnownLabelSet(metric=metric)
            if read:
                wanted[key] = read
        allowed = {
            key: [one for _, one in read if isinstance(one, ReadLabels) and one.is_fed_by(access)]
            async for key, read in in_turns(wanted.items())
        }
        ids = await self._ids_of(pool, allowed, access, worth_storing)
        async for key, read in in_turns(wanted.items()):
            claims = tuple(_claim(version, one, ids) for version, one in read)
            learned[key] = KnownLabelSet(learned[key].metric, claims)
        return learned

    async def _ids_of(
        self,
        pool: Pool,
        allowed: dict[bytes, list[ReadLabels]],
        access: Access,
        worth_storing: Callable[[Clock], Container[bytes]],
    ) -> dict[StoredAs, int]:
        """Give the ids of the label sets that are stored, and store those that are to be."""
        if not any(allowed.values()):
            return {}
        one_by_one = [one for read in allowed.values() for one in read]
        ids, clock = await _find(pool, one_by_one)
        chosen = worth_storing(clock)
        new = {
            one.stored_as: one
            async for key, read in in_turns(allowed.items())
            if key in chosen
            for one in read
            if one.stored_as not in ids
        }
        granted = self._allowance.take(access.key_id, len(new))
        to_store = list(new.values())[:granted]
        ids |= dict.fromkeys(list(new)[granted:], OVER_ALLOWANCE)
        try:
            for part in slices(len(to_store), STORED_AT_ONCE_MAX):
                async with self._turn_to_store():
                    ids |= await _store(pool, to_store[part])
        except BaseException:
            self._allowance.give_back(access.key_id, granted)
            raise
        return ids

    @asynccontextmanager
    async def _turn_to_store(self) -> AsyncIterator[None]:
        """Let a few pushes store at once; raises Unavailable if none of them gets done in time."""
        try:
            async with asyncio.timeout(STORING_WAIT_SECONDS_MAX):
                await self._storing.acquire()
        except TimeoutError:
            raise Unavailable("others are storing new series") from None
        try:
            yield
        finally:
            self._storing.release()

    def _read(
        self, labels: Labels
    ) -> tuple[str, list[tuple[MeterVersion, ReadLabels | InvalidLabels]]]:
        """Read the labels for every version of every meter that names their metric.

        What one version cannot read says nothing about the others.
        """
        by_name = dict(labels)
        metric = by_name.get(METRIC_NAME, "")
        versions = (self._versions or {}).get(metric, [])
        if not versions:
            return metric, []
        check_limits(labels, self._limits)
        key = label_set_key(labels)
        read: list[tuple[MeterVersion, ReadLabels | InvalidLabels]] = []
        for version in versions:
            try:
                read.append((version, read_checked(labels, by_name, key, version)))
            except InvalidLabels as error:
                read.append((version, error))
        return metric, read


def _claim(
    version: MeterVersion, read: ReadLabels | InvalidLabels, ids: dict[StoredAs, int]
) -> Claim:
    from_ms = to_ms(version.valid_from)
    until_ms = FAR_FUTURE_MS if version.valid_until is None else to_ms(version.valid_until)
    if isinstance(read, InvalidLabels):
        return Claim(NOT_STORED, version, "", False, from_ms, until_ms, invalid=read.message)
    label_set_id = ids.get(read.stored_as, NOT_STORED)
    return Claim(label_set_id, version, read.project.site, read.fits, from_ms, until_ms)


async def _find(pool: Pool, wanted: Sequence[ReadLabels]) -> tuple[dict[StoredAs, int], Clock]:
    ids: dict[StoredAs, int] = {}
    async with transaction(pool) as conn:
        for part in slices(len(wanted), STORED_AT_ONCE_MAX):
            keys = [one.stored_as for one in wanted[part]]
            ids |= await label_sets.find_label_sets(conn, keys)
        return ids, await meters.read_clock(conn)


async def _store(pool: Pool, wanted: Sequence[ReadLabels]) -> dict[StoredAs, int]:
    async with transaction(pool) as conn:
        return await store_label_sets(conn, wanted)


async def store_label_sets(conn: Connection, wanted: Sequence[ReadLabels]) -> dict[StoredAs, int]:
    """Store projects, flavors, series and label sets as far as they are new.

    Gives the id of each label set by meter version and key. Not more than `ROWS_MAX` at once.
    """
    project_ids = await projects.ensure_projects(conn, (one.project for one in wanted))
    flavor_ids = await flavors.ensure_flavors(conn, (one.flavor for one in wanted))
    series_ids = await label_sets.ensure_series(
        conn,
        [
            NewSeries(
                one.version.meter_id,
                project_ids[one.project.digest()],
                one.resource,
                one.identity,
                one.series_key,
            )
            for one in wanted
        ],
    )
    return await label_sets.ensure_label_sets(
        conn,
        [
            NewLabelSet(
                one.version.id,
                series_ids[one.version.meter_id, one.series_key],
                flavor_ids[one.flavor],
                one.fits,
                one.project_name,
                one.labels,
                one.label_set_key,
            )
            for one in wanted
        ],
    )
