"""What comes after the history: late samples, another price, an exclusion and a verdict on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from os_credits.demo.projects import CORRECTED
from os_credits.demo.service import Service, path_of
from os_credits.domain.period import HOUR_MS, from_ms

SERVERS = "openstack_nova_server_status"
DEDICATED = "c1.dedicated"
CHEAPER = "56"
# Both lie in hours that are booked by then, within what the shortest history covers.
CHEAPER_SINCE_HOURS = 30
EXCLUDED_HOURS = (20, 17)
# Booked is what leaves less than this part of the usage open.
UNBOOKED_PART = 4
BOOKED_SECONDS_MAX = 3600.0
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Late:
    """A server whose samples of some hours come late, the hours counted back from now."""

    server: str
    first_hour: int
    end_hour: int

    def times(self, now_ms: int) -> range:
        """Give the stretch of time (ms)."""
        hour_ms = now_ms // HOUR_MS * HOUR_MS
        return range(hour_ms - self.first_hour * HOUR_MS, hour_ms - self.end_hour * HOUR_MS)


LATE = Late("cell-notebooks", 12, 8)


async def wait_until_booked(service: Service) -> None:
    """Wait until most of what was pushed is booked, some time after it was quiet; not for ever."""
    path = path_of("api", "v1", "projects", CORRECTED.id)
    try:
        async with asyncio.timeout(BOOKED_SECONDS_MAX):
            while True:
                balance = (await service.get(path, site=CORRECTED.site))["balance"]
                used, unbooked = Decimal(balance["used"]), Decimal(balance["tally"])
                if used > 0 and unbooked * UNBOOKED_PART < used:
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return


async def decide(service: Service, now_ms: int) -> None:
    """Do what administrators would do now and then; what was done before is left so."""
    hour_ms = now_ms // HOUR_MS * HOUR_MS
    prices = await service.get(path_of("api", "v1", "prices"), meter=SERVERS, flavor=DEDICATED)
    if len(prices["prices"]) == 1:
        since = from_ms(hour_ms - CHEAPER_SINCE_HOURS * HOUR_MS)
        body = {"meter": SERVERS, "flavor": DEDICATED, "credits_per_unit": CHEAPER}
        await service.send(
            "POST", path_of("api", "v1", "prices"), body | {"valid_from": since.isoformat()}
        )
    project = path_of("api", "v1", "projects", CORRECTED.id)
    made = await service.get(f"{project}/exclusions", site=CORRECTED.site)
    if made["exclusions"]:
        return
    first, end = (from_ms(hour_ms - ago * HOUR_MS).isoformat() for ago in EXCLUDED_HOURS)
    excluded = {
        "meter": SERVERS,
        "starts_at": first,
        "ends_at": end,
        "reason": "The exporter counted servers that were being rebuilt",
    }
    await service.send("POST", f"{project}/exclusions", excluded, site=CORRECTED.site)
    waived = {
        "kind": "unmetered",
        "meter": SERVERS,
        "first_hour": first,
        "end_hour": end,
        "verdict": "waive",
        "reason": "Our exporter's fault",
    }
    await service.send("POST", f"{project}/settlements", waived, site=CORRECTED.site)
