"""Says when a project's credits run out."""

from __future__ import annotations

import typer

from os_credits.api.forecasts import project_forecast
from os_credits.cli.database import with_database
from os_credits.cli.output import Json, credits_cell, examples, print_facts, print_json, print_table
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.forecast import StoredForecast
from os_credits.domain.project import Project
from os_credits.flows.forecast import read_forecast
from os_credits.settings import Settings
from os_credits.store.pool import Pool, snapshot
from os_credits.web.forecast_words import gain_of, words_of


def add_to(program: typer.Typer) -> None:
    """Give the program this command."""
    program.command(
        epilog=examples("os-credits forecast biobank", "os-credits forecast '#17' --json")
    )(forecast)


def forecast(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """Say when a project's credits run out, and what leaving out its dearest servers brings."""

    async def work(pool: Pool, settings: Settings) -> tuple[Project, StoredForecast, int]:
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            return found, await read_forecast(conn, found.id), settings.precision

    found, stored, digits = with_database(work)
    shown = project_forecast(found, stored)
    if as_json:
        print_json(shown)
        return
    print_facts(
        ("project", found.name),
        ("left", credits_cell(shown.balance, digits)),
        ("burns per day", credits_cell(shown.burn_per_day, digits)),
        ("runs out", words_of(stored)),
        ("computed at", shown.computed_at),
    )
    if shown.without:
        print_table(
            ["WITHOUT", "RUNS OUT LATER BY>"],
            ((", ".join(each["resource"] for each in one["resources"]), gain_of(one))
             for one in stored.facts["without"]),
            empty="",
        )  # fmt: skip
