"""Gives organisations budgets, and tells what a project can use under all budgets above it.

Nothing of a budget is stored but its terms: what burned it is summed from charges at each
reading, so no push, booking or grant ever waits for the budgets above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.budget import (
    BudgetBalance,
    Level,
    Usable,
    first_start,
    started,
    usable_of,
)
from os_credits.domain.grant import GrantState
from os_credits.domain.instruction import digest_of
from os_credits.domain.lot import Burned, event_times
from os_credits.domain.period import floor_hour
from os_credits.domain.stretch import Stretches
from os_credits.domain.tree import FOREVER
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.organisations import read_spans
from os_credits.flows.tree import read_tree
from os_credits.ledger.burn_down import burn_down
from os_credits.store import (
    batches,
    budgets,
    lots,
    organisations,
    rating_state,
    span_sums,
)
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from os_credits.domain.balance import Balance
    from os_credits.domain.budget import Budget, BudgetRequest
    from os_credits.domain.lot import Lot
    from os_credits.domain.tree import Span
    from os_credits.store.pool import Connection


async def give_budget(pool: Pool, request: BudgetRequest) -> tuple[Budget, bool]:
    """Give an organisation a budget, once for each idempotency key; gives it, and if it is new.

    Raises InvalidInput for an amount that is not positive, Conflict for a key that stands for
    something else.
    """
    if request.amount <= 0:
        raise InvalidInput("must be more than 0", where="amount")
    digest = digest_of(request.action, request.organisation_id, request.content())
    async with transaction(pool) as conn:
        valid_from = request.terms.valid_from or floor_hour(await batches.read_now(conn))
        expires_at = request.terms.expires_at
        if expires_at is not None and expires_at <= valid_from:
            raise InvalidInput("must be to come", where="expires_at")
        made = await budgets.insert_budget(conn, request, valid_from=valid_from, digest=digest)
        found = made
        if found is None:
            found, known = await budgets.find_by_key(conn, request.idempotency_key)
            if known != digest:
                raise Conflict(
                    f"idempotency key {request.idempotency_key!r} was used for something else"
                )
        budget = await _find(conn, request.organisation_id, found)
    return budget, made is not None


async def _find(conn: Connection, organisation_id: int, budget_id: int) -> Budget:
    found = await budgets.list_budgets(conn, organisation_id, after_id=budget_id - 1, limit=1)
    if not found or found[0].id != budget_id:
        raise NotFound(f"this organisation has no budget {budget_id}")
    return found[0]


async def void_budget(
    pool: Pool, organisation_id: int, budget_id: int, *, reason: str, author: str
) -> tuple[Budget, bool]:
    """Take back a budget of which nothing is burned; gives it, and whether this call did it.

    Raises NotFound for one of another organisation, Conflict where some of it is burned or it
    has ended.
    """
    async with transaction(pool) as conn:
        await rating_state.lock(conn)
        budget = await _find(conn, organisation_id, budget_id)
        if budget.is_void:
            return budget, False
        if budget.state_at(await batches.read_now(conn)) is GrantState.EXPIRED:
            raise Conflict("it has ended, so it cannot be taken back")
        if budget.fate_in(await read_burned(conn, organisation_id)).burned_micro:
            raise Conflict("some of it is burned, so it cannot be taken back")
        is_new = await budgets.insert_void(conn, budget_id, reason=reason, author=author)
        return await _find(conn, organisation_id, budget_id), is_new


async def read_burned(conn: Connection, organisation_id: int) -> Burned:
    """Tell what became of an organisation's budgets that have started."""
    found = await read_budget_balances(conn, [organisation_id])
    return found[organisation_id].burned if found else Burned((), 0)


async def read_budget_balances(
    conn: Connection, organisation_ids: Collection[int]
) -> dict[int, BudgetBalance]:
    """Give the balance of each of these organisations that has a budget that has started.

    Use it in a snapshot: it reads several times. The work follows the hours beneath them.
    """
    now = await batches.read_now(conn)
    running = started(await budgets.read_lots(conn, organisation_ids), now)
    if not running:
        return {}
    tree = await read_tree(conn)
    periods = {node: (first_start(of_node), FOREVER) for node, of_node in running.items()}
    spans = await read_spans(conn, tree, periods)
    used = await _sum_used(conn, running, spans)
    names = await organisations.name_organisations(conn, list(running))
    return {
        node: BudgetBalance(names[node], burn_down(of_node, used[node], now), now)
        for node, of_node in running.items()
    }


async def _sum_used(
    conn: Connection, running: Mapping[int, tuple[Lot, ...]], spans: Mapping[int, Sequence[Span]]
) -> dict[int, list[int]]:
    """Sum what was used beneath each organisation between the events of its budgets."""
    wanted = Stretches()
    ids = {node: wanted.add(spans[node], event_times(of_node)) for node, of_node in running.items()}
    sums = await span_sums.sum_stretches(conn, wanted)
    return {node: [sums.get(one, 0) for one in of_node] for node, of_node in ids.items()}


async def usable(conn: Connection, balances: Mapping[int, Balance]) -> dict[int, Usable]:
    """Tell of each project, by its balance, what it can use; use it in a snapshot.

    The project itself counts if it ever had a lot that has started, an organisation above it
    now if it has a budget that has. Raises nothing.
    """
    ids = list(balances)
    now = await batches.read_now(conn)
    paths = await organisations.path_of(conn, ids, now)
    own = started(await lots.read_lots(conn, ids), now)
    above = await read_budget_balances(conn, {one for path in paths.values() for one in path})
    return {
        project_id: usable_of(
            balance.current, _levels(project_id in own, balance, paths.get(project_id, ()), above)
        )
        for project_id, balance in balances.items()
    }


def _levels(
    has_own: bool, balance: Balance, path: Sequence[int], above: Mapping[int, BudgetBalance]
) -> list[Level]:
    own = [Level(None, balance.current)] if has_own else []
    limiting = (above[one] for one in path if one in above)
    return own + [Level(one.organisation, one.balance) for one in limiting]
