"""What comes after the history: late samples, another price, an exclusion and a verdict on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from os_credits.demo.projects import CORRECTED
from os_credits.demo.service import Service, path_of
from os_credits.domain.period import HOUR_MS, from_ms

SERVERS = "openstack_nova_server_status"
DEDICATED = "c1.dedicated"
CHEAPER = "56"
# Both lie in hours that are booked by then, within what the shortest history covers.
CHEAPER_SINCE_HOURS = 30
EXCLUDED_HOURS = (20, 17)
# So many turns of booking mean that what was rated before is booked.
BOOKING_TURNS = 2
BOOKED_SECONDS_MAX = 120.0


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
    """Wait until what was pushed is rated and its closed hours are booked; not for ever."""
    turns: int | None = None
    try:
        async with asyncio.timeout(BOOKED_SECONDS_MAX):
            while True:
                stats = await service.get("/stats")
                booked = sum(job["runs"] for job in stats["jobs"] if job["name"] == "book")
                if turns is None and stats["queue_sample_count"] == 0:
                    turns = booked
                if turns is not None and booked >= turns + BOOKING_TURNS:
                    return
                await asyncio.sleep(0.5)
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
