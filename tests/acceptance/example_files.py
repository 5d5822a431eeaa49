"""The configuration files of `examples/`, made fit to run here."""

from collections.abc import Mapping
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOST = "os-credits.example:8080"


def example(name: str, changes: Mapping[str, str]) -> str:
    """Give a file of `examples/` with some words changed, each of which must be there."""
    text = (EXAMPLES / name).read_text()
    for written, meant in changes.items():
        assert written in text, f"{name} has no {written!r}"
        text = text.replace(written, meant)
    return text
