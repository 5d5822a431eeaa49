"""Carries out what people and portals tell accounts to do, once for each idempotency key.

Everything here runs under the lock of rating and then of the projects concerned: what a grant
pays for, and whether anything of it is burned, is judged with all usage that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING

from os_credits.domain.allowance import AllowanceEnd, AllowanceRequest, floor_month
from os_credits.domain.grant import Grant, GrantRequest
from os_credits.domain.instruction import Adjustment, TopUp, Transfer, Void, digest_of
from os_credits.domain.lot import LotKind
from os_credits.domain.period import floor_hour
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.append import append
from os_credits.flows.burn import read_burned, settle_expiries
from os_credits.flows.closing import refuse_closed
from os_credits.flows.lots import begin, give_months, start_lot
from os_credits.flows.notice import rearm, tell_before_lift
from os_credits.ledger.posting import (
    draft_of_adjustment,
    draft_of_lot,
    draft_of_transfer,
    draft_of_void,
)
from os_credits.store import (
    allowances,
    balances,
    batches,
    grants,
    instructions,
    projects,
    rating_state,
)
from os_credits.store.instructions import Effect
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.balance import Balance
    from os_credits.domain.entry import EntryDraft
    from os_credits.domain.instruction import Instruction
    from os_credits.flows.notice import Watch
    from os_credits.store.instructions import StoredInstruction
    from os_credits.store.pool import Connection

# How many months of an allowance that began in the past are given at once.
PAST_MONTHS_MAX = 120


@dataclass(frozen=True, slots=True)
class Done:
    """What an instruction made, the balance after it, and whether it was this very call."""

    effect: Effect
    balance: Balance
    created: bool


async def instruct(pool: Pool, instruction: Instruction, watch: Watch) -> Done:
    """Carry out an instruction, once for each idempotency key.

    The same key with other content raises Conflict; so does what the account does not allow.
    Lines of `watch` that the balance rises above may be told again.
    """
    async with transaction(pool) as conn:
        digest = digest_of(instruction.action, instruction.project_id, instruction.content())
        known = await _known(conn, instruction, digest)
        if known is None:
            await rating_state.lock(conn)
            # Another call with this key may have ended while the lock was waited for.
            known = await _known(conn, instruction, digest)
        effect = known.effect if known else await _carry_out(conn, instruction, digest, watch)
        account = await balances.read_balances(conn, [instruction.project_id])
    return Done(effect, account[instruction.project_id], created=known is None)


async def _known(
    conn: Connection, instruction: Instruction, digest: bytes
) -> StoredInstruction | None:
    key = instruction.idempotency_key
    known = await instructions.find_instruction(conn, key)
    if known is not None and known.digest != digest:
        raise Conflict(f"idempotency key {key!r} was used for something else")
    return known


async def _carry_out(
    conn: Connection, instruction: Instruction, digest: bytes, watch: Watch
) -> Effect:
    """Do it, in the order that all share: lock, tell what has happened so far, append, re-arm."""
    project_ids = sorted({instruction.project_id, *_others(instruction)})
    await projects.lock_projects(conn, project_ids)
    for project_id in _receivers(instruction):
        await refuse_closed(conn, project_id)
    now = await batches.read_now(conn)
    # What has begun or ended a moment ago has, even if the clock's own step comes later.
    await begin(conn, now, watch, project_ids)
    await settle_expiries(conn, project_ids, now)
    before = await tell_before_lift(conn, project_ids, watch)
    effect = await _do(instruction, conn, now)
    await instructions.insert_instruction(
        conn,
        idempotency_key=instruction.idempotency_key,
        action=instruction.action,
        digest=digest,
        project_id=instruction.project_id,
        effect=effect,
    )
    await settle_expiries(conn, project_ids, now)
    await rearm(conn, before, watch)
    return effect


def _receivers(instruction: Instruction) -> Sequence[int]:
    """Name who gets credits that a closed project is refused; adjustments are not among them."""
    if isinstance(instruction, GrantRequest | TopUp | AllowanceRequest):
        return [instruction.project_id]
    return _others(instruction)


def _others(instruction: Instruction) -> Sequence[int]:
    return [instruction.to_project_id] if isinstance(instruction, Transfer) else []


@singledispatch
async def _do(instruction: Instruction, conn: Connection, now: datetime) -> Effect:
    # Only a programmer can get here: each kind of instruction registers what it does below.
    raise NotImplementedError(type(instruction))


@_do.register(GrantRequest)
async def _give(request: GrantRequest, conn: Connection, now: datetime) -> Effect:
    terms = request.terms
    start = terms.valid_from or floor_hour(now)
    if terms.expires_at is not None and terms.expires_at <= start:
        raise InvalidInput("must be to come", where="expires_at")
    if await grants.has_key(conn, request.idempotency_key):
        raise Conflict(f"idempotency key {request.idempotency_key!r} was used by an opening")
    grant_id = await grants.insert_grant(
        conn,
        project_id=request.project_id,
        kind=LotKind.GRANT,
        amount=request.amount,
        reason=request.reason,
        author=request.author,
        valid_from=start,
        expires_at=terms.expires_at,
        priority=terms.priority,
        idempotency_key=request.idempotency_key,
    )
    return Effect(grant_id=grant_id, entry_id=await start_lot(conn, grant_id, now))


@_do.register(TopUp)
async def _top_up(request: TopUp, conn: Connection, now: datetime) -> Effect:
    grant = await _find_grant(conn, request.project_id, request.grant_id)
    if grant.is_void or (grant.expires_at is not None and grant.expires_at <= now):
        raise Conflict(f"grant {grant.id} is over: give a new one")
    grant_id = await grants.insert_grant(
        conn,
        project_id=grant.project_id,
        kind=LotKind.GRANT,
        amount=request.amount,
        reason=request.reason,
        author=request.author,
        valid_from=max(grant.valid_from, floor_hour(now)),
        expires_at=grant.expires_at,
        priority=grant.priority,
        tops_up=grant.id,
    )
    return Effect(grant_id=grant_id, entry_id=await start_lot(conn, grant_id, now))


@_do.register(Adjustment)
async def _adjust(request: Adjustment, conn: Connection, now: datetime) -> Effect:
    if request.amount < 0:
        [entry_id] = await append(conn, [draft_of_adjustment(request, now)])
        return Effect(entry_id=entry_id)
    if request.amount == 0:
        raise InvalidInput("must not be 0", where="amount")
    grant_id = await grants.insert_grant(
        conn,
        project_id=request.project_id,
        kind=LotKind.ADJUSTMENT,
        amount=request.amount,
        reason=request.reason,
        author=request.author,
        valid_from=floor_hour(now),
    )
    return Effect(grant_id=grant_id, entry_id=await start_lot(conn, grant_id, now))


@_do.register(Transfer)
async def _transfer(request: Transfer, conn: Connection, now: datetime) -> Effect:
    balance = (await balances.read_balances(conn, [request.project_id]))[request.project_id]
    if balance.current < request.amount:
        raise Conflict(f"only {balance.current:f} credits are left")
    start = floor_hour(now)
    if request.expires_at is not None and request.expires_at <= start:
        raise InvalidInput("must be to come", where="expires_at")
    grant_id = await grants.insert_grant(
        conn,
        project_id=request.to_project_id,
        kind=LotKind.TRANSFER,
        amount=request.amount,
        reason=request.reason,
        author=request.author,
        valid_from=start,
        expires_at=request.expires_at,
    )
    transfer_id = await grants.insert_transfer(conn, request, grant_id=grant_id)
    [lot] = await grants.find_grants(conn, [grant_id])
    drafts: list[EntryDraft] = [draft_of_transfer(request, transfer_id, now), draft_of_lot(lot)]
    ids = await append(conn, sorted(drafts, key=lambda draft: draft.project_id))
    entry_id = ids[0 if request.project_id < request.to_project_id else 1]
    return Effect(grant_id=grant_id, transfer_id=transfer_id, entry_id=entry_id)


@_do.register(Void)
async def _void(request: Void, conn: Connection, now: datetime) -> Effect:
    grant = await _find_grant(conn, request.project_id, request.grant_id)
    if grant.is_void:
        raise Conflict(f"grant {grant.id} was taken back already")
    if grant.kind is not LotKind.GRANT:
        raise Conflict(f"grant {grant.id} is of kind {grant.kind.value}: adjust the account")
    if grant.expires_at is not None and grant.expires_at <= now:
        raise Conflict(f"grant {grant.id} has expired")
    burned = await read_burned(conn, [grant.project_id], now)
    # A grant that waits may be the only one.
    states = burned[grant.project_id].states if burned else ()
    used = next((one.burned_micro for one in states if one.lot.id == grant.id), 0)
    if used:
        raise Conflict(f"something of grant {grant.id} is burned: adjust the account instead")
    await grants.insert_void(conn, request)
    if await grants.delete_pending(conn, grant.id):
        return Effect(grant_id=grant.id)
    [entry_id] = await append(conn, [draft_of_void(grant, request, now)])
    return Effect(grant_id=grant.id, entry_id=entry_id)


@_do.register(AllowanceRequest)
async def _allow(request: AllowanceRequest, conn: Connection, now: datetime) -> Effect:
    oldest = floor_month(now).replace(year=now.year - PAST_MONTHS_MAX // 12)
    if request.first_month < oldest:
        raise InvalidInput(f"more than {PAST_MONTHS_MAX} months ago", where="first_month")
    allowance_id = await allowances.insert_allowance(conn, request)
    for allowance in await allowances.list_allowances(conn, [request.project_id]):
        if allowance.id == allowance_id:
            await give_months(conn, allowance, now)
    return Effect(allowance_id=allowance_id)


@_do.register(AllowanceEnd)
async def _end(request: AllowanceEnd, conn: Connection, now: datetime) -> Effect:
    del now
    found = await allowances.list_allowances(conn, [request.project_id])
    allowance = next((one for one in found if one.id == request.allowance_id), None)
    if allowance is None:
        raise NotFound(f"there is no allowance {request.allowance_id} of this project")
    if request.end_month < allowance.granted_until:
        until = f"{allowance.granted_until:%Y-%m}"
        raise Conflict(f"months before {until} are given already: end it from there on")
    if allowance.end_month is not None and allowance.end_month <= request.end_month:
        raise Conflict(f"it ends with {allowance.end_month:%Y-%m} already")
    if not await allowances.end_allowance(conn, request):
        raise Conflict(f"allowance {allowance.id} was ended once already")
    return Effect(allowance_id=allowance.id)


async def _find_grant(conn: Connection, project_id: int, grant_id: int) -> Grant:
    found = await grants.find_grants(conn, [grant_id])
    if not found or found[0].project_id != project_id:
        raise NotFound(f"there is no grant {grant_id} of this project")
    return found[0]
