"""Organisations: which there are, on which other one each hangs, what was used beneath."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.organisation_shapes import (
    OrganisationPage,
    OrganisationShape,
    PlacedOrganisation,
    PlaceList,
    PlaceShape,
)
from os_credits.cli.database import with_database
from os_credits.cli.decisions import Reason, checked_reason
from os_credits.cli.decisions import hour as hour_of
from os_credits.cli.operator import author
from os_credits.cli.output import Json, examples, print_json, print_table, say
from os_credits.domain.organisation import Organisation, Place, PlaceRequest
from os_credits.domain.period import floor_hour
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.organisations import (
    create_organisation,
    place_organisation,
    resolve_organisation,
)
from os_credits.settings import Settings
from os_credits.store import batches, organisations, places
from os_credits.store.pool import Connection, Pool, connection, snapshot

# How many organisations are read at once.
PAGE_MAX = 1000

commands = typer.Typer(
    help="Organisations: groups of projects and of other organisations, and their budgets.",
    no_args_is_help=True,
)

OrganisationName = Annotated[
    str,
    typer.Argument(metavar="ORGANISATION", help="Its name, or #number.", show_default=False),
]


async def find(conn: Connection, name: str) -> Organisation:
    """Find the organisation that a name means, as the API does."""
    try:
        return await resolve_organisation(conn, name)
    except NotFound as error:
        raise NotFound(f"{error}; os-credits organisation list shows all") from error


@commands.command("list", epilog=examples("os-credits organisation list"))
def list_(as_json: Json = False) -> None:
    """List organisations, and on which other one each hangs now."""

    async def work(pool: Pool, _settings: Settings) -> list[PlacedOrganisation]:
        found: list[Organisation] = []
        async with snapshot(pool) as conn:
            while not len(found) % PAGE_MAX:
                page = await organisations.list_organisations(
                    conn, among=None, after_id=found[-1].id if found else 0, limit=PAGE_MAX
                )
                found += page
                if not page:
                    break
            now = await batches.read_now(conn)
            parents = await places.read_parents(conn, [one.id for one in found], now)
        return [
            PlacedOrganisation.model_validate(
                {"id": one.id, "name": one.name, "parent": parents.get(one.id)}
            )
            for one in found
        ]

    shapes = with_database(work)
    if as_json:
        print_json(OrganisationPage(organisations=shapes, next=None))
        return
    print_table(
        ["NUMBER>", "NAME", "IN"],
        ([f"#{one.id}", one.name, one.parent.name if one.parent else None] for one in shapes),
        empty="There is no organisation.",
    )


@commands.command(epilog=examples('os-credits organisation add "Institute of Biology"'))
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Create an organisation; placing a project in a new one does so by itself."""

    async def work(pool: Pool, _settings: Settings) -> tuple[Organisation, bool]:
        return await create_organisation(pool, name)

    made, is_new = with_database(work)
    if as_json:
        print_json(OrganisationShape.model_validate(made))
        return
    say(f"{made.name} is organisation #{made.id}" + ("" if is_new else ", as it was before"))


@commands.command(
    epilog=examples(
        'os-credits organisation place "Institute of Biology" --in Sciences --reason Founded',
        "os-credits organisation place Sciences --nowhere --from 2026-02-01T00:00Z --reason Reform",
    )
)
def place(
    organisation: OrganisationName,
    reason: Reason,
    parent: Annotated[
        str | None, typer.Option("--in", metavar="ORGANISATION", help="Its name, or #number.")
    ] = None,
    nowhere: Annotated[bool, typer.Option("--nowhere", help="In no other organisation.")] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="HOUR",
            help="A full hour like 2026-02-01T14:00Z, UTC if it names no zone; the current one "
            "if not given. Past hours are allowed.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say in which other organisation one lies, from a full hour on.

    Sums and budgets move for exactly these hours, up to the next start that was said, with
    everything that lies beneath it. No credit of any project changes.
    """
    if nowhere == (parent is not None):
        raise InvalidInput("say either this or --nowhere", where="--in")
    why = checked_reason(reason)
    asked = None if start is None else hour_of(start, "--from")

    async def work(pool: Pool, _settings: Settings) -> tuple[Organisation, Place, bool]:
        async with connection(pool) as conn:
            found = await find(conn, organisation)
            above = None if parent is None else (await find(conn, parent)).id
            hour = asked or floor_hour(await batches.read_now(conn))
        request = PlaceRequest(found.id, above, hour, why, author())
        return found, *await place_organisation(pool, request)

    found, done, is_new = with_database(work)
    if as_json:
        print_json(PlaceShape.model_validate(done))
        return
    where = done.parent or "no other organisation"
    said = "lies in" if is_new else "lay already in"
    say(f"{found.name} {said} {where} from {done.valid_from:%Y-%m-%d %H:%M} UTC on")


@commands.command("places", epilog=examples("os-credits organisation places Sciences"))
def places_(organisation: OrganisationName, as_json: Json = False) -> None:
    """List in which organisations one lies and lay; each place holds up to the next start."""

    async def work(pool: Pool, _settings: Settings) -> list[Place]:
        async with connection(pool) as conn:
            return await places.list_places(conn, (await find(conn, organisation)).id)

    found = with_database(work)
    if as_json:
        print_json(PlaceList(places=[PlaceShape.model_validate(one) for one in found]))
        return
    print_table(
        ["IN", "FROM", "REASON", "SAID BY"],
        ([one.parent, one.valid_from, one.reason, one.author] for one in found),
        empty="It lies in no other organisation.",
    )
