"""Every setting stands in `.default.env`, with its default, and in the README."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from os_credits.settings import Settings
from tests.house.source import CHECKOUT

DEFAULT_ENV = CHECKOUT / ".default.env"
README = CHECKOUT / "README.md"
NAMES = [f"OS_CREDITS_{name.upper()}" for name in Settings.model_fields]


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave no setting in the environment, and no file `.env` in the folder."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def values(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in Settings.model_fields}


def test_the_file_of_defaults_names_every_setting_once_and_in_order() -> None:
    text = DEFAULT_ENV.read_text(encoding="utf-8")

    assert re.findall(r"^([A-Z_]+)=", text, re.MULTILINE) == NAMES


def test_the_defaults_in_the_file_are_those_of_the_class(
    nothing_set: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = Settings()
    for name, value in dotenv_values(DEFAULT_ENV).items():
        monkeypatch.setenv(name, value or "")

    assert values(Settings()) == values(defaults)


def test_a_copy_of_the_file_changes_nothing(nothing_set: None, tmp_path: Path) -> None:
    defaults = Settings()
    (tmp_path / ".env").write_text(DEFAULT_ENV.read_text(encoding="utf-8"))

    assert values(Settings()) == values(defaults)


def test_every_setting_has_its_line_of_comment() -> None:
    lines = DEFAULT_ENV.read_text(encoding="utf-8").splitlines()
    silent = [
        line
        for before, line in pairwise(lines)
        if line.startswith("OS_CREDITS_") and not re.match(r"# [A-Z]", before)
    ]

    assert silent == []


def test_the_readme_names_every_setting() -> None:
    if not README.exists():
        pytest.skip("there is no README yet")
    text = README.read_text(encoding="utf-8")

    assert [name for name in NAMES if not re.search(rf"\b{name}\b", text)] == []
