"""Who sits at the terminal: the author of what is granted and priced there."""

from __future__ import annotations

import os
import pwd


def author() -> str:
    """Name the user of the operating system, as entries and prices keep it."""
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:  # a container may run under a number that has no name
        return f"cli:{number}"
