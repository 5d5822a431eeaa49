"""Ends projects: closes and reopens them, and writes what they hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from os_credits.domain.closing import Statement, closing_hour, summed_up
from os_credits.domain.notice import NoticeKind
from os_credits.domain.period import floor_hour
from os_credits.errors import Conflict
from os_credits.ledger.chain import EMPTY_ACCOUNT
from os_credits.store import (
    accounts,
    balances,
    batches,
    closings,
    entries,
    mails,
    notices,
    projects,
    rating_state,
    statements,
)
from os_credits.store.notices import NewNotice
from os_credits.store.pool import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from os_credits.domain.closing import Closing, ClosingRequest, StatementLine
    from os_credits.domain.mail import Addressing
    from os_credits.store.pool import Connection, Pool

# How many projects are looked for at once.
PAGE_PROJECTS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision about a project's end, and whether this very call made it."""

    closing: Closing
    created: bool


async def refuse_closed(conn: Connection, project_id: int) -> None:
    """Raise Conflict if a project is closed now; whoever calls holds the project's lock."""
    closing = (await closings.list_closed(conn, [project_id])).get(project_id)
    if closing is not None:
        since = _shown(closing.hour)
        raise Conflict(f"project #{project_id} is closed since {since}: reopen it first")


async def close(pool: Pool, request: ClosingRequest) -> Decided:
    """Close a project from an hour on; the same again changes nothing.

    Raises InvalidInput for an hour that is none or too far ahead, and Conflict where it is
    closed already from another hour, or for another reason.
    """
    async with transaction(pool) as conn:
        latest = await _locked(conn, request.project_id)
        hour = closing_hour(request.hour, await batches.read_now(conn))
        if latest is not None and latest.is_closed:
            is_same = latest.hour == hour or request.hour is None
            if is_same and latest.reason == request.reason:
                return Decided(latest, created=False)
            raise Conflict(
                f"the project is closed already, from {_shown(latest.hour)} on"
                f" ({latest.reason!r}): reopen it first"
            )
        closing = await closings.insert_closing(
            conn,
            project_id=request.project_id,
            is_closed=True,
            hour=hour,
            reason=request.reason,
            author=request.author,
        )
        return Decided(closing, created=True)


async def reopen(pool: Pool, project_id: int, *, reason: str, author: str) -> Decided:
    """Let a closed project go on; the same again changes nothing.

    Raises Conflict where it is not closed, or was reopened for another reason.
    """
    async with transaction(pool) as conn:
        latest = await _locked(conn, project_id)
        if latest is None or not latest.is_closed:
            if latest is not None and latest.reason == reason:
                return Decided(latest, created=False)
            raise Conflict("the project is not closed")
        closing = await closings.insert_closing(
            conn,
            project_id=project_id,
            is_closed=False,
            hour=floor_hour(await batches.read_now(conn)),
            reason=reason,
            author=author,
        )
        return Decided(closing, created=True)


async def _locked(conn: Connection, project_id: int) -> Closing | None:
    """Lock a project's account, so that nothing is granted meanwhile; gives its last decision."""
    await projects.lock_projects(conn, [project_id])
    return await closings.find_latest(conn, project_id)


def _shown(hour: datetime) -> str:
    return f"{hour:%Y-%m-%dT%H:%MZ}"


async def read_statement(conn: Connection, project_id: int) -> Statement:
    """Sum up a project's account: as its final statement did if there is one, else as it is now.

    Call it in a snapshot, or under the lock of rating and of the project.
    """
    closing = (await closings.list_decided(conn, [project_id])).get(project_id)
    final = None if closing is None else await statements.find_final(conn, closing.id)
    hour = None if closing is None else closing.hour
    sequence = None if final is None else final.sequence
    sums = await statements.sum_entries(conn, project_id, hour=hour, sequence=sequence)
    tallies = await statements.sum_tally(conn, project_id, hour=hour, is_final=final is not None)
    if final is None:
        head = (await entries.read_heads(conn, [project_id])).get(project_id, EMPTY_ACCOUNT)
        sequence, last_hash = head.sequence, head.hash
    else:
        sequence = final.sequence
        last_hash = await statements.read_hash(conn, project_id, sequence) or EMPTY_ACCOUNT.hash
    return Statement(
        project_id=project_id,
        closing=closing,
        final_at=None if final is None else final.created_at,
        lines=summed_up(one.line for one in [*sums, *tallies] if not one.is_after),
        after=summed_up(one.line for one in [*sums, *tallies] if one.is_after),
        sequence=sequence,
        hash=last_hash,
        as_of=await batches.read_now(conn),
    )


async def tell(pool: Pool, addressing: Addressing) -> int:
    """Write the final statements that are due, and tell of late usage; gives the notices.

    Each project is looked at again under its locks: any number of copies writes one notice of
    each kind per closing.
    """
    count = 0
    for due, write in ((statements.list_due, _tell_closed), (statements.list_late, _tell_late)):
        after_id = 0
        while True:
            async with connection(pool) as conn:
                found = await due(conn, after_id=after_id, limit=PAGE_PROJECTS_MAX)
            for project_id in found:
                async with transaction(pool) as conn:
                    count += await _tell_one(conn, project_id, due, write, addressing)
            if len(found) < PAGE_PROJECTS_MAX:
                break
            after_id = found[-1]
    return count


async def _tell_one(
    conn: Connection,
    project_id: int,
    due: Callable[..., Awaitable[list[int]]],
    write: Callable[[Connection, Statement, Addressing], Awaitable[None]],
    addressing: Addressing,
) -> bool:
    """Write one notice unless another copy has; nothing is rated or booked meanwhile."""
    await rating_state.lock(conn)
    await projects.lock_projects(conn, [project_id])
    if await due(conn, after_id=project_id - 1, limit=1) != [project_id]:
        return False
    await write(conn, await read_statement(conn, project_id), addressing)
    return True


async def _tell_closed(conn: Connection, statement: Statement, addressing: Addressing) -> None:
    """Write the final statement; its facts hold all of its figures, in credits, as texts."""
    facts = {
        "hour": None if statement.closing is None else _shown(statement.closing.hour),
        "as_of": statement.as_of.isoformat(timespec="seconds"),
        "sequence": statement.sequence,
        "hash": statement.hash.hex(),
        "lines": await _named(conn, statement.lines),
        "balance": f"{statement.balance:f}",
        "after": await _named(conn, statement.after),
        "used_after": f"{statement.used_after:f}",
    }
    await _write(conn, statement, NoticeKind.CLOSED, facts, addressing)


async def _tell_late(conn: Connection, statement: Statement, addressing: Addressing) -> None:
    facts = {
        "hour": None if statement.closing is None else _shown(statement.closing.hour),
        "as_of": statement.as_of.isoformat(timespec="seconds"),
        "after": await _named(conn, statement.after),
        "used_after": f"{statement.used_after:f}",
    }
    await _write(conn, statement, NoticeKind.LATE_USAGE, facts, addressing)


async def _named(conn: Connection, lines: Iterable[StatementLine]) -> list[dict[str, Any]]:
    """Write lines as plain JSON, meters and flavors by their names."""
    lines = list(lines)
    names = await accounts.read_names(
        conn,
        projects=[],
        meters=[one.meter_id for one in lines if one.meter_id is not None],
        flavors=[one.flavor_id for one in lines if one.flavor_id is not None],
    )
    return [
        {
            "kind": one.kind.value,
            "meter": None if one.meter_id is None else names["meter", one.meter_id],
            "flavor": None if one.flavor_id is None else names["flavor", one.flavor_id] or None,
            "credits": f"{one.credits:f}",
        }
        for one in lines
    ]


async def _write(
    conn: Connection,
    statement: Statement,
    kind: NoticeKind,
    facts: dict[str, Any],
    addressing: Addressing,
) -> None:
    balance = (await balances.read_balances(conn, [statement.project_id]))[statement.project_id]
    is_final = kind is NoticeKind.CLOSED
    [notice_id] = await notices.insert_notices(
        conn,
        [
            NewNotice(
                project_id=statement.project_id,
                kind=kind,
                value=statement.used_after,
                balance=statement.balance if is_final else statement.current,
                granted=balance.granted,
                created_at=statement.as_of,
                facts=facts,
                closing_id=None if statement.closing is None else statement.closing.id,
            )
        ],
    )
    await mails.insert_mails(
        conn, notice_ids=[notice_id], due_at=statement.as_of, addressing=addressing
    )
