"""Read one label set as one meter version means it: whose it is, which series, which flavor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.project import ProjectKey, digest
from os_credits.errors import InvalidLabels

if TYPE_CHECKING:
    from os_credits.domain.access import Access
    from os_credits.domain.meter import MeterVersion
    from os_credits.domain.sample import Labels

METRIC_NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what one label set may be, how many are remembered, and how many may be new.

    `cached_text_bytes_max` bounds what is remembered of those that nobody takes: metrics, reasons.
    `new_series_per_hour_max` counts for each key and copy of the service the label sets that
    were never stored before.
    """

    label_count_max: int
    label_bytes_max: int
    label_sets_cached_max: int
    cached_text_bytes_max: int = 128 * 1024 * 1024
    new_series_per_hour_max: int = 100_000


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
    label_set_key: bytes

    def is_fed_by(self, access: Access) -> bool:
        """Tell whether samples of this label set may be handed in by this access."""
        return access.may_feed(self.project.site, self.version.definition.name)

    @property
    def series_key(self) -> bytes:
        """Give what identifies the series within its meter: project, resource, identity."""
        parts = [part for name in sorted(self.identity) for part in (name, self.identity[name])]
        return digest(self.project.digest().hex(), self.resource, *parts)

    @property
    def stored_as(self) -> tuple[int, bytes]:
        """Give what identifies the label set among all that are stored."""
        return self.version.id, self.label_set_key


def check_limits(labels: Labels, limits: Limits) -> None:
    """Raise InvalidLabels for more, or longer, labels than are taken."""
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
    check_limits(labels, limits)
    return read_checked(labels, dict(labels), label_set_key(labels), version)


def label_set_key(labels: Labels) -> bytes:
    """Give what identifies a label set: all its labels."""
    return digest(*(part for label in labels for part in label))


def read_checked(
    labels: Labels, by_name: dict[str, str], key: bytes, version: MeterVersion
) -> ReadLabels:
    """Read labels whose limits were checked; `by_name` and `key` are made of the same.

    Raises InvalidLabels.
    """
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
        label_set_key=key,
    )
