"""Opens the accounts of the simulated cloud's projects: owners, and a budget each, once."""

from __future__ import annotations

from collections.abc import Callable

from os_credits.demo.budget import budget_of
from os_credits.demo.cast import PROJECTS, Project
from os_credits.demo.service import Service, path_of


async def open_accounts(
    service: Service, *, start_ms: int, now_ms: int, step_ms: int, say: Callable[[str], None]
) -> None:
    """Create the projects that are not there, with owners and grants; repetition is harmless.

    A budget is sized by what the history from `start_ms` to `now_ms` will use, measured in
    steps of `step_ms`.
    """
    for project in PROJECTS:
        known = await service.get(path_of("api", "current_credits", project.id), site=project.site)
        if known is not None and known["granted_credits"] > 0:
            continue
        amount = budget_of(project, start_ms, now_ms, step_ms)
        await _open_account(service, project, amount)
        say(f"project {project.name} at {project.site}: granted {amount:,} credits")


async def _open_account(service: Service, project: Project, amount: int) -> None:
    named = {
        "name": project.name,
        "site": project.site,
        "external_id": project.id,
        "domain": project.domain,
    }
    path = path_of("api", "v1", "projects")
    await service.send("POST", path, named)
    path += path_of(project.id)
    owners = [{"email": owner.email, "name": owner.name} for owner in project.owners]
    await service.send("PUT", path + path_of("owners"), {"owners": owners}, site=project.site)
    grant = {
        "amount": str(amount),
        "reason": "Budget of the simulated cloud",
        "idempotency_key": f"simulated-cloud-{project.id}",
    }
    await service.send("POST", path + path_of("grants"), grant, site=project.site)
