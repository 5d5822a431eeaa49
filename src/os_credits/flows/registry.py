"""Which label set, as a sender writes it, feeds which series of which meter.

Label sets and series are never changed once stored, so each copy of the service remembers
them; only a label set that this copy sees for the first time costs work in the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.claim import Claim, KnownLabelSet
from os_credits.domain.period import to_ms
from os_credits.domain.project import ProjectKey, digest
from os_credits.errors import InvalidLabels, Unavailable
from os_credits.store import flavors, label_sets, meters, projects
from os_credits.store.label_sets import NewLabelSet, NewSeries
from os_credits.store.pool import Pool, transaction
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from os_credits.domain.access import Access
    from os_credits.domain.meter import MeterVersion
    from os_credits.domain.sample import Labels
    from os_credits.store.pool import Connection

METRIC_NAME = "__name__"
FAR_FUTURE_MS = 2**62
# In the place of an id, where nothing is stored: the labels cannot be read by this version, or
# the key may not feed what they name.
NOT_STORED = -1
# How often label sets are read anew because the meters changed meanwhile.
READINGS_MAX = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what one label set may be, and of how many (and how long ones) are remembered."""

    label_count_max: int
    label_bytes_max: int
    label_sets_cached_max: int
    label_set_bytes_cached_max: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadLabels:
    """A label set as one meter version reads it, before it has ids."""

    version: MeterVersion
    project: ProjectKey
    project_name: str
    resource: str
    identity: dict[str, str]
    flavor: str
    fits: bool
    labels: Labels

    def is_fed_by(self, access: Access) -> bool:
        """Tell whether samples of this label set may be handed in by this access."""
        return access.may_feed(self.project.site, self.version.definition.name)

    @property
    def series_key(self) -> bytes:
        """Give what identifies the series within its meter: project, resource, identity."""
        parts = [part for name in sorted(self.identity) for part in (name, self.identity[name])]
        return digest(self.project.digest().hex(), self.resource, *parts)

    @property
    def label_set_key(self) -> bytes:
        """Give what identifies the label set: all its labels."""
        return digest(*(part for label in self.labels for part in label))


class Registry:
    """Remembers what every label set means; asks and fills the database on first sight."""

    def __init__(self, limits: Limits) -> None:
        """Start with nothing known."""
        self._limits = limits
        self._known: dict[tuple[str, bytes], KnownLabelSet] = {}
        self._known_bytes = 0
        self._versions: dict[str, list[MeterVersion]] | None = None
        self.mark = ""

    def __len__(self) -> int:
        """Count the remembered label sets."""
        return len(self._known)

    def forget(self) -> None:
        """Forget everything, as after a change of the meters."""
        self._clear()
        self._versions = None

    async def refresh(self, pool: Pool) -> None:
        """Read the meters again; forget all label sets if one, or the database, has changed."""
        async with transaction(pool) as conn:
            mark = (await meters.read_clock(conn)).mark
            versions = await meters.list_versions(conn)
        by_metric: dict[str, list[MeterVersion]] = {}
        for version in versions:
            by_metric.setdefault(version.definition.metric, []).append(version)
        if by_metric != self._versions or mark != self.mark:
            self._clear()
            self._versions = by_metric
        self.mark = mark

    async def resolve(
        self,
        pool: Pool,
        door: str,
        keys: list[bytes],
        labels_of: Callable[[bytes], Labels],
        access: Access,
    ) -> list[KnownLabelSet]:
        """Give what is known of each key, learning the ones seen for the first time.

        All of it is by the meters and the database that `mark` stands for. What `access` may
        not feed is not stored, so that no refused sample makes a project. Raises Unavailable
        if the meters change again and again meanwhile.
        """
        for _ in range(READINGS_MAX):
            if self._versions is None:
                await self.refresh(pool)
            versions = self._versions
            found = [self._known.get((door, key)) for key in keys]
            new = [key for key, known in zip(keys, found, strict=True) if known is None]
            if new:
                learned = await self._learn(pool, new, labels_of, access)
                if versions is not self._versions:
                    continue  # they changed while we waited for the database
                self._remember(door, learned)
                found = [known or learned[key] for key, known in zip(keys, found, strict=True)]
            return [known for known in found if known is not None]
        raise Unavailable("the meters keep changing")

    def _clear(self) -> None:
        self._known.clear()
        self._known_bytes = 0

    def _remember(self, door: str, learned: dict[bytes, KnownLabelSet]) -> None:
        """Keep what holds for every sender; start anew when that would become too much."""
        lasting = {
            (door, key): known
            for key, known in learned.items()
            if all(claim.label_set_id != NOT_STORED or claim.invalid for claim in known.claims)
        }
        length = sum(len(key) for _, key in lasting)
        if (
            len(self._known) + len(lasting) > self._limits.label_sets_cached_max
            or self._known_bytes + length > self._limits.label_set_bytes_cached_max
        ):
            self._clear()
        self._known.update(lasting)
        self._known_bytes += length

    async def _learn(
        self,
        pool: Pool,
        keys: list[bytes],
        labels_of: Callable[[bytes], Labels],
        access: Access,
    ) -> dict[bytes, KnownLabelSet]:
        learned: dict[bytes, KnownLabelSet] = {}
        wanted: dict[bytes, list[tuple[MeterVersion, ReadLabels | InvalidLabels]]] = {}
        for key in keys:
            try:
                metric, read = self._read(labels_of(key))
            except InvalidLabels as error:
                learned[key] = KnownLabelSet(metric="", invalid=error.message)
                continue
            learned[key] = KnownLabelSet(metric=metric)
            if read:
                wanted[key] = read
        allowed = [
            one
            for read in wanted.values()
            for _, one in read
            if isinstance(one, ReadLabels) and one.is_fed_by(access)
        ]
        ids: dict[tuple[int, bytes], int] = {}
        for part in slices(len(allowed)):
            ids.update(await _store(pool, allowed[part]))
        for key, read in wanted.items():
            learned[key] = KnownLabelSet(
                metric=learned[key].metric,
                claims=tuple(_claim(version, one, ids) for version, one in read),
            )
        return learned

    def _read(
        self, labels: Labels
    ) -> tuple[str, list[tuple[MeterVersion, ReadLabels | InvalidLabels]]]:
        """Read the labels for every version of every meter that names their metric.

        What one version cannot read says nothing about the others.
        """
        by_name = dict(labels)
        metric = by_name.get(METRIC_NAME, "")
        versions = (self._versions or {}).get(metric, [])
        if versions:
            _check_limits(labels, self._limits)
        read: list[tuple[MeterVersion, ReadLabels | InvalidLabels]] = []
        for version in versions:
            try:
                read.append((version, _want(labels, by_name, version)))
            except InvalidLabels as error:
                read.append((version, error))
        return metric, read


def _check_limits(labels: Labels, limits: Limits) -> None:
    if len(labels) > limits.label_count_max:
        raise InvalidLabels(f"{len(labels)} labels, at most {limits.label_count_max} are taken")
    for name, value in labels:
        if len(name.encode()) > limits.label_bytes_max or (
            len(value.encode()) > limits.label_bytes_max
        ):
            raise InvalidLabels(
                f"label {name[:40]!r} is longer than {limits.label_bytes_max} bytes"
            )
        if "\0" in value or "\0" in name:
            raise InvalidLabels(f"label {name[:40]!r} holds a NUL character")


def read_labels(labels: Labels, version: MeterVersion, limits: Limits) -> ReadLabels:
    """Read one label set as one meter version means it, storing nothing. Raises InvalidLabels."""
    _check_limits(labels, limits)
    return _want(labels, dict(labels), version)


def _want(labels: Labels, by_name: dict[str, str], version: MeterVersion) -> ReadLabels:
    """Read one label set as one meter version means it."""
    definition = version.definition

    def value(label: str | None) -> str:
        return by_name.get(label, "") if label is not None else ""

    external_id, name = value(definition.project_id), value(definition.project_name)
    if not external_id and not name:
        names = [label for label in (definition.project_id, definition.project_name) if label]
        raise InvalidLabels(
            f"meter {definition.name} needs the label {' or '.join(names)} to know the project"
        )
    return ReadLabels(
        version=version,
        project=ProjectKey(
            value(definition.site), external_id, value(definition.domain), name or external_id
        ),
        project_name=name,
        resource=value(definition.resource),
        identity={label: value(label) for label in definition.identity},
        flavor=value(definition.flavor),
        fits=definition.fits(by_name),
        labels=labels,
    )


def _claim(
    version: MeterVersion, read: ReadLabels | InvalidLabels, ids: dict[tuple[int, bytes], int]
) -> Claim:
    from_ms = to_ms(version.valid_from)
    until_ms = FAR_FUTURE_MS if version.valid_until is None else to_ms(version.valid_until)
    if isinstance(read, InvalidLabels):
        return Claim(NOT_STORED, version, "", False, from_ms, until_ms, invalid=read.message)
    label_set_id = ids.get((version.id, read.label_set_key), NOT_STORED)
    return Claim(label_set_id, version, read.project.site, read.fits, from_ms, until_ms)


async def _store(pool: Pool, wanted: Sequence[ReadLabels]) -> dict[tuple[int, bytes], int]:
    async with transaction(pool) as conn:
        return await store_label_sets(conn, wanted)


async def store_label_sets(
    conn: Connection, wanted: Sequence[ReadLabels]
) -> dict[tuple[int, bytes], int]:
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
