"""The files that pages use: ours, and the vendored ones exactly as they came."""

import hashlib
import re
from pathlib import Path

import pytest

from os_credits.web.static import STATIC_FILES, STATIC_FOLDER

VENDOR = STATIC_FOLDER / "vendor"
FOR_TESTS = Path(__file__).resolve().parents[2] / "browser" / "vendor"
TEMPLATES = STATIC_FOLDER.parent / "templates"


def _rows(folder: Path) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (folder / "VENDORED.md").read_text().splitlines()
        if re.fullmatch(r"\|.*[0-9a-f]{64} \|", line)
    ]


ROWS = _rows(VENDOR)


@pytest.mark.parametrize(
    "folder,row",
    [(folder, row) for folder in (VENDOR, FOR_TESTS) for row in _rows(folder)],
    ids=lambda one: str(one[3]) if isinstance(one, list) else "",
)
def test_a_vendored_file_is_what_its_package_brought(folder: Path, row: list[str]) -> None:
    _, version, licence, file, expected = row

    assert version
    assert licence
    assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == expected


@pytest.mark.parametrize("folder", ["htmx", "pico", "uplot"])
def test_every_vendored_file_is_listed_with_its_licence_beside_it(folder: str) -> None:
    listed = {row[3] for row in ROWS if row[3].startswith(f"{folder}/")}

    assert {path.relative_to(VENDOR).as_posix() for path in (VENDOR / folder).iterdir()} == listed
    assert any("LICENSE" in file for file in listed)


@pytest.mark.parametrize(
    "template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_pages_use_only_files_that_are_here_and_nothing_inline(template: Path) -> None:
    source = template.read_text()

    for path in re.findall(r'(?:src|href)="{{ visitor.base }}(/static/[^"]+)"', source):
        assert path in STATIC_FILES
    assert not re.search(r'(?:src|href)="(?:https?:)?//', source)
    # Behind a proxy the service may live below a path of its own.
    assert not re.search(r'(?:src|href|action|hx-\w+)="/', source)
    assert not re.search(r"\shx-on", source)
    assert not re.search(r"\s(?:style|on\w+)=", source)
    assert not re.search(r"<style|\|\s*safe|autoescape", source)
    scripts = re.findall(r"<script[^>]*>", source)
    assert all("src=" in tag or 'type="application/json"' in tag for tag in scripts)


def test_our_own_files_name_no_other_host() -> None:
    ours = [path for path in STATIC_FOLDER.iterdir() if path.suffix in {".css", ".js"}]

    assert len(ours) >= 3
    for path in ours:
        assert not re.search(r"https?:|url\(|@import|['\"]//", path.read_text())


def test_only_files_for_browsers_have_a_path() -> None:
    assert "/static/page.css" in STATIC_FILES
    assert not [path for path in STATIC_FILES if path.endswith((".md", ".py"))]
    assert all(path.is_relative_to(STATIC_FOLDER) for path in STATIC_FILES.values())
