"""A person who hears of projects, as owner or member, by address; and changes to many of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from os_credits.domain.mail import Language
from os_credits.domain.notice import NoticeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

# How many people hear of one project.
PEOPLE_MAX = 100
NAME_LENGTH_MAX = 1024
# What stands around an @, quoted for a URL or not: enough to recognise an address in any text.
_ADDRESS = re.compile(r"[^\s@'\"<>(),;:/?&=\[\]]{1,254}(?:@|%40)[^\s@'\"<>(),;:/?&=\[\]]{1,254}")


class Role(StrEnum):
    """What a person is to a project."""

    OWNER = "owner"
    """Answers for its budget, and hears of everything unless it says what it wants."""
    MEMBER = "member"
    """Works in it, and hears of what it asks for."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who hears of a project, of what, and how.

    `language` is '' for the service's own. `wants` None: an owner hears of everything, a member
    of nothing. With `digest` all that happens within a day comes in one mail.
    """

    email: str
    name: str = ""
    role: Role = Role.OWNER
    language: str = ""
    wants: tuple[NoticeKind, ...] | None = None
    digest: bool = False

    @property
    def key(self) -> str:
        """Give what tells addresses apart: spellings that differ in case are one address."""
        return address_key(self.email)

    def hears(self, kind: NoticeKind) -> bool:
        """Tell whether this person is told of notices of a kind."""
        return self.role is Role.OWNER if self.wants is None else kind in self.wants


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What is known of a person now; `fields` of `Person` that are not named stay as they are."""

    email: str
    fields: Mapping[str, Any]

    def of(self, before: Person | None) -> Person:
        """Give the person as it is from now on; None: nobody had this address before."""
        return replace(before or Person(self.email), email=self.email, **self.fields)


@dataclass(frozen=True, slots=True)
class PeopleChange:
    """What a list of changes makes of the people of one project."""

    people: tuple[Person, ...]
    added: tuple[Person, ...]
    changed: tuple[Person, ...]
    removed: tuple[Person, ...]

    @property
    def unchanged_count(self) -> int:
        """Count those who were there, just so, before."""
        return len(self.people) - len(self.added) - len(self.changed)


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """A person's part in one project, since when, as an export shows it."""

    project_id: int
    person: Person
    created_at: datetime


def address_key(email: str) -> str:
    """Give the text that all spellings of an address share; addresses are ASCII."""
    return email.lower()


def shown_name(person: Person) -> str:
    """Give a person's name for those who may not see addresses; '' where it is one, or missing."""
    return "" if "@" in person.name or "%40" in person.name else person.name


def change_people(
    before: Sequence[Person], changes: Iterable[PersonChange], *, only_these: bool
) -> PeopleChange:
    """Carry out changes; of several to one address the last counts.

    With `only_these`, who is not among them hears no more.
    """
    known = {person.key: person for person in before}
    after = {
        address_key(change.email): change.of(known.get(address_key(change.email)))
        for change in changes
    }
    kept = {} if only_these else known
    return PeopleChange(
        people=tuple({**kept, **after}.values()),
        added=tuple(one for key, one in after.items() if key not in known),
        changed=tuple(one for key, one in after.items() if key in known and one != known[key]),
        removed=tuple(one for key, one in known.items() if only_these and key not in after),
    )


def without_addresses(text: str) -> str:
    """Give a text with `<address>` in the place of whatever may be a mail address, for logs."""
    if "@" not in text and "%40" not in text:
        return text
    return _ADDRESS.sub("<address>", text)


def language_of(text: str) -> str:
    """Read a language's code, '' for the service's own; raises ValueError that names all."""
    text = text.strip().lower()
    if text and text not in set(Language):
        raise ValueError(f"must be empty or one of {', '.join(Language)}")
    return text


def role_of(text: str) -> Role:
    """Read a role, '' for an owner; raises ValueError that names all."""
    try:
        return Role(text.strip().lower() or Role.OWNER)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Role)}") from None


def wants_of(text: str) -> tuple[NoticeKind, ...] | None:
    """Read kinds of notices, divided by spaces, commas or bars.

    '' and `default` leave it to the role, `all` and `none` are what they say. Raises ValueError
    that names all kinds.
    """
    words = re.split(r"[\s,|]+", text.strip().lower())
    match words:
        case [""] | ["default"]:
            return None
        case ["none"]:
            return ()
        case ["all"]:
            return tuple(NoticeKind)
    if unknown := [word for word in words if word and word not in set(NoticeKind)]:
        raise ValueError(
            f"{unknown[0][:40]!r} is none of default, all, none, {', '.join(NoticeKind)}"
        )
    return tuple(kind for kind in NoticeKind if kind in words)


def digest_of(text: str) -> bool:
    """Read yes or no, '' for no; raises ValueError."""
    match text.strip().lower():
        case "yes" | "true" | "1":
            return True
        case "no" | "false" | "0" | "":
            return False
    raise ValueError("must be yes or no")


def name_of(text: str) -> str:
    """Check a name, which may be ''; raises ValueError for what a terminal could not show."""
    if not text.isprintable() or len(text) > NAME_LENGTH_MAX:
        raise ValueError(f"at most {NAME_LENGTH_MAX} printable characters")
    return text.strip()
