"""What a project brings along from an older service: its charges, last counters and grants.

The shapes of the file that `os-credits import opening` takes (`docs/opening.md`). Amounts are
texts or whole numbers, never floats; unknown fields are refused, so that none is overlooked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from os_credits.domain.amount import credits_of
from os_credits.domain.mail import mail_address
from os_credits.domain.period import EPOCH
from os_credits.domain.project import ProjectKey
from os_credits.errors import InvalidInput

PROJECTS_MAX = 100_000
COUNTERS_MAX = 20_000
# Grants, and meters charged, of one project.
LINES_MAX = 1000
OWNERS_MAX = 100
TEXT_LENGTH_MAX = 1024
KEY_LENGTH_MAX = 200

Value = TypeVar("Value")


def _ours(read: Callable[[Any], Value]) -> BeforeValidator:
    """Let pydantic see what our own readers find wrong, so that it can name the place."""

    def check(value: Any) -> Value:
        try:
            return read(value)
        except InvalidInput as error:
            raise ValueError(error.message) from None

    return BeforeValidator(check)


def _amount(value: Any) -> Decimal:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError('must be a text like "12.5" or a whole number: a float is not exact')  # noqa: TRY004 - pydantic shows only these
    amount = credits_of(value)
    if amount < 0:
        raise ValueError("must not be negative")
    return amount


def _more_than_zero(amount: Decimal) -> Decimal:
    if amount == 0:
        raise ValueError("must be more than 0")
    return amount


def _moment(value: Any) -> datetime:
    problem = ValueError("must be a time with its zone, like 2026-01-31T12:00:00Z")
    if not isinstance(value, str):
        raise problem
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise problem
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem from None
    if moment < EPOCH:
        raise ValueError("must not be before 1970")
    return moment


def _number(value: Any) -> float:
    """Read a counter as the double nearest to what the file says, as every door does."""
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic shows only these
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("must be a number") from None
    if not 0 <= number < float("inf"):
        raise ValueError("must be a finite number, not below 0")
    return number


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must consist of printable characters")
    return text


Amount = Annotated[Decimal, _ours(_amount)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Line = Annotated[str, Field(max_length=TEXT_LENGTH_MAX), AfterValidator(_printable)]
Name = Annotated[Line, Field(min_length=1)]
Key = Annotated[Name, Field(max_length=KEY_LENGTH_MAX)]


class _Part(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OpeningGrant(_Part):
    """Credits that the older service had given; `id` tells it from the project's others."""

    id: Key
    amount: Annotated[Amount, AfterValidator(_more_than_zero)]
    reason: Line = ""


class OpeningCharge(_Part):
    """What the older service had charged of one meter in all, in credits; 0 is allowed."""

    meter: Name
    credits: Amount


class OpeningCounter(_Part):
    """The last value of a counter that the older service has charged, with all its labels."""

    meter: Name
    labels: dict[Name, str]
    value: Annotated[float, BeforeValidator(_number)]
    time: Moment


class OpeningOwner(_Part):
    """Someone who shall hear of the project."""

    email: Annotated[str, _ours(mail_address)]
    name: Line = ""


class OpeningProject(_Part):
    """One project, named as its samples will name it, and all that it brings along."""

    site: Line = ""
    project_id: Line = ""
    domain: Line = ""
    name: Name
    owners: Annotated[tuple[OpeningOwner, ...], Field(max_length=OWNERS_MAX)] = ()
    grants: Annotated[tuple[OpeningGrant, ...], Field(max_length=LINES_MAX)] = ()
    charged: Annotated[tuple[OpeningCharge, ...], Field(max_length=LINES_MAX)] = ()
    counters: Annotated[tuple[OpeningCounter, ...], Field(max_length=COUNTERS_MAX)] = ()

    @property
    def key(self) -> ProjectKey:
        """Give what tells this project from all others."""
        return ProjectKey(self.site, self.project_id, self.domain, self.name)

    @property
    def meters(self) -> list[str]:
        """Name the meters that were charged or counted, in a fixed order."""
        return sorted({one.meter for one in self.charged} | {one.meter for one in self.counters})

    @model_validator(mode="after")
    def _says_nothing_twice(self) -> Self:
        _each_once("grants with the id", (repr(one.id) for one in self.grants))
        _each_once("charges of the meter", (repr(one.meter) for one in self.charged))
        _each_once("owners with the address", (repr(one.email.lower()) for one in self.owners))
        return self


class Opening(_Part):
    """What an older service (`source`) knew at the moment `as_of`."""

    source: Name
    as_of: Moment
    projects: Annotated[tuple[OpeningProject, ...], Field(min_length=1, max_length=PROJECTS_MAX)]

    @model_validator(mode="after")
    def _is_of_the_past(self) -> Self:
        _each_once("projects with the key of", _told(self.projects))
        for project in self.projects:
            for counter in project.counters:
                if counter.time > self.as_of:
                    raise ValueError(
                        f"project {project.name!r}: a counter of {counter.meter} is of "
                        f"{counter.time.isoformat()}, later than as_of"
                    )
        return self


def _told(projects: Iterable[OpeningProject]) -> Iterable[str]:
    """Give a text for each project that two projects share only if they share their key."""
    for one in projects:
        yield (
            f"site {one.site!r}, project_id {one.project_id!r}"
            if one.project_id
            else f"site {one.site!r}, domain {one.domain!r}, name {one.name!r}"
        )


def _each_once(what: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"there are several {what} {twice[0]}")
