"""Says what flavors are made of: vCPUs, memory and disk, for people and for usage by host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.errors import InvalidInput
from os_credits.store import flavor_specs, flavors
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.domain.flavor import FlavorSpec
    from os_credits.store.flavor_specs import StoredSpec
    from os_credits.store.pool import Connection


async def set_spec(pool: Pool, flavor: str, spec: FlavorSpec, *, author: str) -> StoredSpec:
    """Say what a flavor is made of, whether it was seen before or not; the same again is nothing.

    It changes no credit. Raises InvalidInput for the empty name.
    """
    if not flavor:
        raise InvalidInput("must not be blank", where="flavor")
    async with transaction(pool) as conn:
        await flavor_specs.lock_specs(conn)
        flavor_id = (await flavors.ensure_flavors(conn, [flavor]))[flavor]
        known = await flavor_specs.read_specs(conn)
        if flavor_id not in known or known[flavor_id] != spec:
            await flavor_specs.insert_spec(conn, flavor_id, spec, author=author)
        stored = await flavor_specs.list_specs(conn)
    return next(one for one in stored if one.flavor_id == flavor_id)


async def unsaid_specs(
    conn: Connection, specs: Mapping[str, FlavorSpec], *, author: str
) -> dict[str, FlavorSpec]:
    """Give those specs of a file that do not hold, but for what somebody else has set."""
    stored = {one.flavor: one for one in await flavor_specs.list_specs(conn)}
    return {
        name: spec
        for name, spec in specs.items()
        if name not in stored
        or (stored[name].author in (None, author) and stored[name].spec != spec)
    }


async def seed_specs(conn: Connection, specs: Mapping[str, FlavorSpec], *, author: str) -> None:
    """Let the specs of a file hold, but for flavors of which somebody else has set one."""
    await flavor_specs.lock_specs(conn)
    unsaid = await unsaid_specs(conn, specs, author=author)
    flavor_ids = await flavors.ensure_flavors(conn, unsaid)
    for name, spec in unsaid.items():
        await flavor_specs.insert_spec(conn, flavor_ids[name], spec, author=author)
