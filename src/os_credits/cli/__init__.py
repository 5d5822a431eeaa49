"""The program `os-credits`: parses commands, calls the application or one flow, prints.

No rule about credits may live here, and no SQL. Start reading at `program.py`; what a command
needs of the database it gets by `database.py`, what it prints goes through `output.py`.
"""

from __future__ import annotations

from os_credits.cli.program import main

__all__ = ["main"]
