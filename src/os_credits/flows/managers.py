"""Says who manages organisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.login import check_name
from os_credits.domain.mail import mail_address
from os_credits.domain.organisation import MANAGERS_MAX
from os_credits.errors import Conflict, NotFound
from os_credits.store import managers, places
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from os_credits.domain.organisation import Manager
    from os_credits.store.pool import Pool


async def put_manager(
    pool: Pool, organisation_id: int, *, email: str, name: str, author: str
) -> tuple[list[Manager], bool]:
    """Let an address manage an organisation; gives its managers, and whether this one is new.

    Raises InvalidInput, and Conflict where there are `MANAGERS_MAX` already.
    """
    address = mail_address(email.strip(), where="email")
    name = check_name(name)
    async with transaction(pool) as conn:
        await places.lock_tree(conn)
        is_new = await managers.put_manager(
            conn, organisation_id, email=address, name=name, author=author
        )
        known = await managers.list_managers(conn, organisation_id)
        if len(known) > MANAGERS_MAX:
            raise Conflict(f"an organisation has at most {MANAGERS_MAX} managers")
    return known, is_new


async def remove_manager(pool: Pool, organisation_id: int, email: str) -> list[Manager]:
    """Let an address manage an organisation no more; gives those left. Raises NotFound."""
    async with transaction(pool) as conn:
        if not await managers.delete_manager(conn, organisation_id, email):
            raise NotFound("this address does not manage this organisation")
        return await managers.list_managers(conn, organisation_id)
