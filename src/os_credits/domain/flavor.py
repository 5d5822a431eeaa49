"""Hardware configurations by name; the empty name stands for usage without a flavor."""

from __future__ import annotations

from typing import NewType

FlavorId = NewType("FlavorId", int)

# The flavor of samples that carry none; migration 0001 stores it under this id.
NO_FLAVOR = FlavorId(0)
