"""Notices posted to a webhook and to the portal: signed, repeated, given up."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from os_credits.domain.mail import Addressing, Channel
from os_credits.errors import MailDelayed, MailRefused
from os_credits.flows.deliver import DeliverResult, deliver
from os_credits.flows.notice import Watch, check
from os_credits.notify.portal_form import PortalForm, epoch_seconds
from os_credits.notify.webhook import Webhook
from os_credits.store.pool import connection, open_pool
from tests.integration.accounts import LINES, grant, open_account, use
from tests.integration.receiver import HANG, Receiver, receiver
from tests.unit.notify.example_mails import EXAMPLES, mail_of, tiding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from os_credits.store.pool import Pool

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = "a secret with ü"
EVERYWHERE = Watch(LINES, Addressing("cloud.example", webhook=True, portal=True))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "mail.md"
SENT = DeliverResult(sent_count=1, delayed_count=0, refused_count=0)
DELAYED = DeliverResult(sent_count=0, delayed_count=1, refused_count=0)
REFUSED = DeliverResult(sent_count=0, delayed_count=0, refused_count=1)
NOTHING = DeliverResult(sent_count=0, delayed_count=0, refused_count=0)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=8, statement_timeout_seconds=20)
    yield opened
    await opened.close()


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


def webhook(hook: Receiver, *, seconds: float = 1772366400.9, timeout: float = 5) -> Webhook:
    return Webhook(f"{hook.url}/in?token=t0k3n", SECRET, lambda: seconds, timeout)


def documented_check() -> Callable[..., bool]:
    """Give the function by which the documentation tells receivers to check the signature."""
    [code] = re.findall(r"```python\n(.*?def is_ours.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    check_of_docs: Callable[..., bool] = names["is_ours"]
    return check_of_docs


async def cross(pool: Pool, used: str = "501.9") -> None:
    """Let a project cross a line at noon."""
    project = await open_account(pool, "Gießen/1", owners=[])
    await grant(pool, project, 1000)
    await use(pool, project, used)
    assert 1 == await check(pool, EVERYWHERE, NOON)


async def state(pool: Pool, channel: Channel) -> tuple[str, int, str]:
    async with connection(pool) as conn:
        row = await conn.fetchrow(
            "SELECT state, attempt_count, last_error FROM mail WHERE channel = $1", channel
        )
    assert row is not None
    return tuple(row)


async def test_a_notice_is_posted_once_with_a_signature_that_the_docs_check(
    pool: Pool, hook: Receiver
) -> None:
    await cross(pool)

    assert await deliver(pool, webhook(hook), NOON) == SENT
    assert await deliver(pool, webhook(hook), NOON + HOUR) == NOTHING

    [post] = hook.received
    content = json.loads(post.body)
    assert ("percent", "50.000000", "498.100000", "1000.000000", "2026-03-01T12:00:00Z") == tuple(
        content[name] for name in ("kind", "line", "balance", "granted", "created_at")
    )
    assert "Gießen/1" == content["project"]["name"]
    assert "application/json" == post.headers["Content-Type"]
    is_ours = documented_check()
    signature = post.headers["X-Os-Credits-Signature"]
    assert is_ours(SECRET, signature, post.body, now=1772366400)
    assert not is_ours(SECRET, signature, post.body + b" ", now=1772366400)
    assert not is_ours("another", signature, post.body, now=1772366400)
    assert not is_ours(SECRET, signature, post.body, now=1772366400 + 3600)
    assert not is_ours(SECRET, "t=1772366400", post.body, now=1772366400)
    assert not is_ours(SECRET, "", post.body, now=1772366400)


async def test_a_repeated_post_is_the_same_document_with_the_same_id(
    pool: Pool, hook: Receiver
) -> None:
    await cross(pool)
    hook.answers.extend([500, 429, 200])
    hook.text = "try again \x1b[31m" + "x" * 100_000

    assert await deliver(pool, webhook(hook), NOON) == DELAYED
    kept = await state(pool, Channel.WEBHOOK)
    assert await deliver(pool, webhook(hook, seconds=1772370000), NOON + HOUR) == DELAYED
    assert await deliver(pool, webhook(hook), NOON + 3 * HOUR) == SENT

    assert ("pending", 1) == kept[:2]
    assert kept[2].startswith("500 try again")
    assert len(kept[2]) <= 200
    assert kept[2].isprintable()
    assert 1 == len({post.body for post in hook.received})
    [key] = {post.headers["Idempotency-Key"] for post in hook.received}
    assert re.fullmatch(r"<[0-9a-f-]{36}@cloud\.example>", key)
    assert 2 == len({post.headers["X-Os-Credits-Signature"] for post in hook.received})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_what_a_webhook_refuses_is_not_tried_again(hook: Receiver, status: int) -> None:
    hook.answers.append(status)

    with pytest.raises(MailRefused) as caught:
        await webhook(hook).send(mail_of(tiding()))

    assert status == caught.value.code


@pytest.mark.parametrize("status", [301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again_and_no_redirect_is_followed(
    hook: Receiver, status: int
) -> None:
    hook.answers.append(status)

    with pytest.raises(MailDelayed) as caught:
        await webhook(hook).send(mail_of(tiding()))

    assert status == caught.value.code
    assert ["/in"] == [post.path for post in hook.received]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_success_counts(hook: Receiver, status: int) -> None:
    hook.answers.append(status)

    await webhook(hook).send(mail_of(tiding()))

    assert 1 == len(hook.received)


async def test_a_webhook_that_hangs_is_left_after_its_time(pool: Pool, hook: Receiver) -> None:
    await cross(pool)
    hook.answers.append(HANG)
    started = monotonic()

    assert await deliver(pool, webhook(hook, timeout=0.5), NOON) == DELAYED

    assert monotonic() - started < 3
    assert (await state(pool, Channel.WEBHOOK))[2] == "no answer within 0.5 s"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/t0k3n", "http://t0k3n.invalid/", "http://[::1/t0k3n"]
)
async def test_what_is_kept_of_a_failure_never_names_the_url(
    unused_tcp_port: int, url: str
) -> None:
    outlet = Webhook(url.format(port=unused_tcp_port), SECRET, lambda: 0.0, 5)

    with pytest.raises(MailDelayed) as caught:
        await outlet.send(mail_of(tiding()))

    assert "t0k3n" not in str(caught.value) + repr(outlet)
    assert SECRET not in repr(outlet)


async def test_a_webhook_names_nobody_and_tells_only_known_facts(hook: Receiver) -> None:
    more = {"author": "Ada <ada@lab.example>", "reason": "Ada"}

    await webhook(hook).send(mail_of(tiding(facts={**EXAMPLES["days"].notice.facts, **more})))

    [post] = hook.received
    assert b"Ada" not in post.body
    assert b"ada@" not in post.body
    assert {"burned", "forecast"} == json.loads(post.body)["facts"].keys()


@pytest.mark.parametrize(
    "used,limit", [("501.9", "half limit reached"), ("1012.5", "full limit reached")]
)
async def test_the_portal_gets_its_form(pool: Pool, hook: Receiver, used: str, limit: str) -> None:
    await cross(pool, used)
    outlet = PortalForm(f"{hook.url}/portal/", key="portal-key")
    hook.answers.extend([201, 200])

    # Only 200 is a yes of this portal.
    assert await deliver(pool, outlet, NOON) == DELAYED
    assert await deliver(pool, outlet, NOON + HOUR) == SENT

    post = hook.received[-1]
    assert "/portal/credits-limit/" == post.path
    assert "application/x-www-form-urlencoded" == post.headers["Content-Type"]
    assert "portal-key" == post.headers["X-Api-Key"]
    form = {name: value for name, [value] in parse_qs(post.body.decode()).items()}
    assert {
        "project_name": "Gießen/1",
        "granted_credits": "1000.000000",
        "used_credits": f"{Decimal(used):.6f}",
        "timestamp": "1772366400.000000",
        "limit_type": limit,
    } == form
    assert hook.received[0].body == post.body


async def test_the_portal_is_asked_again_whatever_it_answers(pool: Pool, hook: Receiver) -> None:
    await cross(pool)
    hook.answers.extend([400, 404, 410, 500, 302])

    results = [
        await deliver(pool, PortalForm(hook.url), NOON + turn * HOUR, attempts_max=5)
        for turn in range(6)
    ]

    assert results == [*4 * [DELAYED], REFUSED, NOTHING]
    assert "X-Api-Key" not in hook.received[0].headers


async def test_channels_do_not_take_each_others_mails(pool: Pool, hook: Receiver) -> None:
    await cross(pool)

    assert await deliver(pool, PortalForm(hook.url), NOON) == SENT
    assert ("pending", 0, "") == await state(pool, Channel.WEBHOOK)


def test_a_time_is_written_exactly() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC)

    assert "1772366400.000007" == epoch_seconds(moment)
