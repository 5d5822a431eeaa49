"""Reads the tree of organisations, and keeps it until something else was said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.tree import Tree
from os_credits.store import places

if TYPE_CHECKING:
    from os_credits.store.places import Fingerprint
    from os_credits.store.pool import Connection

# Of so many states: an older snapshot, or another database, may have another one.
KEPT_MAX = 8
_kept: dict[Fingerprint, Tree] = {}


async def read_tree(conn: Connection) -> Tree:
    """Give the tree as this connection sees it; making one of thousands takes long."""
    now = await places.read_fingerprint(conn)
    tree = _kept.get(now)
    if tree is None:
        tree = Tree(await places.read_places(conn))
        # In a transaction that is no snapshot, others may have placed something between the two.
        if await places.read_fingerprint(conn) == now:
            while len(_kept) >= KEPT_MAX:
                _kept.pop(next(iter(_kept)))
            _kept[now] = tree
    return tree
