"""A project falls past its thresholds: one mail each to each owner, whatever else happens."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from os_credits.decode.remote_write_encode import encode_v1
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    grant,
    push,
    vcpu,
    wait_until,
)
from tests.acceptance.conftest import Service
from tests.acceptance.documented import Documented, documented
from tests.acceptance.own_process import own_process
from tests.acceptance.senders import V1
from tests.integration.mail_server import MailServer, mail_server

PROJECT = "alpha"
OWNERS = {"ada@example.org": "Ada", "grace@example.org": "Grace"}
SENDER = "Credits <credits@cloud.example>"
STEP_SECONDS = 300
# So often each job must have had its turn before silence counts.
TURNS = 3
SECONDS_MAX = 20


@dataclass
class Story:
    """The running service, what was pushed to it, and the mail server that it sends to.

    The project's counter rises in hours that are over, one sample every five minutes.
    """

    client: Documented
    mails: MailServer
    start: int = field(default_factory=lambda: current_hour() - 4 * HOUR_SECONDS)
    pushed: list[tuple[int, float]] = field(default_factory=list)
    expected: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def use_until(self, *, counter: float, left: str) -> None:
        """Let the counter rise to a figure, and wait for the balance that it makes."""
        await self.measure(self.start + STEP_SECONDS * len(self.pushed), counter)
        await self.wait_until_left(left)

    async def measure(self, seconds: int, value: float) -> None:
        """Hand in one sample."""
        self.pushed.append((seconds, value))
        await push(self.client.service, [vcpu(PROJECT, seconds, value)])

    async def push_all_again(self) -> None:
        """Hand in every sample once more by both doors, as a second Prometheus would."""
        await push(self.client.service, [vcpu(PROJECT, *sample) for sample in self.pushed])
        labels = (
            ("__name__", "project_vcpu_usage"),
            ("location_id", "site1"),
            ("project_id", f"id/{PROJECT}"),
            ("project_name", PROJECT),
            ("replica", "b"),
        )
        samples = [(seconds * 1000, value) for seconds, value in reversed(self.pushed)]
        async with self.client.service.request(
            "POST", "/api/v1/write", key="ingest", data=encode_v1([(labels, samples)]), headers=V1
        ) as response:
            assert response.status == 204, await response.text()

    async def wait_until_left(self, credits_left: str) -> None:
        """Wait until the balance stands there, and all of it is booked."""
        await wait_until(self.client, PROJECT, current=Decimal(credits_left), tally=Decimal(0))

    async def nobody_is_told(self) -> None:
        """See that no mail comes beyond the ones that came."""
        await settled(self.client.service)
        assert self.expected == told(self.mails)

    async def owners_are_told(self, *, left: str) -> None:
        """See that each owner gets one mail that names what is left, and no mail besides."""
        self.expected.update((owner, left) for owner in OWNERS)
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_MAX):
                while told(self.mails) != self.expected:
                    await asyncio.sleep(0.05)
        await self.nobody_is_told()


def told(mails: MailServer) -> Counter[tuple[str, str]]:
    """Count mails by recipient and by what they say is left."""
    return Counter(
        (recipient, _left(mail)) for recipients, mail in mails.received for recipient in recipients
    )


def _left(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"Left: +(\S+) credits", body.get_content())
    assert found is not None
    return found[1]


async def settled(service: Service) -> None:
    """Wait until rating, booking, notices and mails each had their turn some times."""
    before = await _turns(service)
    async with asyncio.timeout(SECONDS_MAX):
        while any(turns < before[job] + TURNS for job, turns in (await _turns(service)).items()):
            await asyncio.sleep(0.05)


async def _turns(service: Service) -> dict[str, int]:
    async with service.request("GET", "/stats", key="admin") as response:
        jobs = (await response.json())["jobs"]
    assert all(job["failures"] == 0 for job in jobs), jobs
    turns = {job["name"]: job["runs"] for job in jobs}
    return {job: turns[job] for job in ("rate", "book", "notice", "deliver")}


@asynccontextmanager
async def new_story(database_url: str, folder: Path) -> AsyncIterator[tuple[Story, Any]]:
    """Start with a project that has two owners and 100 credits and has used nothing yet."""
    async with (
        mail_server() as mails,
        own_process(
            database_url,
            folder,
            mail_host="127.0.0.1",
            mail_port=mails.port,
            mail_from=SENDER,
            public_url="https://credits.cloud.example",
            # Credits go down and up within seconds here.
            notice_cool_down_hours=0,
            **BOOK_AT_ONCE,
        ) as (process, service),
    ):
        story = Story(await documented(service), mails)
        await story.use_until(counter=0, left="0")
        owners = [{"email": email, "name": name} for email, name in OWNERS.items()]
        reply = await story.client.ask(
            "PUT", f"/api/v1/projects/{PROJECT}/owners", key="admin", json={"owners": owners}
        )
        assert reply.status == 200, reply.text
        await grant(story.client, PROJECT, "100", reason="first budget")
        yield story, process


async def test_each_threshold_is_told_once_to_each_owner(database_url: str, tmp_path: Path) -> None:
    """Down past 50 %, 20 % and 0; everything again; a kill; a correction; a top-up; down again."""
    async with new_story(database_url, tmp_path) as (story, process):
        await story.use_until(counter=45, left="55")
        await story.use_until(counter=49.5, left="50.5")
        await story.nobody_is_told()
        await story.use_until(counter=50, left="50")
        await story.owners_are_told(left="50")
        await story.use_until(counter=85, left="15")
        await story.owners_are_told(left="15")
        await story.use_until(counter=101, left="-1")
        await story.owners_are_told(left="-1")

        # The same samples again, before and after a sudden end: nothing new.
        await story.push_all_again()
        process.kill()
        await process.start()
        await story.push_all_again()
        await story.wait_until_left("-1")
        await story.nobody_is_told()

        # A late sample lowers what was used, so that zero is passed twice; it was told.
        await story.measure(story.start - STEP_SECONDS, 10)
        await story.wait_until_left("9")
        await story.use_until(counter=112, left="-2")
        await story.nobody_is_told()

        # More credits lift the balance above all lines: they count again, the gravest first.
        await grant(story.client, PROJECT, "300", reason="top-up")
        await story.wait_until_left("298")
        await story.nobody_is_told()
        await story.use_until(counter=220, left="190")
        await story.owners_are_told(left="190")
        await story.use_until(counter=460, left="-50")
        await story.owners_are_told(left="-50")

        await check_account(story.client)
    check_mails(story.mails)


async def check_account(client: Documented) -> None:
    """Compare the account's own record: notices, and the correction that was booked."""
    notices = (await client.get(f"/api/v1/projects/{PROJECT}/notices"))["notices"]
    entries = (await client.get(f"/api/v1/projects/{PROJECT}/entries"))["entries"]

    assert [(one["percent"], one["balance"]) for one in reversed(notices)] == [
        ("50", "50.000000"),
        ("20", "15.000000"),
        ("0", "-1.000000"),
        ("50", "190.000000"),
        ("0", "-50.000000"),
    ]
    assert all(one["mails"] == {"sent": 2, "pending": 0, "refused": 0} for one in notices)
    assert ("correction", "10.000000") in [(one["kind"], one["amount"]) for one in entries]
    assert entries[-1]["balance"] == "-50.000000"


def check_mails(mails: MailServer) -> None:
    """Compare what every mail has in common."""
    messages = [mail for _, mail in mails.received]

    assert len(messages) == 10
    assert len({mail["Message-ID"] for mail in messages}) == 10
    assert {str(mail["From"]) for mail in messages} == {SENDER}
    assert {str(mail["To"]) for mail in messages} == {
        f"{name} <{email}>" for email, name in OWNERS.items()
    }
    for mail in messages:
        body = mail.get_body(("plain",))
        assert body is not None
        assert f"https://credits.cloud.example/credits_history/id%2F{PROJECT}" in body.get_content()
