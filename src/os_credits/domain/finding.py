"""A finding: what one check of an installation found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class State(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    """As it should be."""
    WARNING = "warning"
    """The service works, but somebody should look at this."""
    FAILED = "failed"
    """The service cannot work, or not rightly, before this is put right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `advice` says what to do, '' where nothing is to be done.

    `text` and `values` are what `message` is made of, for those who say it in another language;
    '' where it is said in English only.
    """

    check: str
    state: State
    message: str
    advice: str = ""
    text: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


def finding_of(
    check: str, state: State, text: str, advice: str = "", /, **values: object
) -> Finding:
    """Make a finding of a text with its values."""
    return Finding(check, state, text % values, advice, text, values)


def gravest(states: Sequence[State]) -> State:
    """Give the gravest of some states; OK of none."""
    return max(states, key=list(State).index, default=State.OK)
