"""Who hears of what, what a list changes about people, and what of a text is an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import (
    Person,
    PersonChange,
    Role,
    change_people,
    digest_of,
    language_of,
    name_of,
    role_of,
    wants_of,
    without_addresses,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ADA = Person("ada@lab.example", "Ada", wants=(NoticeKind.CLOSED,), language="de")
BOB = Person("Bob@lab.example", "Bob", role=Role.MEMBER)


@pytest.mark.parametrize(
    "person,heard",
    [
        (Person("a@b.example"), set(NoticeKind)),
        (Person("a@b.example", role=Role.MEMBER), set()),
        (ADA, {NoticeKind.CLOSED}),
        (Person("a@b.example", wants=()), set()),
        (Person("a@b.example", role=Role.MEMBER, wants=(NoticeKind.DAYS,)), {NoticeKind.DAYS}),
    ],
)
def test_owners_hear_of_everything_and_members_of_what_they_name(
    person: Person, heard: set[NoticeKind]
) -> None:
    assert heard == {kind for kind in NoticeKind if person.hears(kind)}


def test_what_a_change_does_not_name_stays() -> None:
    done = change_people(
        [ADA, BOB], [PersonChange("ADA@lab.example", {"name": "Ada L."})], only_these=False
    )

    [changed] = done.changed
    assert changed == Person("ADA@lab.example", "Ada L.", wants=ADA.wants, language="de")
    assert done.people == (changed, BOB)
    assert (done.added, done.removed, done.unchanged_count) == ((), (), 1)


def test_the_same_list_again_changes_nothing() -> None:
    changes = [
        PersonChange("bob@LAB.example", {"name": "Bob"}),
        PersonChange("new@lab.example", {}),
    ]
    first = change_people([ADA], changes, only_these=True)

    again = change_people(first.people, changes, only_these=True)

    assert first.removed == (ADA,)
    assert len(first.added) == 2
    assert (again.added, again.changed, again.removed) == ((), (), ())
    assert again.people == first.people


def test_only_with_these_is_anybody_removed() -> None:
    change = [PersonChange(ADA.email, {})]

    assert (BOB,) == change_people([ADA, BOB], change, only_these=True).removed
    assert () == change_people([ADA, BOB], change, only_these=False).removed


@pytest.mark.parametrize(
    "text,wants",
    [
        ("", None),
        (" default ", None),
        ("none", ()),
        ("ALL", tuple(NoticeKind)),
        ("burn, percent", (NoticeKind.PERCENT, NoticeKind.BURN)),
        ("late_usage|closed  closed", (NoticeKind.CLOSED, NoticeKind.LATE_USAGE)),
    ],
)
def test_kinds_are_read_in_any_order_and_manner(
    text: str, wants: tuple[NoticeKind, ...] | None
) -> None:
    assert wants == wants_of(text)


@pytest.mark.parametrize(
    "read,text",
    [
        (wants_of, "everything"),
        (wants_of, "percent none"),
        (role_of, "boss"),
        (language_of, "fr"),
        (digest_of, "perhaps"),
        (name_of, "two\nlines"),
        (name_of, "\x1b[2J"),
        (name_of, "n" * 1025),
    ],
)
def test_a_value_that_is_none_is_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"must|at most|is none of"):
        read(text)


@pytest.mark.parametrize(
    "text,shown",
    [
        ("nothing here", "nothing here"),
        ("550 <ada@lab.example> unknown", "550 <<address>> unknown"),
        ("/api/v1/people/ada%40lab.example?x=1", "/api/v1/people/<address>?x=1"),
        ("'a.b+c@x', d@y", "'<address>', <address>"),
        ("alone @ twelve", "alone @ twelve"),
    ],
)
def test_a_text_is_given_without_addresses(text: str, shown: str) -> None:
    assert shown == without_addresses(text)


def test_a_long_text_is_searched_quickly() -> None:
    assert without_addresses("a" * 200_000 + " @") == "a" * 200_000 + " @"
