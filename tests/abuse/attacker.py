"""Attack in a process of its own: python -m tests.abuse.attacker NAME PORT KEY.

Says "ready" when its bodies are made, waits for a line, attacks, and ends with its figures.
"""

import asyncio
import json
import sys

from tests.abuse.catalogue import ATTACKS
from tests.abuse.sockets import Outcome, Victim


def main() -> None:
    """Make the bodies, wait, attack, tell."""
    name, port, key = sys.argv[1:]
    attack = ATTACKS[name]
    made = attack.make()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    outcome = Outcome()
    asyncio.run(attack.run(Victim(int(port), key), outcome, made))  # type: ignore[arg-type]
    figures = {
        "answers": {status: count for status, count in outcome.answers.items() if count},
        "seconds": outcome.seconds,
        "notes": outcome.notes,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
