"""Which key a request carries, and which projects an access may see."""

import base64

import pytest

from os_credits.api.auth import may_read, sent_key
from os_credits.domain.access import Access, Scope
from os_credits.domain.project import Project


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "headers,key",
    [
        ({}, None),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "BEARER   abc "}, "abc"),
        ({"Authorization": "Token abc"}, "abc"),
        ({"Authorization": "Token user:abc"}, "abc"),
        ({"Authorization": basic("user:abc")}, "abc"),
        ({"Authorization": basic("user:a:b")}, "a:b"),
        ({"Authorization": basic("no colon")}, None),
        ({"Authorization": basic("user:")}, None),
        ({"Authorization": "Basic %%%"}, None),
        ({"Authorization": "Basic " + base64.b64encode(b"u:\xff").decode()}, None),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "Token user:"}, None),
        ({"X-API-Key": " abc "}, "abc"),
        ({"X-API-Key": ""}, None),
        ({"Authorization": "Negotiate x", "X-API-Key": "abc"}, "abc"),
        ({"Authorization": "Bearer one", "X-API-Key": "two"}, "one"),
    ],
)
def test_the_key_is_found_in_every_form(headers: dict[str, str], key: str | None) -> None:
    assert sent_key(headers) == key


def project(number: int = 7, external_id: str = "id-7", name: str = "seven") -> Project:
    return Project(number, "site", external_id, "domain", name)


def reader(*projects: str) -> Access:
    return Access("k", frozenset({Scope.READ}), projects=frozenset(projects))


def test_a_key_without_limits_reads_every_project() -> None:
    assert may_read(Access("k", frozenset({Scope.READ})), project())
    assert may_read(Access("k", frozenset({Scope.ADMIN})), project())


def test_a_key_that_may_only_ingest_reads_nothing() -> None:
    assert not may_read(Access("k", frozenset({Scope.INGEST})), project())


@pytest.mark.parametrize("limit", ["#7", "id-7", "seven"])
def test_a_limited_key_reads_what_it_names(limit: str) -> None:
    assert may_read(reader("other", limit), project())


@pytest.mark.parametrize("limit", ["", "7", "#70", "ID-7", "seven ", "site", "domain"])
def test_a_limited_key_reads_nothing_else(limit: str) -> None:
    assert not may_read(reader(limit), project())


def test_no_sender_gets_into_a_limit_by_a_name_like_a_number() -> None:
    assert not may_read(reader("#8"), project(name="#8"))
    assert not may_read(reader("#8"), project(external_id="#8"))


def test_an_empty_cloud_id_opens_nothing() -> None:
    assert not may_read(reader(""), project(external_id=""))
