"""The mutations of `mutations.toml`: what each changes, and the test that must then fail."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("mutations.toml")
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """One place of one file: the text that stands there, and what is put instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of the code that would cost somebody credits; `does` says it in a sentence."""

    name: str
    does: str
    test: str
    edits: tuple[Edit, ...]

    @property
    def test_file(self) -> str:
        """Name the file of the test."""
        return self.test.partition("::")[0]

    @property
    def test_function(self) -> str:
        """Name the function of the test, without its class and its case."""
        return self.test.rpartition("::")[2].partition("[")[0]


def mutations() -> list[Mutation]:
    """Read the list."""
    with LIST.open("rb") as file:
        entries = tomllib.load(file)["mutation"]
    return [
        Mutation(
            entry["name"],
            entry["does"],
            entry["test"],
            tuple(Edit(**edit) for edit in entry["edit"]),
        )
        for entry in entries
    ]
