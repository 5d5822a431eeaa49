"""Logins: what a person may do, which passwords are taken, how long an address must wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from os_credits.domain.access import Scope
from os_credits.domain.login import (
    FAILURES_FREE,
    PASSWORD_BYTES_MAX,
    Login,
    Subtree,
    access_of_login,
    check_name,
    check_password,
    client_of,
    csrf_of,
    email_digest,
    locked_until,
    prepared,
    token_digest,
)
from os_credits.domain.person import Role
from os_credits.errors import InvalidInput

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = "a lake of violins"


def login(*, is_administrator: bool = False, name: str = "Ada Krause") -> Login:
    return Login(3, "ada@lab.example", name, "", is_administrator, True, None, NOON)


def test_nobody_is_named_by_address() -> None:
    assert login().actor == "Ada Krause (login 3)"
    assert login(name="").actor == "login 3"


def test_an_owner_manages_and_a_member_only_sees() -> None:
    access = access_of_login(login(), {7: Role.OWNER, 8: Role.MEMBER}, Subtree())

    assert access.projects == frozenset({"#7", "#8"})
    assert access.managed == frozenset({"#7"})
    assert (access.may_manage(7), access.may_manage(8), access.may_manage(9)) == (
        True,
        False,
        False,
    )
    assert access.scopes == {Scope.READ}
    assert not access.may_manage_organisation(1)


def test_a_manager_manages_everything_beneath_and_nothing_beside() -> None:
    subtree = Subtree(frozenset({4, 5}), frozenset({"#7"}))

    access = access_of_login(login(), {9: Role.MEMBER}, subtree)

    assert access.projects == frozenset({"#7", "#9"})
    assert access.managed == frozenset({"#7"})
    assert [access.may_manage_organisation(one) for one in (4, 5, 6)] == [True, True, False]


def test_an_administrator_may_do_everything() -> None:
    access = access_of_login(login(is_administrator=True), {}, Subtree())

    assert access.projects is None
    assert access.has(Scope.ADMIN)
    assert access.may_manage(1)
    assert access.may_manage_organisation(1)


def test_who_is_named_nowhere_sees_nothing() -> None:
    access = access_of_login(login(), {}, Subtree())

    assert (access.projects, access.managed, access.organisations) == (
        frozenset(),
        frozenset(),
        frozenset(),
    )


@pytest.mark.parametrize(
    "password", [GOOD, "x" * 3 + "yz" * 6, "пароль из слов", "🎻" * 6 + "lake 7"]
)
def test_long_passwords_are_taken_of_whatever_they_consist(password: str) -> None:
    assert check_password(password, email="ada@lab.example", name="Ada") == password


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevensigns",
        "ada@lab.example",
        "ADA@lab.example",
        "Ada Lovelace",
        "correcthorsebatterystaple",
        "Password1234",
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "x" * (PASSWORD_BYTES_MAX + 1),
        "ä" * (PASSWORD_BYTES_MAX // 2 + 1),
        "half a pair \ud83d",
    ],
)
def test_passwords_that_are_guessed_first_are_refused(password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_password(password, email="ada@lab.example", name="Ada Lovelace")

    assert caught.value.where == "password"


def test_a_password_is_the_same_however_a_keyboard_composes_it() -> None:
    assert prepared("Zürich im Regen") == prepared("Zu\u0308rich im Regen")
    assert prepared("half \ud83d") is None


@pytest.mark.parametrize(
    "failures, minutes", [(4, None), (5, 1), (6, 2), (7, 4), (8, 8), (9, 15), (500, 15)]
)
def test_an_address_waits_longer_with_each_failure(failures: int, minutes: int | None) -> None:
    times = [NOON + timedelta(seconds=one) for one in range(failures)]

    until = locked_until(times)

    assert until == (None if minutes is None else times[-1] + timedelta(minutes=minutes))
    assert locked_until([]) is None
    assert FAILURES_FREE == 4


@pytest.mark.parametrize("name", ["ada@lab.example", "a\nb", "x" * 201, "\u200b"])
def test_a_name_is_no_address_and_can_be_shown(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)


def test_a_name_loses_its_outer_blanks_and_may_be_none() -> None:
    assert check_name("  Ada Krause ") == "Ada Krause"
    assert check_name("") == ""


@pytest.mark.parametrize(
    "address, client",
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("testing", "testing"),
    ],
)
def test_limits_are_for_an_address_or_a_network_that_one_person_has(
    address: str, client: str
) -> None:
    assert client_of(address) == client


def test_what_is_stored_does_not_lead_back_to_a_token() -> None:
    assert len({token_digest("t"), token_digest("u"), csrf_of("t").encode()}) == 3
    assert csrf_of("t") == csrf_of("t") != csrf_of("u")
    assert token_digest("t").hex() != csrf_of("t")


def test_attempts_at_all_spellings_of_an_address_are_counted_together() -> None:
    assert email_digest("Ada@lab.example") == email_digest("aDA@LAB.example")
