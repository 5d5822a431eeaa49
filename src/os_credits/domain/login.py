"""A login: an address and a password by which a person comes in, and the sessions that follow.

What a person may do is not stored with the login: it follows from the projects whose people name
the address, and from the organisations that it manages, at every request anew.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from os_credits.domain.access import Access, Scope
from os_credits.domain.person import Role, address_key
from os_credits.domain.text import is_blank
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

NAME_LENGTH_MAX = 200
PASSWORD_LENGTH_MIN = 12
PASSWORD_BYTES_MAX = 1024
# A session ends so long after it began, and so long after it was last used.
SESSION_LASTS = timedelta(days=7)
SESSION_IDLE = timedelta(hours=12)
# How exactly it is known when a session was last used.
SEEN_EVERY = timedelta(minutes=1)
# From the fifth failure in a row on an address waits, each time twice as long.
FAILURES_FREE = 4
LOCKED_MIN = timedelta(minutes=1)
LOCKED_MAX = timedelta(minutes=15)
# Failures that were longer ago than this are forgiven.
FAILURES_COUNT_FOR = timedelta(hours=24)
# How often one client, and one address, may try within the window.
TRIES_WINDOW = timedelta(minutes=5)
TRIES_MAX = 30
RESETS_WINDOW = timedelta(hours=1)
RESETS_MAX = 3
# How many sessions one login has at most; the longest unused one makes room.
SESSIONS_MAX = 50
AGENT_LENGTH_MAX = 200
# For how long attempts, and links that lead nowhere any more, are kept.
ATTEMPTS_KEPT = timedelta(days=7)
INVITATIONS_KEPT = timedelta(days=30)
_CSRF_PREFIX = b"os_credits csrf "
# Of the passwords that everybody tries first, those that are long enough to be taken at all.
_COMMON_TEXT = """
123456789012 1234567890123 12345678901234 123456789123 123123123123 111111111111 000000000000
987654321098 121212121212 112233445566 aaaaaaaaaaaa abcdefghijkl abcdefghijklm qwertyuiop123
qwertyuiop[] qwertyuiopas qwertyuiopasdf qwertyqwerty qwerty123456 qwerty1234567 1q2w3e4r5t6y
1qaz2wsx3edc zaq12wsxcde3 asdfghjkl123 asdfghjklzxcvbnm zxcvbnm12345 password1234 password12345
password123456 passwordpassword mypassword123 thisismypassword letmeinplease iloveyouforever
iloveyou1234 administrator administrator1 adminadminadmin adminpassword changemechangeme
changeme1234 welcome12345 welcomewelcome trustno1trustno1 correcthorsebatterystaple
passwort1234 passwort12345 passwortpasswort hallo1234567 oscreditsoscredits openstackopenstack
"""
_COMMON = frozenset(_COMMON_TEXT.split())


@dataclass(frozen=True, slots=True)
class Login:
    """A person who may log in; `language` is '' for what the browser asks for.

    Without a password nobody comes in by it until a link was followed.
    """

    id: int
    email: str
    name: str
    language: str
    is_administrator: bool
    has_password: bool
    disabled_at: datetime | None
    created_at: datetime

    @property
    def actor(self) -> str:
        """Name the person in the ledger and the audit log, never by address."""
        return f"{self.name} (login {self.id})" if self.name else f"login {self.id}"


@dataclass(frozen=True, slots=True)
class Session:
    """That a login is in use in one browser, and what it may do at this moment.

    `roles` are the person's parts in projects (by our number), `managed` the organisations that
    name it their manager, without those beneath.
    """

    id: int
    login: Login
    created_at: datetime
    expires_at: datetime
    access: Access
    roles: Mapping[int, Role]
    managed: frozenset[int]


@dataclass(frozen=True, slots=True)
class SeenSession:
    """A session as its owner sees it among others; never the token."""

    id: int
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What an address is named for: its parts in projects, and the organisations it manages.

    `tree_stamp` changes when what lies beneath an organisation may have changed.
    """

    roles: Mapping[int, Role]
    managed: frozenset[int]
    tree_stamp: tuple[int, int, datetime]


@dataclass(frozen=True, slots=True)
class Subtree:
    """Managed organisations with all beneath, and the projects (`#17`) that hang there now.

    `above` are the organisations beneath which any of these projects is, was or will be.
    """

    organisations: frozenset[int] = frozenset()
    projects: frozenset[str] = frozenset()
    above: frozenset[int] = frozenset()


def access_of_login(login: Login, roles: Mapping[int, Role], subtree: Subtree) -> Access:
    """Give what a person may do who has logged in."""
    if login.is_administrator:
        return Access(
            login.actor,
            frozenset({Scope.READ, Scope.ADMIN}),
            login_id=login.id,
            email=login.email,
            managed=None,
            organisations=None,
        )
    owned = [f"#{number}" for number, role in roles.items() if role is Role.OWNER]
    return Access(
        login.actor,
        frozenset({Scope.READ}),
        projects=subtree.projects.union(f"#{number}" for number in roles),
        login_id=login.id,
        email=login.email,
        managed=subtree.projects.union(owned),
        organisations=subtree.organisations,
        beneath=subtree.projects,
        above=subtree.above,
    )


def token_digest(token: str) -> bytes:
    """Hash a session's or a link's token for storing; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def csrf_of(token: str) -> str:
    """Give what a page must send back with a change, to show that it was ours.

    It follows from the session's token, and does not lead back to it.
    """
    return hashlib.sha256(_CSRF_PREFIX + token.encode()).hexdigest()


def email_digest(email: str) -> bytes:
    """Give what attempts keep of an address that may be nobody's."""
    return hashlib.sha256(address_key(email).encode()).digest()


def client_of(address: str) -> str:
    """Name whom a limit is for: whoever has one IPv6 address has its whole /64."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100] or "unknown"
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ip_network((known.packed[:8] + bytes(8), 64)))
    return str(known)


def prepared(password: str) -> bytes | None:
    """Give what is hashed of a password, however a keyboard composes it; None: it is none.

    No password is longer than what may be chosen.
    """
    if not _is_text(password):
        return None
    encoded = unicodedata.normalize("NFKC", password).encode()
    return encoded if len(encoded) <= PASSWORD_BYTES_MAX else None


def check_name(name: str) -> str:
    """Check a login's name, which may be ''; raises InvalidInput.

    It stands in the ledger for ever, so it may be no address.
    """
    name = name.strip()
    if not name.isprintable() or len(name) > NAME_LENGTH_MAX or (name and is_blank(name)):
        raise InvalidInput(f"at most {NAME_LENGTH_MAX} printable characters", where="name")
    if "@" in name:
        raise InvalidInput("must be a name, not an address", where="name")
    return name


def check_password(password: str, *, email: str, name: str) -> str:
    """Check a new password: long, not the person's own name, and not one that everybody tries.

    There are no rules on kinds of characters: they make passwords alike (NIST SP 800-63B).
    Raises InvalidInput.
    """
    if len(password) < PASSWORD_LENGTH_MIN:
        raise InvalidInput(f"at least {PASSWORD_LENGTH_MIN} characters", where="password")
    if prepared(password) is None:
        raise InvalidInput(f"at most {PASSWORD_BYTES_MAX} bytes of text", where="password")
    plain = password.strip().lower()
    own = {address_key(email), address_key(email).partition("@")[0], name.strip().lower()}
    if plain in own or plain in {one * 2 for one in own}:
        raise InvalidInput("must not be the name or the address", where="password")
    if plain in _COMMON or len(set(plain)) <= 2:  # noqa: PLR2004 - aaaa..., abab...
        raise InvalidInput("is one of those that are tried first", where="password")
    return password


def _is_text(text: str) -> bool:
    """Tell whether a text can be encoded: JSON can name half of a pair."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def locked_until(failures: Sequence[datetime]) -> datetime | None:
    """Give until when an address must wait after its failures since the last success.

    None: it need not. The newest failure comes last.
    """
    beyond = len(failures) - FAILURES_FREE
    if beyond <= 0:
        return None
    doublings = min(beyond - 1, 10)
    return failures[-1] + min(LOCKED_MIN * (1 << doublings), LOCKED_MAX)
