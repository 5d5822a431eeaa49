"""Derive the source entries of Debian's next release from the machine's own apt sources.

Both spellings are understood: one-line `.list` files and stanzas in `.sources` files.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ETC_APT = Path("/etc/apt")
ONE_LINE = re.compile(r"^\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s")


@dataclass(frozen=True)
class Archive:
    """One package archive: where it is and whose signature it bears."""

    uri: str
    signed_by: str | None


def archives_of(suite: str, folder: Path = ETC_APT) -> list[Archive]:
    """Return the archives from which the machine takes a suite, in their order."""
    found: list[Archive] = []
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        if path.suffix == ".list":
            found += _one_line_entries(path.read_text(), suite)
        elif path.suffix == ".sources":
            found += _stanzas(path.read_text(), suite)
    return list(dict.fromkeys(found))


def stanzas(types: str, archives: list[Archive], suite: str, keyring: Path | None = None) -> str:
    """Write entries for the packages of a suite (`deb`, or `deb-src` for their sources).

    They are signed by the keyring if one is given, else as the archives are.
    """
    written = []
    for archive in archives:
        signed_by = str(keyring) if keyring else archive.signed_by
        lines = [f"Types: {types}", f"URIs: {archive.uri}", f"Suites: {suite}", "Components: main"]
        if signed_by:
            lines.append(f"Signed-By: {signed_by}")
        written.append("\n".join(lines) + "\n")
    return "\n".join(written)


def _one_line_entries(text: str, suite: str) -> list[Archive]:
    """Read `deb [signed-by=...] URI SUITE COMPONENT...` lines."""
    found = []
    for line in text.splitlines():
        match = ONE_LINE.match(line + " ")
        if match and match["suite"] == suite:
            options = dict(
                option.split("=", 1) for option in (match["options"] or "").split() if "=" in option
            )
            found.append(Archive(match["uri"], options.get("signed-by")))
    return found


def _stanzas(text: str, suite: str) -> list[Archive]:
    """Read deb822 stanzas; a field goes on in lines that start with a blank."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')}\n{line}"
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        enabled = fields.get("enabled", "yes").lower() not in {"no", "false"}
        is_binary = "deb" in fields.get("types", "").split()
        if enabled and is_binary and suite in fields.get("suites", "").split():
            signed_by = fields.get("signed-by")
            found += [Archive(uri, signed_by) for uri in fields.get("uris", "").split()]
    return found
