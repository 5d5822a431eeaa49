"""Hardware configurations by name; the empty name stands for usage without a flavor."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NewType

from os_credits.domain.amount import number_of
from os_credits.errors import InvalidInput

FlavorId = NewType("FlavorId", int)

# The flavor of samples that carry none; migration 0001 stores it under this id.
NO_FLAVOR = FlavorId(0)
SIZE_DIGITS = 6
SIZE_MAX = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class FlavorSpec:
    """What a flavor is made of, exactly; None: nobody has said so."""

    vcpus: Decimal | None = None
    ram_gib: Decimal | None = None
    disk_gib: Decimal | None = None

    @property
    def says_nothing(self) -> bool:
        """Tell whether no size is known."""
        return self == FlavorSpec()


def size_of(value: Decimal | int | str | None, *, where: str) -> Decimal | None:
    """Read a size (vCPUs or GiB): 'none' (or None) is unknown, else a number from 0.

    Raises InvalidInput, also for floats, which are not exact.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    if isinstance(value, bool | float):
        raise InvalidInput("a number with a point is not exact, send a string", where=where)
    size = number_of(value, where=where)
    if not size.is_finite() or size < 0 or size >= SIZE_MAX:
        raise InvalidInput("must be a number from 0 to below 10^12", where=where)
    if size != round(size, SIZE_DIGITS):
        raise InvalidInput(f"at most {SIZE_DIGITS} digits after the point", where=where)
    return round(abs(size), SIZE_DIGITS)
