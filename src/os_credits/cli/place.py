"""Where a project belongs."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.organisation_shapes import MembershipList, MembershipShape
from os_credits.cli.database import with_database
from os_credits.cli.decisions import Reason, checked_reason
from os_credits.cli.decisions import hour as hour_of
from os_credits.cli.operator import author
from os_credits.cli.output import Json, examples, print_json, print_table, say
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.organisation import Membership, MembershipRequest
from os_credits.domain.period import floor_hour
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.flows.organisations import place_project
from os_credits.settings import Settings
from os_credits.store import batches, organisations
from os_credits.store.pool import Pool, connection


def add_to(commands: typer.Typer) -> None:
    """Give the commands on projects these two."""
    commands.command(
        epilog=examples(
            'os-credits project place biobank --in "Institute of Biology" --reason Application',
            "os-credits project place biobank --in Medicine --from 2026-02-01T00:00Z --reason Move",
            "os-credits project place biobank --nowhere --reason Ended",
        )
    )(place)
    commands.command(epilog=examples("os-credits project places biobank"))(places)


def place(
    project: ProjectName,
    reason: Reason,
    organisation: Annotated[
        str | None,
        typer.Option("--in", metavar="ORGANISATION", help="Its name; a new name makes one."),
    ] = None,
    nowhere: Annotated[bool, typer.Option("--nowhere", help="In no organisation.")] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="HOUR",
            help="A full hour like 2026-02-01T14:00Z, UTC if it names no zone; the current one "
            "if not given. Past hours are allowed.",
        ),
    ] = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Say to which organisation a project belongs, from a full hour on.

    The sums of organisations move for exactly these hours, up to the next start that was said.
    No credit of the project changes.
    """
    if nowhere == (organisation is not None):
        raise InvalidInput("say either this or --nowhere", where="--in")
    why = checked_reason(reason)
    asked = None if start is None else hour_of(start, "--from")

    async def work(pool: Pool, _settings: Settings) -> tuple[Project, Membership, bool]:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
            hour = asked or floor_hour(await batches.read_now(conn))
        request = MembershipRequest(found.id, organisation, hour, why, author())
        return found, *await place_project(pool, request)

    found, membership, is_new = with_database(work)
    if as_json:
        print_json(MembershipShape.model_validate(membership))
        return
    where = "no organisation" if organisation is None else organisation
    said = "belongs to" if is_new else "belonged already to"
    say(f"{found.name} {said} {where} from {membership.valid_from:%Y-%m-%d %H:%M} UTC on")


def places(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """List where a project belongs and belonged; each place holds up to the next start."""

    async def work(pool: Pool, _settings: Settings) -> list[Membership]:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
            return await organisations.list_memberships(conn, found.id)

    found = with_database(work)
    if as_json:
        shapes = [MembershipShape.model_validate(one) for one in found]
        print_json(MembershipList(memberships=shapes))
        return
    print_table(
        ["ORGANISATION", "FROM", "REASON", "SAID BY"],
        ([one.organisation, one.valid_from, one.reason, one.author] for one in found),
        empty="It belongs to no organisation.",
    )
