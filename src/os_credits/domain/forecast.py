"""When a project's credits run out, as far as its own past tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from os_credits.domain.amount import Credits


@dataclass(frozen=True, slots=True)
class StoredForecast:
    """A project's forecast as it was computed last; dropping it changes no answer for long.

    `state` is one of room `forecast`'s: `ok`; `short`, which needs `needs_days` more days of
    usage; `idle`, nothing was used for a week; `beyond`, longer than is looked ahead; `out`,
    nothing is left; or `failed`. `p10`, `p50` and `p90` are the early, the middle and the late
    date; None: not within what is looked ahead. `burn_per_day` is in credits.

    `facts` are plain JSON: `balance`, with which it was computed; `without`, what leaving out
    the one, the other and both of the two dearest resources that run brings ({"resources":
    [{"resource", "meter", "flavor"}], "days": "+11"}; days null: then for good); `coming`, the
    next grants ({"at", "credits"}).
    """

    project_id: int
    computed_at: datetime
    state: str
    needs_days: int
    p10: datetime | None
    p50: datetime | None
    p90: datetime | None
    burn_per_day: Credits
    facts: Mapping[str, Any]
