"""Sends what is due on a channel, and decides from each failure when to try again.

Each channel has its own job, so that one that hangs holds up no other. A mail is claimed in a
short transaction by moving its next attempt into the future, sent with no connection held, and
marked afterwards. A process that dies in between leaves a claim that runs out, so its mail goes
out at most once more, with the same Message-ID.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from secrets import SystemRandom
from typing import TYPE_CHECKING

import structlog

from os_credits.domain.mail import MailState
from os_credits.errors import InvalidInput, MailNotSent, MailRefused
from os_credits.notify.backoff import wait_before_retry
from os_credits.notify.headers import one_line
from os_credits.store import mails
from os_credits.store.pool import connection

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.mail import DueMail
    from os_credits.notify.outlet import Outlet
    from os_credits.store.pool import Pool

log = structlog.get_logger(__name__)

# How many dialogues run at once, hence how many mails a dead server can hold at a time.
SENDING_AT_ONCE_MAX = 4
MAILS_PER_CALL_MAX = 200
# What nobody could send for so long is no news any more: whether the channel was not set up, or
# its server was away. Longer than all attempts of the default settings take.
AGE_MAX = timedelta(days=7)
GIVEN_UP_PER_CALL_MAX = 1000
# What a claim lasts beyond the outlet's own time-out: rendering, goodbye and marking.
CLAIM_MARGIN_SECONDS = 30
# As much of a server's answer as is kept.
ERROR_LENGTH_MAX = 200
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class DeliverResult:
    """What became of what was due, in one call."""

    sent_count: int
    delayed_count: int
    refused_count: int


async def deliver(
    pool: Pool,
    outlet: Outlet,
    now: datetime | None = None,
    *,
    attempts_max: int = 20,
) -> DeliverResult:
    """Send what is due on the outlet's channel, a few at a time.

    `now` None means the database's clock. Ends early when a whole batch was delayed, since the
    server is then away: the next call tries again, and claims no more than one batch if it
    still is.
    """
    outcomes: Counter[MailState] = Counter()
    claim = timedelta(seconds=outlet.timeout_seconds + CLAIM_MARGIN_SECONDS)
    while outcomes.total() < MAILS_PER_CALL_MAX:
        async with connection(pool) as conn:
            due = await mails.claim_mails(
                conn,
                outlet.channel,
                now=now,
                claim=claim,
                age_max=AGE_MAX,
                limit=SENDING_AT_ONCE_MAX,
            )
        attempts = (_attempt(pool, outlet, mail, now, attempts_max) for mail in due)
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


async def give_up(pool: Pool, now: datetime | None = None) -> int:
    """Refuse what is too old to be sent, on every channel; give how much it was.

    So nothing waits for ever where a channel is not set up, and a service that is given a mail
    server later does not begin with notices of last month.
    """
    async with connection(pool) as conn:
        count = await mails.give_up_mails(
            conn, now=now, age_max=AGE_MAX, limit=GIVEN_UP_PER_CALL_MAX
        )
    if count:
        log.warning("mails_given_up", count=count, age_days=AGE_MAX.days)
    return count


async def _attempt(
    pool: Pool, outlet: Outlet, mail: DueMail, now: datetime | None, attempts_max: int
) -> MailState:
    try:
        if mail.attempt_count > attempts_max:
            raise MailRefused("given up: the last attempt ended without an outcome")
        await outlet.send(mail)
    except InvalidInput as error:
        return await _fail(pool, mail, MailRefused(str(error)), now, attempts_max)
    except MailNotSent as error:
        return await _fail(pool, mail, error, now, attempts_max)
    async with connection(pool) as conn:
        await mails.mark_sent(conn, mail.id, now=now)
    log.info(
        "mail_sent", channel=mail.channel.value, mail_id=mail.id, attempt_count=mail.attempt_count
    )
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
        channel=mail.channel.value,
        mail_id=mail.id,
        attempt_count=mail.attempt_count,
        code=error.code,
    )
    return state
