"""Play rounds of crashes: python -m tests.crash ROUNDS [SEED].

The last line says what they came to; the exit status is 1 if anything was lost, billed twice,
out of balance, deadlocked, or not taken over in time.
"""

import asyncio
import os
import secrets
import signal
import sys
from functools import partial

from tests.crash.rounds import crash

ROUNDS = 10


def main() -> None:
    """Play the rounds and end with the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("OS_CREDITS_")]:
        del os.environ[name]  # the settings of some other service
    words = sys.argv[1:]
    rounds = int(words[0]) if words else ROUNDS
    seed = words[1] if len(words) > 1 else secrets.token_hex(4)
    tell = partial(print, flush=True)
    tell(f"seed {seed}")
    figures = asyncio.run(crash(rounds, seed, tell))
    tell("\n".join(figures.lines()))
    raise SystemExit(0 if figures.is_well else 1)


if __name__ == "__main__":
    main()
