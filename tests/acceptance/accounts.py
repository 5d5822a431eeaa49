"""A project whose account is known to the last digit: booked hours, a grant, an open hour.

hour     meter                          usage                  credits
H - 4    project_vcpu_usage             10 vCPU-hours        10.000000   booked
H - 4    openstack_nova_server_status   1 h of m1.large       6.400000   booked
H - 3    project_vcpu_usage             10.5 vCPU-hours      10.500000   booked
H        openstack_nova_server_status   300 s of m1.small     0.133333   open
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.acceptance.conftest import Service
from tests.acceptance.documented import Documented

HOUR_SECONDS = 3600
# Samples may be this much ahead of the clock, so that the last hour is open for a while yet.
AHEAD_SECONDS = 300
RATING_SECONDS_MAX = 20
USED = Decimal("27.033333")
OPEN = Decimal("0.133333")
# Settings under which hours are booked as soon as they are over.
BOOK_AT_ONCE = {"grace_period_seconds": 0}


def current_hour() -> int:
    """Give the start (seconds since the epoch) of the hour that stays open during a test."""
    return int(time.time() + AHEAD_SECONDS) // HOUR_SECONDS * HOUR_SECONDS


def moment(seconds: int) -> datetime:
    """Turn seconds since the epoch into a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def shown(seconds: int) -> str:
    """Write a moment as `/api/v1` does."""
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def vcpu(project: str, seconds: int, value: float, *, site: str = "site1") -> str:
    """Write a line of a project's vCPU counter."""
    tags = f"project_name={project},project_id=id/{project},location_id={site}"
    return f"project_vcpu_usage,{tags} value={value} {seconds}"


def server(project: str, seconds: int, resource: str, flavor: str) -> str:
    """Write a line that says that a server runs."""
    tags = f"project_name={project},tenant_id=id/{project},location_id=site1,id={resource}"
    return f"openstack_nova_server_status,{tags},flavor_id={flavor},status=ACTIVE value=0 {seconds}"


async def push(service: Service, lines: list[str]) -> None:
    """Hand in lines with times in seconds, and wait until they are rated."""
    body = "\n".join(lines)
    async with service.request("POST", "/write?precision=s", key="ingest", data=body) as response:
        assert response.status == 204, await response.text()
    await service.rated()


async def wait_until(client: Documented, project: str, **figures: Decimal) -> dict[str, Any]:
    """Wait until a project's balance shows these figures; gives the project."""
    account: dict[str, Any] = {}
    async with asyncio.timeout(RATING_SECONDS_MAX):
        while True:
            reply = await client.ask("GET", f"/api/v1/projects/{project}", key="admin")
            if reply.status == 200:
                account = reply.json
                if all(Decimal(account["balance"][name]) == figures[name] for name in figures):
                    return account
            await asyncio.sleep(0.05)


async def open_account(client: Documented, project: str = "alpha") -> int:
    """Make the account above for a project, and wait for its booking; gives H."""
    hour = current_hour()
    first = hour - 4 * HOUR_SECONDS
    lines = [
        vcpu(project, first, 0),
        vcpu(project, first + HOUR_SECONDS, 10),
        vcpu(project, first + 2 * HOUR_SECONDS, 20.5),
        server(project, first, "s1", "m1.large"),
        server(project, first + HOUR_SECONDS // 2, "s1", "m1.large"),
        server(project, first + HOUR_SECONDS, "s1", "m1.large"),
        server(project, hour, "s2", "m1.small"),
        server(project, hour + AHEAD_SECONDS, "s2", "m1.small"),
    ]
    await push(client.service, lines)
    await wait_until(client, project, used=USED, tally=OPEN)
    return hour


async def grant(client: Documented, project: str, amount: str, **more: Any) -> dict[str, Any]:
    """Give credits to a project."""
    reply = await client.ask(
        "POST",
        f"/api/v1/projects/{project}/grants",
        key="admin",
        json={"amount": amount, **more},
    )
    assert reply.status == 201, reply.text
    answer: dict[str, Any] = reply.json
    return answer


def before(seconds: int, **length: int) -> str:
    """Write the moment that lies so long before."""
    return (moment(seconds) - timedelta(**length)).isoformat().replace("+00:00", "Z")
