"""Sends the mails that are due, and decides from each failure when to try again.

A mail is claimed in a short transaction by moving its next attempt into the future, sent with
no connection held, and marked afterwards. A process that dies in between leaves a claim that
runs out, so its mail goes out at most once more, with the same Message-ID.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from secrets import SystemRandom
from typing import TYPE_CHECKING

import structlog

from os_credits.domain.notice import MailState
from os_credits.errors import InvalidInput, MailNotSent, MailRefused
from os_credits.notify.backoff import wait_before_retry
from os_credits.notify.headers import one_line
from os_credits.notify.message import render
from os_credits.store import mails
from os_credits.store.pool import connection

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.notice import DueMail
    from os_credits.notify.mailer import Mailer
    from os_credits.notify.message import Letterhead
    from os_credits.store.pool import Pool

log = structlog.get_logger(__name__)

# How many dialogues run at once, hence how many mails a dead server can hold at a time.
SENDING_AT_ONCE_MAX = 4
MAILS_PER_CALL_MAX = 200
# What a claim lasts beyond the mailer's own time-out: rendering, goodbye and marking.
CLAIM_MARGIN_SECONDS = 30
# As much of a server's answer as is kept.
ERROR_LENGTH_MAX = 200
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class DeliverResult:
    """What became of the mails of one call."""

    sent_count: int
    delayed_count: int
    refused_count: int


async def deliver(
    pool: Pool,
    mailer: Mailer,
    letterhead: Letterhead,
    now: datetime | None = None,
    *,
    attempts_max: int = 20,
) -> DeliverResult:
    """Send what is due, a few mails at a time; `now` None means the database's clock.

    Ends early when a whole batch was delayed, since the server is then away: the next call
    tries again, and claims no more than one batch if it still is.
    """
    outcomes: Counter[MailState] = Counter()
    claim = timedelta(seconds=mailer.timeout_seconds + CLAIM_MARGIN_SECONDS)
    while outcomes.total() < MAILS_PER_CALL_MAX:
        async with connection(pool) as conn:
            due = await mails.claim_mails(conn, now=now, claim=claim, limit=SENDING_AT_ONCE_MAX)
        attempts = (_attempt(pool, mailer, letterhead, mail, now, attempts_max) for mail in due)
        # One mail's trouble must not cancel the dialogue of another: raise when all have ended.
        done = await asyncio.gather(*attempts, return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
            outcomes[outcome] += 1
        if set(done) <= {MailState.PENDING}:
            break
    return DeliverResult(
        sent_count=outcomes[MailState.SENT],
        delayed_count=outcomes[MailState.PENDING],
        refused_count=outcomes[MailState.REFUSED],
    )


async def _attempt(
    pool: Pool,
    mailer: Mailer,
    letterhead: Letterhead,
    mail: DueMail,
    now: datetime | None,
    attempts_max: int,
) -> MailState:
    try:
        if mail.attempt_count > attempts_max:
            raise MailRefused("given up: the last attempt ended without an outcome")
        await mailer.send(render(mail, letterhead))
    except InvalidInput as error:
        return await _fail(pool, mail, MailRefused(str(error)), now, attempts_max)
    except MailNotSent as error:
        return await _fail(pool, mail, error, now, attempts_max)
    async with connection(pool) as conn:
        await mails.mark_sent(conn, mail.id, now=now)
    log.info("mail_sent", mail_id=mail.id, attempt_count=mail.attempt_count)
    return MailState.SENT


async def _fail(
    pool: Pool, mail: DueMail, error: MailNotSent, now: datetime | None, attempts_max: int
) -> MailState:
    """Write down why, for people; the log has no text of the server, which may name people."""
    ends = error.permanent or mail.attempt_count >= attempts_max
    reason = one_line(f"{error.code} {error}" if error.code else str(error), ERROR_LENGTH_MAX)
    async with connection(pool) as conn:
        if ends:
            await mails.refuse_mail(conn, mail.id, attempt_count=mail.attempt_count, error=reason)
        else:
            await mails.postpone_mail(
                conn,
                mail.id,
                attempt_count=mail.attempt_count,
                now=now,
                wait=wait_before_retry(mail.attempt_count, _random.random()),
                error=reason,
            )
    state = MailState.REFUSED if ends else MailState.PENDING
    log.warning(
        "mail_refused" if ends else "mail_delayed",
        mail_id=mail.id,
        attempt_count=mail.attempt_count,
        code=error.code,
    )
    return state
