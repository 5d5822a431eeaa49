"""Follows a portal: what it grants more becomes a grant, what it takes back an adjustment.

A question costs no lock. Each change of a project has a number, and its instruction the key
`portal:{project}:{number}`: whoever is killed between the instruction and the count of it leaves
an instruction that the next one finds and counts, whatever the portal answers by then.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from random import SystemRandom
from typing import TYPE_CHECKING

import structlog

from os_credits.domain.portal import AUTHOR
from os_credits.domain.text import legible
from os_credits.errors import Conflict, PortalSilent, Unavailable
from os_credits.flows.accounts import instruct
from os_credits.notify.backoff import wait_before_retry
from os_credits.store import portal as store
from os_credits.store.pool import connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from os_credits.collect.portal import Portal
    from os_credits.domain.grant import GrantRequest
    from os_credits.domain.instruction import Adjustment
    from os_credits.domain.portal import PortalAccount
    from os_credits.flows.notice import Watch
    from os_credits.store.pool import Pool

# How many questions run at once, and how many one run asks at most.
ASKING_AT_ONCE_MAX = 4
QUESTIONS_PER_RUN_MAX = 200
NEW_PROJECTS_MAX = 1000
# What a claim lasts beyond the portal's own time-out: the instruction and the marking.
CLAIM_MARGIN_SECONDS = 60
ERROR_LENGTH_MAX = 200
# So much of the interval is left to chance, so that projects do not stay in step.
SPREAD = 0.1
_random = SystemRandom()

log = structlog.get_logger(__name__)


class PortalFollower:
    """Asks one portal for all projects, each once in an interval; any number of copies may run."""

    def __init__(
        self, pool: Pool, connect: Callable[[], Portal], watch: Watch, *, interval: timedelta
    ) -> None:
        """Take how to reach the portal; `watch` says which lines grants may lift balances above."""
        self._pool = pool
        self._connect = connect
        self._watch = watch
        self._interval = interval
        self._outages = 0
        self._quiet_until = 0.0

    async def run(self) -> int:
        """Ask for the projects that are due; gives how many answers there were.

        When the portal itself is away, the run ends with Unavailable, and those that follow ask
        nothing for a growing time.
        """
        if time.monotonic() < self._quiet_until:
            return 0
        async with connection(self._pool) as conn:
            await store.admit_projects(conn, limit=NEW_PROJECTS_MAX)
        answers = 0
        async with self._connect() as portal:
            claim = timedelta(seconds=portal.timeout_seconds + CLAIM_MARGIN_SECONDS)
            for _ in range(QUESTIONS_PER_RUN_MAX // ASKING_AT_ONCE_MAX):
                async with connection(self._pool) as conn:
                    due = await store.claim_projects(conn, claim=claim, limit=ASKING_AT_ONCE_MAX)
                if not due:
                    break
                answers += await self._ask_all(portal, due)
        return answers

    async def _ask_all(self, portal: Portal, due: list[PortalAccount]) -> int:
        asked = await asyncio.gather(
            *(self._ask(portal, account) for account in due), return_exceptions=True
        )
        outage = next((one for one in asked if _is_outage(one)), None)
        if outage is None:
            self._outages = 0
        else:
            self._outages += 1
            wait = wait_before_retry(self._outages, _random.random())
            self._quiet_until = time.monotonic() + wait.total_seconds()
        # One project's trouble must not stop another: raise when all have ended.
        for account, one in zip(due, asked, strict=True):
            if isinstance(one, PortalSilent | Conflict):
                await self._fail(account, one)
            elif isinstance(one, BaseException):
                raise one
        if outage is not None:
            raise Unavailable(f"the portal {outage}")
        return sum(one is None for one in asked)

    async def _ask(self, portal: Portal, account: PortalAccount) -> None:
        if account.is_ambiguous:
            raise PortalSilent("is not asked: several projects have this name", of_all=False)
        async with connection(self._pool) as conn:
            change = await store.find_change(
                conn, account.project_id, account.change_key, author=AUTHOR
            )
            if change is not None:
                await store.add_change(
                    conn, account.project_id, change_count=account.change_count, change=change
                )
        if change is not None:
            account = account.after(change)
        answer = await portal.granted(account.name)
        await self._follow(account, account.change_to(answer))

    async def _follow(
        self, account: PortalAccount, instruction: GrantRequest | Adjustment | None
    ) -> None:
        if instruction is not None:
            await instruct(self._pool, instruction, self._watch)
            log.info("portal_followed", project_id=account.project_id)
        wait = self._interval * (1 - SPREAD * _random.random())
        async with connection(self._pool) as conn:
            if instruction is not None:
                await store.add_change(
                    conn,
                    account.project_id,
                    change_count=account.change_count,
                    change=instruction.amount,
                )
            await store.mark_answered(conn, account.project_id, wait=wait)

    async def _fail(self, account: PortalAccount, error: PortalSilent | Conflict) -> None:
        """Write down why, for people; the log has no text of the portal.

        An outage says nothing about the project, which is asked again when the portal is.
        """
        is_outage = _is_outage(error)
        failures = account.failure_count + (not is_outage)
        wait = wait_before_retry(self._outages if is_outage else failures, _random.random())
        if not is_outage:
            wait = max(wait, self._interval * (1 - SPREAD * _random.random()))
        log.warning("portal_silent", project_id=account.project_id, outage=is_outage)
        async with connection(self._pool) as conn:
            await store.mark_failed(
                conn,
                account.project_id,
                failure_count=failures,
                wait=wait,
                error=legible(str(error))[:ERROR_LENGTH_MAX],
            )


def _is_outage(outcome: object) -> bool:
    return isinstance(outcome, PortalSilent) and outcome.of_all
