"""API keys: made, listed, revoked."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.shapes import KeyList, KeyShape, NewKey
from os_credits.cli.database import with_database
from os_credits.cli.output import Json, complain, examples, print_json, print_table, say
from os_credits.domain.access import Scope
from os_credits.flows.keys import REMEMBERED_SECONDS, KeyRequest, create_key, list_keys, revoke_key

commands = typer.Typer(
    help="API keys: what senders, readers and administrators show to be let in.",
    no_args_is_help=True,
)


@commands.command(
    epilog=examples(
        "os-credits key add prometheus --scope ingest",
        "os-credits key add berlin --scope ingest --site berlin",
        "os-credits key add alice --scope read --project biobank --project genomes",
        "os-credits key add portal --scope ingest --scope read --scope admin --json",
    )
)
def add(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Whom or what the key is for.", show_default=False)
    ],
    scope: Annotated[
        list[Scope],
        typer.Option(
            help="What it may do, repeatable: hand in samples, read, or everything.",
            show_default=False,
        ),
    ],
    project: Annotated[
        list[str] | None,
        typer.Option(help="Let it read only this project (name, cloud id or #number); repeatable."),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(help="Let it hand in samples of this site only; repeatable."),
    ] = None,
    meter: Annotated[
        list[str] | None,
        typer.Option(help="Let it hand in samples of this meter only; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it, this once: only a hash of it is stored."""
    request = KeyRequest(
        name,
        frozenset(scope),
        projects=tuple(project) if project else None,
        sites=tuple(site) if site else None,
        meters=tuple(meter) if meter else None,
    )
    record, key = with_database(lambda pool, _: create_key(pool, request))
    if as_json:
        print_json(NewKey(**KeyShape.model_validate(record).model_dump(), key=key))
        return
    say(key)
    complain(f"This is key {record.id} ({name}). Keep it: nobody can show it again.")


@commands.command("list", epilog=examples("os-credits key list", "os-credits key list --json"))
def list_(as_json: Json = False) -> None:
    """List all keys that were ever made, without the keys themselves."""
    records = with_database(lambda pool, _: list_keys(pool))
    if as_json:
        print_json(KeyList(keys=[KeyShape.model_validate(record) for record in records]))
        return
    print_table(
        ["ID>", "NAME", "SCOPES", "PROJECTS", "SITES", "METERS", "MADE", "REVOKED"],
        (
            [one.id, one.name, one.scopes, *map(_limit, (one.projects, one.sites, one.meters)),
             one.created_at, one.revoked_at]
            for one in records
        ),
        empty="There is no key yet: os-credits key add",
    )  # fmt: skip


def _limit(names: list[str] | None) -> object:
    return "all" if names is None else names


@commands.command(epilog=examples("os-credits key list", "os-credits key revoke 3"))
def revoke(
    key_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, help="The key's number.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Refuse a key from now on, for ever; a second time changes nothing."""
    record = with_database(lambda pool, _: revoke_key(pool, key_id))
    if as_json:
        print_json(KeyShape.model_validate(record))
        return
    say(f"key {record.id} ({record.name}) is refused within {REMEMBERED_SECONDS:g} seconds")
