"""Says whether an installation is well, and what to do where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import typer
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.text import Text

from os_credits.api.logs import configure_logs
from os_credits.cli.database import unreachable
from os_credits.cli.output import Json, examples, print_json
from os_credits.domain.finding import Finding, State, gravest
from os_credits.domain.text import legible
from os_credits.errors import MailNotSent, Misconfigured, Unavailable
from os_credits.flows.diagnose import diagnose
from os_credits.flows.meters import read_meter_file
from os_credits.notify.mailer import SmtpMailer
from os_credits.settings import Settings, read_settings
from os_credits.store.pool import connection, open_pool

MAIL_SECONDS_MAX = 10.0
_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red"}


class FindingShape(BaseModel):
    """One finding, as programs read it."""

    model_config = ConfigDict(from_attributes=True)

    check: str
    state: State
    message: str
    advice: str


class Diagnosis(BaseModel):
    """All findings; `state` is the gravest of theirs."""

    state: State
    findings: list[FindingShape]


def add_to(program: typer.Typer) -> None:
    """Give the program this command."""
    program.command(
        epilog=examples("os-credits doctor", "os-credits doctor --json | jq .findings")
    )(doctor)


def doctor(as_json: Json = False) -> None:
    """Check settings, database, clock, meters, prices, queue and mail server.

    Nothing is changed. Status 1 if a check failed; warnings alone give 0.
    """
    findings = _look()
    state = gravest([one.state for one in findings])
    if as_json:
        shapes = [FindingShape.model_validate(one) for one in findings]
        print_json(Diagnosis(state=state, findings=shapes))
    else:
        _show(findings)
    raise typer.Exit(1 if state is State.FAILED else 0)


def _look() -> list[Finding]:
    try:
        settings, warnings = read_settings()
    except Misconfigured as error:
        return [Finding("settings", State.FAILED, str(error), "change that variable")]
    configure_logs("ERROR", "console")
    findings = [Finding("settings", State.WARNING, one) for one in warnings] or [
        Finding("settings", State.OK, "understood")
    ]
    findings.append(_meter_file(settings))
    return [*findings, *asyncio.run(_look_outside(settings))]


def _meter_file(settings: Settings) -> Finding:
    try:
        content = read_meter_file(settings.meter_file)
    except Misconfigured as error:
        advice = "the service refuses to start with it"
        return Finding("meter file", State.FAILED, str(error), advice)
    found = f"{settings.meter_file} declares {len(content.meters)} meters"
    return Finding("meter file", State.OK, found)


async def _look_outside(settings: Settings) -> list[Finding]:
    return [*await _database(settings), await _mail_server(settings)]


async def _database(settings: Settings) -> list[Finding]:
    try:
        pool = await open_pool(
            settings.database_url,
            connections_max=1,
            statement_timeout_seconds=settings.database_statement_timeout_seconds,
        )
        try:
            async with connection(pool) as conn:
                return await diagnose(
                    conn,
                    allow_unsafe=settings.allow_unsafe_database,
                    ahead_seconds_max=settings.acceptance_ahead_seconds,
                    sends_mail=bool(settings.mail_host),
                    asks_portal=bool(settings.portal_url),
                )
        finally:
            await pool.close()
    except Unavailable as error:
        advice = "start it, or correct OS_CREDITS_DATABASE_URL"
        return [Finding("database", State.FAILED, unreachable(settings, error), advice)]
    except Misconfigured as error:
        return [Finding("database", State.FAILED, str(error), "correct OS_CREDITS_DATABASE_URL")]


async def _mail_server(settings: Settings) -> Finding:
    if not settings.mail_host:
        advice = "OS_CREDITS_MAIL_HOST is blank: notices are written, but nobody gets them"
        return Finding("mail server", State.OK, "none", advice)
    place = f"{settings.mail_host}:{settings.mail_port}"
    mailer = SmtpMailer(
        host=settings.mail_host,
        port=settings.mail_port,
        tls=settings.mail_tls,
        user=settings.mail_user,
        password=settings.mail_password.get_secret_value(),
        timeout_seconds=min(settings.mail_timeout_seconds, MAIL_SECONDS_MAX),
    )
    try:
        await mailer.probe()
    except MailNotSent as error:
        advice = "mails wait until it works; see the OS_CREDITS_MAIL_ settings"
        return Finding("mail server", State.FAILED, f"{place}: {error}", advice)
    return Finding("mail server", State.OK, f"{place} lets us in")


def _show(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for one in findings:
        line = Text(f"{one.state.value:8}", style=_COLOURS[one.state])
        line.append(f"{one.check}: {legible(one.message)}", style="default")
        console.print(line)
        if one.advice:
            console.print(Text(f"{'':8}{legible(one.advice)}", style="dim"))
