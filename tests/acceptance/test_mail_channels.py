"""One crossing on all channels of the running service: none waits for another, no push for any."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    grant,
    push,
    vcpu,
    wait_until,
)
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import documented
from tests.acceptance.program import program_on
from tests.integration.mail_server import MailServer, mail_server
from tests.integration.receiver import HANG, Receiver, receiver
from tests.unit.notify.example_mails import part_of

PROJECT = "alpha"
# Long enough that nothing that hangs ends by itself.
TIMEOUT_SECONDS = 60
SECONDS_MAX = 20


@dataclass
class Scene:
    """The running service, and everything that it can tell of a notice."""

    service: Service
    mails: MailServer
    hook: Receiver
    portal: Receiver

    async def cross(self) -> None:
        """Use a little more than half of the credits, over two hours that are booked."""
        start = current_hour() - 4 * HOUR_SECONDS
        await push(self.service, [vcpu(PROJECT, start, 0)])
        client = await documented(self.service)
        owner = {"email": "joerg@lab.example", "name": "Jörg Müßig", "language": "de"}
        reply = await client.ask(
            "PUT", f"/api/v1/projects/{PROJECT}/owners", key="admin", json={"owners": [owner]}
        )
        assert reply.status == 200, reply.text
        await grant(client, PROJECT, "100", reason="budget")
        await push(self.service, [vcpu(PROJECT, start + HOUR_SECONDS, 60)])

    async def wait_for(self, *told: list[Any]) -> None:
        """Wait until each of these was told once."""
        async with asyncio.timeout(SECONDS_MAX):
            while [len(one) for one in told] != [1] * len(told):
                await asyncio.sleep(0.05)

    async def sent_notice(self) -> dict[str, Any]:
        """Give the one notice, once the service has noted that its mail was taken."""
        path = f"/api/v1/projects/{PROJECT}/notices"
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                async with self.service.request("GET", path, key="admin") as response:
                    notice: dict[str, Any]
                    [notice] = (await response.json())["notices"]
                if not notice["mails"]["pending"]:
                    return notice
                await asyncio.sleep(0.05)


@asynccontextmanager
async def new_scene(database_url: str, **changes: Any) -> AsyncIterator[Scene]:
    """Start everything."""
    async with mail_server() as mails, receiver() as hook, receiver() as portal:
        settings = settings_for(
            database_url,
            mail_host="127.0.0.1",
            mail_port=mails.port,
            mail_timeout_seconds=TIMEOUT_SECONDS,
            public_url="https://credits.cloud.example",
            webhook_url=hook.url,
            webhook_secret="secret",
            portal_limit_url=portal.url,
            **{**BOOK_AT_ONCE, **changes},
        )
        async with running(settings) as service:
            yield Scene(service, mails, hook, portal)


async def test_a_crossing_is_told_on_every_channel_in_the_owners_language(
    database_url: str,
) -> None:
    async with new_scene(database_url) as scene:
        await scene.cross()
        await scene.wait_for(scene.mails.received, scene.hook.received, scene.portal.received)
        notice = await scene.sent_notice()
        with program_on(database_url) as program:
            words = ("notices", "mail", str(notice["id"]), "--language", "de", "--name", "Jörg")
            public = {"OS_CREDITS_PUBLIC_URL": "https://credits.cloud.example"}
            shown = await asyncio.to_thread(lambda: program(*words, status=0, **public))

    [(recipients, mail)] = scene.mails.received
    assert ["joerg@lab.example"] == recipients
    text = part_of(mail, "plain")
    assert "Guten Tag Jörg Müßig,\n\nProjekt alpha hat die Hälfte seiner Credits" in text
    assert "Übrig:" in text
    assert "Was in den letzten sieben Tagen am meisten verbraucht hat:" in text
    assert "https://credits.cloud.example/credits_history/id%2Falpha?site=site1" in text
    assert {"sent": 1, "pending": 0, "refused": 0} == notice["mails"]
    content = json.loads(scene.hook.received[0].body)
    assert (notice["id"], "percent", "40.000000") == tuple(
        content[name] for name in ("id", "kind", "balance")
    )
    form = parse_qs(scene.portal.received[0].body.decode())
    assert ["half limit reached"] == form["limit_type"]
    assert ["60.000000"] == form["used_credits"]
    # What the command shows is the mail that was sent, but for whom it is.
    assert shown.output.split("\n", 4)[4].strip() == text.split("\n", 2)[2].strip()


@pytest.mark.parametrize("hanging", ["mail", "webhook"])
async def test_a_channel_that_hangs_holds_up_neither_the_others_nor_a_push(
    database_url: str, hanging: str
) -> None:
    async with new_scene(database_url) as scene:
        others: dict[str, list[Any]] = {
            "mail": scene.mails.received,
            "webhook": scene.hook.received,
            "portal": scene.portal.received,
        }
        del others[hanging]
        scene.mails.pause_seconds = TIMEOUT_SECONDS if hanging == "mail" else 0
        scene.hook.answers.extend([HANG] * (hanging == "webhook"))

        await scene.cross()
        await scene.wait_for(*others.values())
        started = monotonic()
        await push(scene.service, [vcpu(PROJECT, current_hour() - 2 * HOUR_SECONDS, 70)])
        client = await documented(scene.service)
        await wait_until(client, PROJECT, current=Decimal(30), tally=Decimal(0))

        assert monotonic() - started < SECONDS_MAX
        assert [1, 1] == [len(one) for one in others.values()]


def test_a_broken_template_stops_the_start(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "mail.html").write_text("{% if %}")
    with program_on(database_url) as program:
        folder = {"OS_CREDITS_MAIL_TEMPLATE_FOLDER": str(tmp_path)}

        result = program("serve", status=78, **folder)

    assert "template mail.html: TemplateSyntaxError: " in result.output
