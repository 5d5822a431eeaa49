"""Opens the accounts of the simulated cloud's projects, once: people, organisations, credits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from os_credits.demo.budget import budget_of
from os_credits.demo.cast import Person, Project
from os_credits.demo.projects import BUDGETS, MANAGED, MANAGER, PROJECTS, TREE
from os_credits.demo.service import Service, path_of
from os_credits.domain.period import HOUR_MS, from_ms

EXPIRING_AFTER = timedelta(days=9)


async def open_accounts(
    service: Service, *, start_ms: int, now_ms: int, step_ms: int, say: Callable[[str], None]
) -> None:
    """Create the projects that are not there, with people and grants; repetition is harmless.

    A budget is sized by what the history from `start_ms` to `now_ms` will use, measured in
    steps of `step_ms`.
    """
    since = from_ms(start_ms // HOUR_MS * HOUR_MS)
    granted: dict[str, int] = {}
    known = await service.get(path_of("api", "v1", "projects"))
    rich = {one["external_id"] for one in known["projects"] if Decimal(one["balance"]["granted"])}
    for project in PROJECTS:
        if project.id in rich:
            continue
        granted[project.id] = budget_of(project, start_ms, now_ms, step_ms)
        await _open_account(service, project, granted[project.id], since, from_ms(now_ms))
    if granted:
        await _open_organisations(service, granted, since)
        say(f"{len(granted)} projects in {len(TREE)} programs: {sum(granted.values()):,} credits")


async def _open_account(
    service: Service, project: Project, amount: int, since: datetime, now: datetime
) -> None:
    named = {
        "name": project.name,
        "site": project.site,
        "external_id": project.id,
        "domain": project.domain,
    }
    await service.send("POST", path_of("api", "v1", "projects"), named)

    async def send(method: str, what: str, body: dict[str, Any]) -> None:
        path = path_of("api", "v1", "projects", project.id, what)
        await service.send(method, path, body, site=project.site)

    people = [
        *({**_named(one), "role": "owner"} for one in project.owners),
        *({**_named(one), "role": "member"} for one in project.members),
    ]
    await send("PUT", "owners", {"owners": people})
    monthly = amount * project.monthly_percent // 100
    expiring = amount * project.expiring_percent // 100
    given = {"reason": "Budget of the simulated cloud", "valid_from": since.isoformat()}
    if expiring:
        hour = now.replace(minute=0, second=0, microsecond=0)
        terms = {"expires_at": (hour + EXPIRING_AFTER).isoformat(), "reason": "Until the deadline"}
        await send("POST", "grants", given | terms | _amount(project, expiring, "expiring"))
    if monthly:
        first = since.strftime("%Y-%m")
        allowance = {"first_month": first, "reason": "Monthly allowance", "carries_over": True}
        await send("POST", "allowances", allowance | _amount(project, monthly, "monthly"))
    rest = amount - expiring - monthly
    await send("POST", "grants", given | _amount(project, rest, "budget"))


def _named(person: Person) -> dict[str, str]:
    return {"email": person.email, "name": person.name}


def _amount(project: Project, amount: int, what: str) -> dict[str, str]:
    return {"amount": str(amount), "idempotency_key": f"simulated-cloud-{what}-{project.id}"}


async def _open_organisations(service: Service, granted: dict[str, int], since: datetime) -> None:
    """Hang projects, teams and programs into a tree since the history's start."""
    placed = {"valid_from": since.isoformat(), "reason": "As the simulated cloud begins"}
    for program, teams in TREE.items():
        for name in (program, *teams):
            await service.send("POST", path_of("api", "v1", "organisations"), {"name": name})
        for team in teams:
            path = path_of("api", "v1", "organisations", team, "parent")
            await service.send("POST", path, {"parent": program, **placed})
    for project in PROJECTS:
        path = path_of("api", "v1", "projects", project.id, "organisation")
        belongs = {"organisation": project.organisation, **placed}
        await service.send("POST", path, belongs, site=project.site)
    for name, percent in BUDGETS.items():
        amount = sum(granted.get(one.id, 0) for one in _beneath(name)) * percent // 100
        path = path_of("api", "v1", "organisations", name, "budgets")
        if amount and not (await service.get(path))["budgets"]:
            body = {"amount": str(amount), "reason": "For this year", "priority": 0}
            await service.send("POST", path, body | {"valid_from": since.isoformat()})
    path = path_of("api", "v1", "organisations", MANAGED, "managers", MANAGER.email)
    await service.send("PUT", path, {"name": MANAGER.name})


def _beneath(organisation: str) -> Iterable[Project]:
    teams = {organisation, *TREE.get(organisation, ())}
    return (project for project in PROJECTS if project.organisation in teams)
