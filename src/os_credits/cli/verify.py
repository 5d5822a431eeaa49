"""Recomputes everything that is stored, and says what does not follow from what."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.text import Text

from os_credits.cli.database import with_database
from os_credits.cli.output import Json, examples, print_json
from os_credits.cli.project import Domain, Site, find
from os_credits.domain.difference import Difference, Layer
from os_credits.domain.text import legible
from os_credits.errors import InvalidInput
from os_credits.flows.verify import Progress, Verified
from os_credits.flows.verify import verify as recompute
from os_credits.settings import Settings
from os_credits.store.pool import Pool, connection

HASH_BYTES = 32
# What was looked at in each layer, and what it has to follow from.
_LOOKED_AT: Mapping[Layer, str] = {
    Layer.BLOCKS: "{blocks:,} blocks of samples, each in order, none over another",
    Layer.SAMPLES: "{samples:,} samples of {series:,} series, none of them excluded",
    Layer.USAGE: "{usage:,} hours of series, from their samples and meters",
    Layer.CREDITS: "{usage:,} hours of series, from quantity, price, whitelist and settlement",
    Layer.DAYS: "the days of series that are summed, from their hours",
    Layer.CHARGES: "{charges:,} charges, from the credits of usage",
    Layer.LOTS: "{expiries:,} grants that end, from all grants and charges",
    Layer.BOOKINGS: "{charges:,} charges, from their entries; grants, from theirs",
    Layer.ENTRIES: "{entries:,} entries, each from the one before it",
    Layer.BALANCES: "{projects:,} projects, from entries less the tally",
    Layer.SEALS: "{seals:,} in a chain, over {heads:,} heads of accounts",
    Layer.GUARDS: "constraints and triggers in force",
}


class DifferenceShape(BaseModel):
    """The first difference of a layer."""

    model_config = ConfigDict(from_attributes=True)

    what: str
    where: dict[str, int | str]
    stored: str
    recomputed: str


class LayerShape(BaseModel):
    """How many differences a layer has, and the first."""

    layer: Layer
    difference_count: int
    first: DifferenceShape | None


class SealShape(BaseModel):
    """The last seal, as `--expect-seal` takes it."""

    seal: str
    sealed_at: datetime


class Verification(BaseModel):
    """What was looked at and found; `holds` is true if nothing differs."""

    holds: bool
    as_of: datetime
    seconds: float
    counts: dict[str, int]
    layers: list[LayerShape]
    last_seal: SealShape | None


def add_to(program: typer.Typer) -> None:
    """Give the program this command."""
    program.command(
        epilog=examples(
            "os-credits verify",
            "os-credits verify --project biobank",
            "os-credits verify --json | jq .last_seal.seal",
            "os-credits verify --expect-seal 42:9f86d081884c7d65...",
        )
    )(verify)


def verify(
    project: Annotated[
        str | None, typer.Option(help="Only this project: name, cloud id or #number.")
    ] = None,
    site: Site = None,
    domain: Domain = None,
    expect_seal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID:HASH",
            help="A seal that was kept elsewhere: the database must still hold it. May be given "
            "several times.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute everything that is stored, in one snapshot, and compare.

    Usage from samples while they are kept, credits from usage and prices, charges from credits,
    entries from charges, their hashes and balances, and the seals over all accounts. Status 1
    if anything differs; the first difference of each kind is shown. Nothing is changed, and the
    service may run meanwhile.
    """
    kept = dict(_seal_of(text) for text in expect_seal or ())
    if kept and project is not None:
        raise InvalidInput("seals are over all projects", where="--expect-seal")

    async def work(pool: Pool, settings: Settings) -> Verified:
        project_id = None
        if project is not None:
            async with connection(pool) as conn:
                project_id = (await find(conn, project, site, domain)).id
        with _shown_progress() if sys.stderr.isatty() else nullcontext(_ignore) as progress:
            return await recompute(
                pool,
                window_ms=timedelta(days=settings.acceptance_window_days)
                // timedelta(milliseconds=1),
                project_id=project_id,
                expected_seals=kept,
                progress=progress,
            )

    verified = with_database(work)
    if as_json:
        print_json(_shape(verified))
    else:
        _show(verified, is_whole=project is None)
    raise typer.Exit(0 if verified.holds else 1)


def _ignore(_progress: Progress) -> None:
    pass


class _shown_progress:  # noqa: N801 - used as a function is
    """Shows on the terminal how far it has come, and nothing afterwards."""

    def __init__(self) -> None:
        self._status = Console(stderr=True).status("Recomputing ...")

    def __enter__(self) -> Callable[[Progress], None]:
        self._status.start()
        return lambda progress: self._status.update(
            f"Recomputing: {progress.projects:,} of {progress.projects_total:,} projects, "
            f"{progress.samples:,} samples"
        )

    def __exit__(self, *_error: object) -> None:
        self._status.stop()


def _seal_of(text: str) -> tuple[int, bytes]:
    number, _, digest = text.partition(":")
    try:
        seal_id, kept = int(number), bytes.fromhex(digest)
    except ValueError:
        seal_id, kept = 0, b""
    if seal_id < 1 or len(kept) != HASH_BYTES:
        raise InvalidInput("must look like 42:<64 hexadecimal digits>", where="--expect-seal")
    return seal_id, kept


def _shape(verified: Verified) -> Verification:
    findings = verified.findings
    return Verification(
        holds=verified.holds,
        as_of=verified.as_of,
        seconds=round(verified.seconds, 3),
        counts=dict(findings.checked_counts),
        layers=[
            LayerShape(
                layer=layer,
                difference_count=findings.difference_counts[layer],
                first=None
                if layer not in findings.first
                else DifferenceShape.model_validate(findings.first[layer]),
            )
            for layer in Layer
        ],
        last_seal=None
        if verified.last_seal is None
        else SealShape(
            seal=f"{verified.last_seal.id}:{verified.last_seal.hash.hex()}",
            sealed_at=verified.last_seal.sealed_at,
        ),
    )


def _show(verified: Verified, *, is_whole: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    findings = verified.findings
    for layer in Layer:
        count = findings.difference_counts[layer]
        line = Text(f"{layer.value:<10}")
        line.append(*(("differs  ", "bold red") if count else ("holds    ", "green")))
        line.append(_LOOKED_AT[layer].format_map(findings.checked_counts), style="dim")
        console.print(line)
        if layer in findings.first:
            _show_difference(console, findings.first[layer], count)
    console.print()
    verdict = "Everything holds" if verified.holds else "What is stored was changed, or is wrong"
    console.print(
        Text(f"{verdict}, as of {verified.as_of:%Y-%m-%d %H:%M:%S}Z ({verified.seconds:.1f} s).")
    )
    seal = verified.last_seal
    if seal is not None:
        console.print(Text(f"Last seal, of {seal.sealed_at:%Y-%m-%d %H:%M}Z; keep it elsewhere:"))
        console.print(Text(f"  {seal.id}:{seal.hash.hex()}"))
    elif is_whole:
        console.print(Text("There is no seal yet: the first comes when an hour closes."))


def _show_difference(console: Console, first: Difference, count: int) -> None:
    place = ", ".join(f"{noun} {value}" for noun, value in first.where.items())
    of_all = "" if count == 1 else f"  (the first of {count:,})"
    margin = " " * 10
    console.print(Text(f"{margin}{legible(first.what)}{of_all}", style="bold"))
    for noun, text in (
        ("where", place or "-"),
        ("stored", first.stored),
        ("recomputed", first.recomputed),
    ):
        console.print(Text(f"{margin}{noun:<12}{legible(text)}"))
