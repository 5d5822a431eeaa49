"""Says figures of a run, for `docs/invariants.md`; pytest shows them with `-rP`."""

import sys


def say(what: str, **figures: object) -> None:
    """Write figures on a line of their own."""
    named = ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in figures.items())
    sys.stdout.write(f"{what}: {named}\n")
