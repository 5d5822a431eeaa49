"""Attack the service, one attack after the other: python -m tests.abuse [NAME...].

Each attack meets a fresh service in its own process with the default settings. Prints the table
of docs/bounds.md; the exit status is 1 if a sample of the honest sender was lost, or if anything
was answered 500.
"""

import asyncio
import os
import sys

from os_credits.store.migrate import migrate
from tests import database
from tests.abuse.catalogue import ATTACKS
from tests.abuse.scene import Figures, attacked

HEAD = """\
| attack | answers | last after (ms) | peak (MiB) | left (MiB) | p99 before (ms) | p99 during (ms) \
| honest refused | honest lost |
|---|---|--:|--:|--:|--:|--:|--:|--:|"""


def main() -> None:
    """Attack and print the table."""
    names = sys.argv[1:] or list(ATTACKS)
    unknown = [name for name in names if name not in ATTACKS]
    if unknown:
        _say(f"no attack {', '.join(unknown)}; there are {', '.join(ATTACKS)}")
        raise SystemExit(2)
    _say(HEAD)
    with database.database(database.server_url(), as_template=True) as url:
        migrate(url, database.as_service(url))
        database.close_to_sessions(url)
        all_figures = [_attack(name, database.name_of(url)) for name in names]
    lost = sum(figures.honest_lost for figures in all_figures)
    broken = sum(figures.answers.get("500", 0) for figures in all_figures)
    cores = os.cpu_count()
    _say(f"\n{len(names)} attacks on {cores} cores: {lost} honest samples lost, {broken} × 500")
    raise SystemExit(1 if lost or broken else 0)


def _attack(name: str, template: str) -> Figures:
    with database.database(database.server_url(), template=template) as url:
        figures = asyncio.run(attacked(name, database.as_service(url)))
    _say(figures.row())
    return figures


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
