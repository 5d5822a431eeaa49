"""Who asks behind a proxy, and which of the headers that say so are believed."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from os_credits.api.forwarded import HOPS_MAX, Arrival, Arrivals

PUBLIC = "https://cloud.example/credits"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PROXIES = (ip_network("127.0.0.1/32"), ip_network("10.0.0.8/29"), ip_network("fd00::5/128"))


def arrival(
    *headers: tuple[str, str],
    peer: str | None = "127.0.0.1",
    public_url: str = PUBLIC,
) -> Arrival:
    return Arrivals(PROXIES, public_url).read(peer, CIMultiDict(headers))


@pytest.mark.parametrize(
    "chain, expected",
    [
        ("203.0.113.9", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.9, 10.0.0.10", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.9", "203.0.113.9"),
        ("garbage <script>, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:51234,fd00::5", "2001:db8::7"),
        ("fe80::7%eth0", "fe80::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9 , ::ffff:10.0.0.9", "203.0.113.9"),
        ("10.0.0.9", "10.0.0.9"),
    ],
)
def test_the_client_is_the_nearest_hop_that_is_no_proxy_of_ours(chain: str, expected: str) -> None:
    found = arrival(("X-Forwarded-For", chain))

    assert (expected, False, True) == (found.address, found.is_doubtful, found.came_through_proxy)


def test_several_headers_are_one_chain_in_their_order() -> None:
    found = arrival(("X-Forwarded-For", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9"))

    assert "203.0.113.9" == found.address


@pytest.mark.parametrize(
    "chain, expected",
    [
        ("203.0.113.9, unknown", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("203.0.113.9, _hidden, 10.0.0.9", "10.0.0.9"),
        ("203.0.113.9,", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("203.0.113.999", "127.0.0.1"),
        ("203.0.113.9:port", "127.0.0.1"),
        (", ".join(["203.0.113.9"] + ["10.0.0.9"] * HOPS_MAX), "10.0.0.9"),
    ],
)
def test_what_hides_the_client_leaves_a_proxy_that_nothing_is_open_to(
    chain: str, expected: str
) -> None:
    found = arrival(("X-Forwarded-For", chain))

    assert (expected, True) == (found.address, found.is_doubtful)
    assert not found.is_in((*LOOPBACK, *PROXIES))


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-For", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("X-FORWARDED-SERVER", "a"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("True-Client-IP", "127.0.0.1"),
    ],
)
@pytest.mark.parametrize("peer", ["127.0.0.2", "::1", "192.0.2.1"])
def test_from_a_peer_that_nobody_trusts_they_only_close_what_is_open_to_it(
    peer: str, header: tuple[str, str]
) -> None:
    here = (ip_network(peer),)
    found = arrival(header, ("Host", "credits.example"), peer=peer)

    assert arrival(peer=peer).is_in(here)
    assert not found.is_in((*LOOPBACK, *here))
    assert (peer, "", "http", False) == (
        found.address,
        found.base,
        found.scheme,
        found.came_through_proxy,
    )


def test_the_base_path_and_scheme_of_the_public_address_hold_for_what_a_proxy_passed_on() -> None:
    passed_on = arrival(("X-Forwarded-For", "203.0.113.9"))
    direct = arrival(("Host", "127.0.0.1:8080"))

    assert ("/credits", "https") == (passed_on.base, passed_on.scheme)
    assert ("", "http") == (direct.base, direct.scheme)
    assert direct.is_in(LOOPBACK)


def test_a_prefix_counts_only_where_no_public_address_is_set() -> None:
    headers = (("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Prefix", "/other/path/"))

    assert "/credits" == arrival(*headers).base
    assert "/other/path" == arrival(*headers, public_url="").base
    assert "" == arrival(*headers, public_url="https://cloud.example").base
    assert "" == arrival(*headers, public_url="", peer="192.0.2.1").base


@pytest.mark.parametrize(
    "prefix",
    [
        "//evil.example",
        "/a//b",
        "https://evil.example",
        "/a/../b",
        "/..",
        "/a b",
        "/a%2f",
        "\\evil",
        "/é",
        "/a;b",
        "/" + "a" * 300,
        "/",
        "/a?b",
        "/a\r\nSet-Cookie: x",
    ],
)
def test_a_prefix_that_is_no_plain_path_is_none(prefix: str) -> None:
    found = arrival(
        ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Prefix", prefix), public_url=""
    )

    assert "" == found.base


@pytest.mark.parametrize(
    "proto, public_url, scheme, is_secure",
    [
        ("https", "", "https", True),
        ("HTTPS", "", "https", True),
        ("http, https", "", "https", True),
        ("https, http", "", "http", False),
        ("http", PUBLIC, "http", True),
        ("gopher", PUBLIC, "https", True),
        ("gopher", "", "http", False),
        ("", "http://cloud.example", "http", False),
    ],
)
def test_cookies_are_for_https_if_the_nearest_proxy_or_the_public_address_says_so(
    proto: str, public_url: str, scheme: str, is_secure: bool
) -> None:
    found = arrival(
        ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", proto), public_url=public_url
    )

    assert (scheme, is_secure) == (found.scheme, found.is_secure)


def test_a_claim_of_https_by_a_stranger_is_not_believed() -> None:
    found = arrival(("X-Forwarded-Proto", "https"), peer="192.0.2.1", public_url="")

    assert not found.is_secure


def test_our_pages_stand_under_the_host_that_was_asked_the_proxys_and_the_public_one() -> None:
    asked = ("Host", "Backend:8080")
    told = ("X-Forwarded-Host", "evil.example, Cloud2.example:443")

    assert {"backend:8080", "cloud.example"} == arrival(asked).hosts
    assert {"backend:8080", "cloud2.example", "cloud.example"} == arrival(asked, told).hosts
    assert {"backend:8080"} == arrival(asked, told, peer="192.0.2.1", public_url="").hosts
    assert set() == arrival(("Host", "a b/<script>"), public_url="").hosts


@pytest.mark.parametrize(
    "value, address, scheme",
    [
        ("for=203.0.113.9;proto=https", "203.0.113.9", "https"),
        ('For="[2001:db8::7]:4711"; Proto=HTTPS ;by=10.0.0.9', "2001:db8::7", "https"),
        ('for=198.51.100.1, for="203.0.113.9";proto=http', "203.0.113.9", "http"),
        ('for="203.0.113\\.9"', "203.0.113.9", "http"),
    ],
)
def test_the_header_of_rfc_7239_is_read_too(value: str, address: str, scheme: str) -> None:
    found = arrival(("Forwarded", value), public_url="")

    assert (address, False, scheme) == (found.address, found.is_doubtful, found.scheme)


@pytest.mark.parametrize(
    "value", ["for=unknown", 'for="203.0.113.9', "203.0.113.9", "for=203.0.113.9,", "=;=", ""]
)
def test_what_rfc_7239_does_not_allow_says_nothing(value: str) -> None:
    found = arrival(("Forwarded", value))

    assert ("127.0.0.1", True) == (found.address, found.is_doubtful)


def test_rfc_7239_is_not_read_beside_the_headers_that_the_proxy_sets() -> None:
    forged = ("Forwarded", "for=127.0.0.1;proto=https;host=evil.example")
    found = arrival(forged, ("X-Forwarded-For", "203.0.113.9"), public_url="")

    assert ("203.0.113.9", "http", frozenset()) == (found.address, found.scheme, found.hosts)


def test_a_connection_without_an_address_is_in_no_network() -> None:
    found = arrival(peer=None)

    assert ("", True) == (found.address, found.is_doubtful)
    assert not found.is_in([ip_network("0.0.0.0/0"), ip_network("::/0")])


NAMES = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "Host", "Via"]
WORDS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(["for=", "127.0.0.1", '"', ",", ";", "[::1]", ":1", "/a", "..", " ", "\\"])
    ).map("".join),
)


@given(
    st.sampled_from([None, "127.0.0.1", "10.0.0.9", "192.0.2.1", "::1", "nonsense", "fe80::1%lo"]),
    st.lists(st.tuples(st.sampled_from(NAMES), WORDS), max_size=6),
)
def test_no_headers_break_it_and_strangers_gain_nothing(
    peer: str | None, headers: list[tuple[str, str]]
) -> None:
    found = arrival(*headers, peer=peer, public_url="")

    assert found.base == "" or found.base.startswith("/")
    assert "//" not in found.base
    if not found.came_through_proxy:
        assert ("", False) == (found.base, found.is_secure)
        assert arrival(peer=peer).address == found.address
