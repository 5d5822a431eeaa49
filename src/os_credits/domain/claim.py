"""What is known of one label set: which meters take its samples, or why nobody can."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from os_credits.domain.meter import MeterVersion


# In the place of an id: the labels cannot be read by this version, the key may not feed what they
# name, or no sample of theirs could be accepted.
NOT_STORED = -1
# In the place of an id: the key has brought as many new label sets as it may within an hour.
OVER_ALLOWANCE = -2


@dataclass(frozen=True, slots=True)
class Claim:
    """A meter version that takes a label set's samples, from `from_ms` up to `until_ms`.

    `label_set_id` may be `NOT_STORED` or `OVER_ALLOWANCE`. `fits` says whether the labels are
    within the meter's `match`, `invalid` why this version cannot read them at all.
    """

    label_set_id: int
    version: MeterVersion
    site: str
    fits: bool
    from_ms: int
    until_ms: int
    invalid: str | None = None

    @property
    def is_stored(self) -> bool:
        """Tell whether the label set has an id."""
        return self.label_set_id >= 0


@dataclass(frozen=True, slots=True)
class KnownLabelSet:
    """All claims on one label set, or the reason why its samples are refused.

    A metric that no meter names has neither. `site` is that of the first claim that can be read,
    None without one: for counting only.
    """

    metric: str
    claims: tuple[Claim, ...] = ()
    invalid: str | None = None
    site: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Find the site once, since every push asks for it."""
        readable = (claim.site for claim in self.claims if claim.invalid is None)
        object.__setattr__(self, "site", next(readable, None))

    @property
    def is_plain(self) -> bool:
        """Tell whether it is stored and one meter takes it: then only its id is its own."""
        return len(self.claims) == 1 and self.claims[0].is_stored and self.invalid is None

    def kind(self) -> KnownLabelSet:
        """Give what it has in common with all plain ones of its metric, meter, site and fitting."""
        return replace(self, claims=(replace(self.claims[0], label_set_id=0),))


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What is known of the keys of a push, in columns: of key i, `kinds[kind_index[i]]`.

    Plain label sets of one kind share an entry, so that thousands of keys are judged by a few
    comparisons; any other has an entry of its own. `label_set_ids[i]` is that of its first claim.
    """

    kinds: Sequence[KnownLabelSet]
    kind_index: NDArray[np.int64]
    label_set_ids: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.kind_index)

    @classmethod
    def of(cls, known: Sequence[KnownLabelSet]) -> KnownKeys:
        """Give each label set an entry of its own."""
        ids = [one.claims[0].label_set_id if one.claims else NOT_STORED for one in known]
        return cls(known, np.arange(len(known)), np.array(ids, np.int64))
