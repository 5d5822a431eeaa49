"""A service whose every stored text was made to act, and what it answered, logged and mailed.

Each payload names a project and everything about it; the project `GATHERING` has them all as
resources, flavors and labels. What people store is tried with each payload, too.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from os_credits.api.logs import HANDLER_NAME, configure_logs
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.hostile.fields import GATHERING, meter_file, rising_counters
from tests.acceptance.hostile.mistakes import ask_wrongly, hand_in_wrongly
from tests.acceptance.hostile.people import names_of_people, store_as_people
from tests.acceptance.hostile.reads import read_everything
from tests.acceptance.hostile.scene import Scene
from tests.acceptance.senders import V1
from tests.integration.mail_server import MailServer, mail_server
from tests.payloads import PAYLOADS

SECONDS_MAX = 60


async def make_scene(url: str, folder: Path) -> Scene:
    """Store every payload in every field, then ask for everything that can be read."""
    async with hostile_service(url, folder) as (scene, service):
        with _logged(scene, "json"):
            await ask_wrongly(scene, service)
        await read_everything(scene, service)
    return scene


@asynccontextmanager
async def hostile_service(url: str, folder: Path) -> AsyncIterator[tuple[Scene, Service]]:
    """Run a service in which every payload is stored in every field that takes it."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=4)
    scene = Scene(url, start, meter_file(folder))
    async with mail_server() as mails:
        settings = settings_for(
            url,
            meter_file=scene.meter_file,
            grace_period_seconds=0,
            rate_interval_seconds=0.2,
            book_interval_seconds=0.5,
            # Mails shall not differ by whether a forecast was there in time.
            forecast_interval_seconds=3600,
            mail_host="127.0.0.1",
            mail_port=mails.port,
            mail_from="Credits <credits@cloud.example>",
            public_url="https://credits.cloud.example",
            log_level="DEBUG",
        )
        async with running(settings) as service:
            with _logged(scene, "console"):
                await _push(service, rising_counters(start, 0, hours=0))
                await _number(scene, service)
                await store_as_people(scene, service)
                await _push(service, rising_counters(start, 6, hours=1))
                await _wait_for_mails(mails)
                scene.mails = mails.received
                await _find_notices(scene, service)
                await hand_in_wrongly(scene, service)
            yield scene, service


@contextmanager
def _logged(scene: Scene, log_format: Any) -> Iterator[None]:
    """Keep what is logged meanwhile, in one of the two forms."""
    configure_logs("DEBUG", log_format)
    handler = next(one for one in logging.getLogger().handlers if one.get_name() == HANDLER_NAME)
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    try:
        yield
    finally:
        scene.logs[log_format] = written.getvalue()
        configure_logs("WARNING", log_format)


async def _push(service: Service, body: bytes) -> None:
    async with service.request(
        "POST", "/api/v1/write", key="ingest", headers=V1, data=body
    ) as response:
        assert response.status == 204, await response.text()
    await service.rated()


async def _number(scene: Scene, service: Service) -> None:
    """Find our numbers of the projects: by their cloud id, which is the payload itself."""
    async with service.request("GET", "/api/v1/projects?limit=1000", key="admin") as response:
        listed = (await response.json())["projects"]
    by_id = {one["external_id"]: one for one in listed}
    for kind, text in {**PAYLOADS, GATHERING: GATHERING}.items():
        assert by_id[text]["name"] == text
        scene.numbers[kind] = by_id[text]["id"]


async def _find_notices(scene: Scene, service: Service) -> None:
    """Find what was told of each project."""
    for kind in PAYLOADS:
        path = f"/api/v1/projects/%23{scene.numbers[kind]}/notices"
        async with service.request("GET", path, key="admin") as response:
            scene.notices[kind] = (await response.json())["notices"][0]["id"]


async def _wait_for_mails(mails: MailServer) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while len(mails.received) < len(PAYLOADS) + len(names_of_people()):
            await asyncio.sleep(0.05)
