"""API keys: made, shown once, found by their hash, revoked.

A key limited to a project holds our own number of it (`#17`) where the project is known when
the key is made, so that no later renaming lets it see another one. A project that was not seen
yet is held by the name or cloud id as given.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from os_credits.domain.access import KEY_PREFIX, Access, Scope, key_digest
from os_credits.domain.text import is_blank
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.projects import resolve_project
from os_credits.store import keys
from os_credits.store.pool import Connection, Pool, connection, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.keys import KeyRecord

ADOPTED_KEY_NAME = "OS_CREDITS_ADMIN_KEY"
NAME_LENGTH_MAX = 200
LIMITS_MAX = 1000
# A revoked key is refused by every copy of the service after this time at the latest.
REMEMBERED_SECONDS = 3.0
REMEMBERED_MAX = 1000

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What a new key shall be for; None for projects, sites or meters means all of them."""

    name: str
    scopes: frozenset[Scope]
    projects: tuple[str, ...] | None = None
    sites: tuple[str, ...] | None = None
    meters: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what could not mean anything."""
        if not self.name.isprintable() or not 0 < len(self.name) <= NAME_LENGTH_MAX:
            raise InvalidInput(f"1 to {NAME_LENGTH_MAX} printable characters", where="name")
        if is_blank(self.name):
            raise InvalidInput("must not be blank", where="name")
        if not self.scopes:
            raise InvalidInput("name at least one of ingest, read, admin", where="scopes")
        self._check_limit("projects", self.projects, Scope.READ)
        self._check_limit("sites", self.sites, Scope.INGEST)
        self._check_limit("meters", self.meters, Scope.INGEST)

    def _check_limit(self, where: str, limit: tuple[str, ...] | None, scope: Scope) -> None:
        if limit is None:
            return
        if scope not in self.scopes or Scope.ADMIN in self.scopes:
            raise InvalidInput(f"only a key with {scope.value} and no admin has it", where=where)
        if not 0 < len(limit) <= LIMITS_MAX or not all(one and one.isprintable() for one in limit):
            raise InvalidInput(f"1 to {LIMITS_MAX} printable texts, or none at all", where=where)


async def create_key(pool: Pool, request: KeyRequest) -> tuple[KeyRecord, str]:
    """Store a new key's hash; give the record and the key itself, which nobody can read again."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    async with transaction(pool) as conn:
        limited_to = request.projects and await _numbered(conn, request.projects)
        record = await keys.insert_key(
            conn,
            name=request.name,
            digest=key_digest(key),
            scopes=sorted(request.scopes),
            projects=limited_to,
            sites=request.sites,
            meters=request.meters,
        )
    return record, key


async def adopt_admin_key(pool: Pool, key: str) -> None:
    """Let a key that was chosen in the settings administer the service, blank for none.

    Only its hash is stored, once. A key that was revoked stays revoked, and one that the
    settings named before stays good until it is.
    """
    if not key:
        return
    async with transaction(pool) as conn:
        is_new = await keys.insert_key_once(
            conn, name=ADOPTED_KEY_NAME, digest=key_digest(key), scopes=[Scope.ADMIN]
        )
        access = await keys.find_access(conn, key_digest(key))
    if is_new:
        log.info("admin key adopted", action="adopt_key")
    elif access is None:
        log.warning("the admin key of the settings was revoked: it stays so", action="adopt_key")
    elif not access.has(Scope.ADMIN):
        log.warning("the admin key of the settings exists, without admin", action="adopt_key")


async def list_keys(pool: Pool) -> list[KeyRecord]:
    """Give every key that was ever made, without the keys themselves."""
    async with connection(pool) as conn:
        return await keys.list_keys(conn)


async def revoke_key(pool: Pool, key_id: int) -> KeyRecord:
    """Refuse a key from now on; a second time changes nothing. Raises NotFound."""
    async with transaction(pool) as conn:
        record = await keys.revoke_key(conn, key_id)
    if record is None:
        raise NotFound(f"there is no key {key_id}")
    return record


async def _numbered(conn: Connection, names: Sequence[str]) -> list[str]:
    """Replace names and cloud ids by our own numbers; not yet seen ones stay as they are."""
    numbered = []
    for name in names:
        try:
            numbered.append(f"#{(await resolve_project(conn, name)).id}")
        except NotFound:
            if name.startswith("#"):
                raise
            numbered.append(name)
    return numbered


class KeyRing:
    """Finds what a key may do, and remembers it for a few seconds."""

    def __init__(self) -> None:
        """Start with nothing remembered."""
        self._remembered: dict[bytes, tuple[Access, float]] = {}
        self._used: dict[int, float] = {}

    def forget(self) -> None:
        """Ask the database again for every key, as after a key was revoked."""
        self._remembered.clear()

    async def find(self, pool: Pool, key: str) -> Access | None:
        """Give what a key may do; None if it is unknown or revoked. Raises Unavailable."""
        if not key.isascii():
            return None
        digest = key_digest(key)
        access, until = self._remembered.get(digest, (None, 0.0))
        now = time.monotonic()
        if access is not None and now < until:
            self._used[access.key_id] = now
            return access
        self._remembered.pop(digest, None)
        async with connection(pool) as conn:
            access = await keys.find_access(conn, digest)
        if access is not None:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[digest] = (access, time.monotonic() + REMEMBERED_SECONDS)
            self._used[access.key_id] = now
        return access

    def take_uses(self) -> dict[int, float]:
        """Give when each key (by id) was last used since this was asked, by `time.monotonic`."""
        used, self._used = self._used, {}
        return used
