"""Reads the file of an opening and holds it against the meters, before anything is written."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from os_credits.domain.meter import MeterKind
from os_credits.domain.opening import Opening
from os_credits.domain.period import to_ms
from os_credits.errors import InvalidInput, InvalidLabels
from os_credits.flows.label_reading import METRIC_NAME, ReadLabels, read_labels
from os_credits.rating.usage import in_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from os_credits.domain.meter import MeterVersion
    from os_credits.domain.opening import OpeningCounter, OpeningProject
    from os_credits.flows.label_reading import Limits

FILE_BYTES_MAX = 256 * 1024 * 1024
PROBLEMS_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class LastCounter:
    """A counter's last value as its series will have it: what its labels mean, and when."""

    read: ReadLabels
    time_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class CheckedProject:
    """A project whose every line is known to fit the meters: ids by name, counters by meter."""

    opening: OpeningProject
    meter_ids: Mapping[str, int]
    counters: Mapping[str, Sequence[LastCounter]]


def read_opening_file(path: Path) -> Opening:
    """Read a file; InvalidInput names the project and the field of the first mistakes."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InvalidInput(f"holds more than {FILE_BYTES_MAX} bytes", where=str(path))
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(path)) from error
    return read_opening(text)


def read_opening(text: str) -> Opening:
    """Read the text of a file; no number in it passes through a float but a counter's value."""
    try:
        content = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_object
        )
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is no JSON: {error}", where="file") from None
    try:
        return Opening.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [
            f"{_place(problem['loc'], content)}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in found
        ]
        more = len(problems) - PROBLEMS_SHOWN_MAX
        told = "; ".join(problems[:PROBLEMS_SHOWN_MAX])
        raise InvalidInput(f"{told}; and {more} more" if more > 0 else told) from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} is given twice")
    return content


def _place(loc: Sequence[object], content: Any) -> str:
    """Name a place in the file, the project by its name where it has one."""
    match loc:
        case ("projects", int(number), *rest):
            one = content["projects"][number]
            name = one.get("name") if isinstance(one, dict) else None
            return place_of(number, name, *rest)
    return ".".join(map(str, loc)) or "file"


def place_of(number: int, name: object, *field: object) -> str:
    """Name a field of one project of the file, counted from 0 as the file's arrays are."""
    named = f"projects.{number} ({name!r:.100})" if isinstance(name, str) else f"projects.{number}"
    return ".".join([named, *map(str, field)])


def check_opening(
    opening: Opening, versions: Sequence[MeterVersion], limits: Limits
) -> list[CheckedProject]:
    """Hold every project against the meters; InvalidInput names the first project and field."""
    by_name: dict[str, list[MeterVersion]] = defaultdict(list)
    for version in versions:
        by_name[version.definition.name].append(version)
    return [
        _checked(number, project, by_name, limits)
        for number, project in enumerate(opening.projects)
    ]


def _checked(
    number: int,
    project: OpeningProject,
    by_name: Mapping[str, Sequence[MeterVersion]],
    limits: Limits,
) -> CheckedProject:
    named = {
        "charged": [one.meter for one in project.charged],
        "counters": [one.meter for one in project.counters],
    }
    for field, names in named.items():
        for index, name in enumerate(names):
            if name not in by_name:
                known = ", ".join(sorted(by_name)) or "none, see os-credits meter load"
                raise InvalidInput(
                    f"there is no meter {name!r} (known: {known})",
                    where=place_of(number, project.name, field, index, "meter"),
                )
    counters: dict[str, list[LastCounter]] = defaultdict(list)
    seen: dict[tuple[str, bytes], int] = {}
    for index, counter in enumerate(project.counters):
        where = place_of(number, project.name, "counters", index)
        last = _last_counter(counter, project, by_name[counter.meter], limits, where)
        before = seen.setdefault((counter.meter, last.read.series_key), index)
        if before != index:
            raise InvalidInput(f"is the same counter as counters.{before}", where=where)
        counters[counter.meter].append(last)
    return CheckedProject(
        project, {name: by_name[name][0].meter_id for name in project.meters}, counters
    )


def _last_counter(
    counter: OpeningCounter,
    project: OpeningProject,
    versions: Sequence[MeterVersion],
    limits: Limits,
    where: str,
) -> LastCounter:
    version = next(
        (
            one
            for one in versions
            if one.valid_from <= counter.time
            and (one.valid_until is None or counter.time < one.valid_until)
        ),
        None,
    )
    if version is None:
        raise InvalidInput(f"meter {counter.meter} begins later", where=f"{where}.time")
    definition = version.definition
    if definition.kind is not MeterKind.COUNTER:
        raise InvalidInput(
            f"{counter.meter} is a {definition.kind.value}: only a counter has a last value to"
            " go on from",
            where=f"{where}.meter",
        )
    if METRIC_NAME in counter.labels:
        raise InvalidInput("the meter names the metric, leave it out", where=f"{where}.labels")
    labels = tuple(sorted({METRIC_NAME: definition.metric, **counter.labels}.items()))
    try:
        read = read_labels(labels, version, limits)
    except InvalidLabels as error:
        raise InvalidInput(error.message, where=f"{where}.labels") from None
    if read.project.digest() != project.key.digest():
        raise InvalidInput(
            f"these labels mean another project: site {read.project.site!r}, project_id "
            f"{read.project.external_id!r}, domain {read.project.domain!r}, name "
            f"{read.project.name!r}",
            where=f"{where}.labels",
        )
    if not read.fits:
        raise InvalidInput(f"{counter.meter} does not count such labels", where=f"{where}.labels")
    if not in_range(np.array([counter.value]), definition).all():
        raise InvalidInput("is beyond the range of the meter", where=f"{where}.value")
    return LastCounter(read, to_ms(counter.time), counter.value)
