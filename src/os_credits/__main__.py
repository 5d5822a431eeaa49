"""Lets `python -m os_credits` do what `os-credits` does."""

from __future__ import annotations

from os_credits.cli import main

if __name__ == "__main__":
    main()
