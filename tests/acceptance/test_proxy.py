"""Behind Debian's nginx, with TLS and below a path: what people and senders find there.

nginx runs the very file that `examples/` has. The service trusts 127.0.0.1 alone; the clients
come from other addresses of this machine.
"""

import asyncio
import io
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from aiohttp import ClientSession
from yarl import URL

from os_credits.domain.login import TRIES_MAX
from tests.acceptance.accounts import BOOK_AT_ONCE, HOUR_SECONDS, current_hour, server, vcpu
from tests.acceptance.conftest import Service
from tests.acceptance.nginx import BASE, NAME, Proxied, behind_nginx
from tests.acceptance.senders import SAMPLES, V1, V2, vcpu_v1, vcpu_v2
from tests.integration.mail_server import mail_server

ADA = "ada@example.org"
PASSWORD = "a lake of violins"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
# A name that must come through the proxy as it was written.
ODD = "a/b c%2F?d"
FORGED = {
    "X-Forwarded-For": "127.0.0.1",
    "X-Real-IP": "127.0.0.1",
    "Forwarded": "for=127.0.0.1;proto=http;host=evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "//evil.example",
}


@pytest.fixture
async def proxied(database_url: str, tmp_path: Path) -> AsyncIterator[Proxied]:
    """Give the service behind nginx, its compatibility reads open to this machine itself."""
    async with behind_nginx(
        database_url, tmp_path, open_compat_networks="127.0.0.1/32", **BOOK_AT_ONCE
    ) as one:
        yield one


def origin(proxied: Proxied) -> str:
    return proxied.url.removesuffix(BASE)


async def send(service: Service, method: str, path: str, body: Any) -> None:
    async with service.request(method, path, key="admin", json=body) as response:
        assert response.ok, await response.text()


async def with_usage(proxied: Proxied, project: str = "alpha") -> None:
    """Hand in two hours of usage through the proxy, as a sender that has the public address."""
    hour = current_hour() - 3 * HOUR_SECONDS
    lines = [vcpu(project, hour + HOUR_SECONDS * number, 10 * number) for number in range(3)]
    lines.append(server(project, hour, "s1", "m1.large"))
    async with (
        proxied.client() as client,
        client.post(
            f"{proxied.url}/write?precision=s",
            data="\n".join(lines),
            headers={"Authorization": f"Bearer {proxied.service.keys['ingest']}"},
        ) as response,
    ):
        assert response.status == 204, await response.text()
    await proxied.service.rated()


async def test_a_push_comes_through_with_its_key_and_its_headers(proxied: Proxied) -> None:
    headers = {**V2, "Authorization": f"Bearer {proxied.service.keys['ingest']}"}
    async with proxied.client() as client:
        url = f"{proxied.url}/api/v1/write"
        async with client.post(url, data=vcpu_v2(1, 2, 3), headers=headers) as response:
            assert (204, "3") == (response.status, response.headers[SAMPLES])
        async with client.post(url, data=vcpu_v1(1, 2), headers=V1) as response:
            assert response.status == 401
        headers = {"Authorization": headers["Authorization"]}
        url = f"{proxied.url}/write?precision=s"
        # Longer than the 1 MiB that nginx takes unless it is told.
        longer = "\n".join(vcpu("alpha", current_hour(), 1 + n / 64) for n in range(32_000))
        assert len(longer) > 2_000_000
        async with client.post(url, data=io.BytesIO(longer.encode()), headers=headers) as response:
            assert response.status == 204, await response.text()
        async with client.post(
            url, data=io.BytesIO(b"#" * 17_000_000), headers=headers
        ) as response:
            assert response.status == 413


async def test_nginx_leads_to_the_path_and_to_https(proxied: Proxied) -> None:
    async with proxied.client() as client:
        async with client.get(proxied.url, allow_redirects=False) as response:
            assert (308, f"{BASE}/") == (response.status, response.headers["Location"])
        async with client.get(proxied.plain_url + "/x?y=1", allow_redirects=False) as response:
            assert 308 == response.status
            assert response.headers["Location"].startswith("https://")
            assert response.headers["Location"].endswith("/x?y=1")


async def test_names_come_through_as_they_were_written(proxied: Proxied) -> None:
    await send(proxied.service, "POST", "/api/v1/projects", {"name": ODD, "site": "here"})
    headers = {"Authorization": f"Bearer {proxied.service.keys['read']}"}
    async with proxied.client() as client:
        url = URL(f"{proxied.url}/api/v1/projects/a%2Fb%20c%252F%3Fd", encoded=True)
        async with client.get(url, headers=headers) as response:
            assert response.status == 200, await response.text()
            assert ODD == (await response.json())["name"]


async def test_what_is_open_to_this_machine_is_not_open_to_those_behind_its_proxy(
    proxied: Proxied,
) -> None:
    await with_usage(proxied)
    direct = f"{proxied.service.url}/api/current_credits/alpha"
    async with proxied.client() as client:
        for headers in ({}, FORGED):
            url = f"{proxied.url}/api/current_credits/alpha"
            async with client.get(url, headers=headers) as response:
                assert response.status == 401, headers
            async with client.get(f"{proxied.url}/metrics", headers=headers) as response:
                assert response.status == 401, headers
        # From an address that is not open, past the proxy, with and without a claim.
        for headers in ({}, FORGED):
            async with client.get(direct, headers=headers) as response:
                assert response.status == 401, headers
    async with proxied.service.request("GET", "/api/current_credits/alpha") as response:
        assert response.status == 200
    # A second proxy on this machine, which would not tell who asks.
    for name, value in FORGED.items():
        async with proxied.service.request(
            "GET", "/api/current_credits/alpha", headers={name: value}
        ) as response:
            trusted_word = name in ("X-Forwarded-For", "Forwarded")
            assert response.status == (200 if trusted_word else 401), name


async def test_the_log_names_the_client_and_not_the_proxy(
    proxied: Proxied, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "os_credits.access"):
        async with proxied.client("127.0.0.9") as client:
            for path in ("/api/v1/projects", "/nothing/here"):
                async with client.get(proxied.url + path, headers=FORGED) as response:
                    assert response.status in {401, 404}

    said = [str(record.msg) for record in caplog.records if record.name == "os_credits.access"]
    assert len(said) == 2
    assert all("127.0.0.9" in line for line in said), said


async def test_the_document_names_the_public_address(proxied: Proxied) -> None:
    async with proxied.client() as client:
        async with client.get(f"{proxied.url}/openapi.json") as response:
            assert [{"url": proxied.url}] == (await response.json())["servers"]
        async with client.get(f"{proxied.url}/api/doc") as response:
            page = await response.text()
        for reference in re.findall(r'(?:href|src)="([^"]+)"', page):
            target = urljoin(f"{proxied.url}/api/doc", reference)
            async with client.get(target) as response:
                assert response.status == 200, target


async def test_links_in_mails_lead_through_the_proxy(database_url: str, tmp_path: Path) -> None:
    async with (
        mail_server() as mails,
        behind_nginx(
            database_url,
            tmp_path,
            mail_host="127.0.0.1",
            mail_port=mails.port,
            mail_from="credits@cloud.example",
            **BOOK_AT_ONCE,
        ) as proxied,
    ):
        await with_usage(proxied)
        owners = {"owners": [{"email": "ada@example.org", "name": "Ada"}]}
        await send(proxied.service, "PUT", "/api/v1/projects/alpha/owners", owners)
        given = {"amount": "21", "reason": "little", "idempotency_key": "k"}
        await send(proxied.service, "POST", "/api/v1/projects/alpha/grants", given)
        async with asyncio.timeout(20):
            while not mails.received:
                await asyncio.sleep(0.05)
        body = mails.received[0][1].get_body(("plain",))
        assert body is not None
        [link] = re.findall(rf"https://{NAME}\S+", body.get_content())

        assert link.startswith(f"{proxied.url}/credits_history/id%2Falpha")
        headers = {**HTML, "Authorization": f"Bearer {proxied.service.keys['read']}"}
        async with (
            proxied.client() as client,
            client.get(URL(link, encoded=True), headers=headers) as response,
        ):
            assert response.status == 200, await response.text()
            assert "alpha" in await response.text()


async def chosen(proxied: Proxied, client: ClientSession, email: str = ADA) -> None:
    """Let an administrator be invited, and choose a password at the link, through the proxy."""
    wish = {"email": email, "by_mail": False, "is_administrator": True}
    async with proxied.service.request("POST", "/api/v1/logins", key="admin", json=wish) as answer:
        link = (await answer.json())["invitation"]["link"]
    assert link.startswith(f"{proxied.url}/password/")
    token = link.rpartition("/")[2]
    url = f"{proxied.url}/api/v1/passwords"
    async with client.post(url, json={"token": token, "password": PASSWORD}) as response:
        assert response.status == 200, await response.text()


async def test_a_person_logs_in_by_the_form_and_out_again(proxied: Proxied) -> None:
    async with proxied.client() as client:
        await chosen(proxied, client)
        page = f"{proxied.url}/me"
        async with client.get(page, headers=HTML, allow_redirects=False) as response:
            assert (303, f"{BASE}/login?next=%2Fme") == (
                response.status,
                response.headers["Location"],
            )
        form = {"email": ADA, "password": PASSWORD, "next": "/me"}
        headers = {**HTML, **FORGED, "Origin": origin(proxied)}
        async with client.post(
            f"{proxied.url}/login", data=form, headers=headers, allow_redirects=False
        ) as response:
            assert (303, f"{BASE}/me") == (response.status, response.headers["Location"])
            [cookie] = response.headers.getall("Set-Cookie")
        assert {"Path=/credits", "Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))

        # The browser's own jar sends it back below the path, and the page knows the person.
        async with client.get(page, headers=HTML) as response:
            text = await response.text()
            assert (200, True) == (response.status, ADA in text), text
        [csrf] = set(re.findall(r'name="csrf" value="([^"]+)"', text))
        async with client.post(f"{proxied.url}/logout", data={"csrf": "x"}) as response:
            assert response.status == 403
        async with client.post(
            f"{proxied.url}/logout", data={"csrf": csrf}, headers=HTML, allow_redirects=False
        ) as response:
            assert response.status == 303
            assert response.headers["Location"].startswith(f"{BASE}/login")
        async with client.get(page, headers=HTML, allow_redirects=False) as response:
            assert response.status == 303


async def test_changes_need_the_token_and_our_own_origin(proxied: Proxied) -> None:
    async with proxied.client() as client:
        await chosen(proxied, client)
        session = f"{proxied.url}/api/v1/session"
        async with client.post(session, json={"email": ADA, "password": PASSWORD}) as response:
            csrf = (await response.json())["csrf"]
        meant = {"X-CSRF-Token": csrf}
        for headers, status in (
            ({}, 403),
            ({"X-CSRF-Token": "x" * 64}, 403),
            ({**meant, "Origin": "https://evil.example"}, 403),
            ({**meant, "Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, 403),
            ({**meant, "Sec-Fetch-Site": "cross-site"}, 403),
            ({**meant, "Origin": origin(proxied)}, 200),
        ):
            async with client.patch(session, json={"name": "Ada"}, headers=headers) as response:
                assert status == response.status, headers


async def test_nobody_is_sent_elsewhere_after_logging_in(proxied: Proxied) -> None:
    async with proxied.client() as client:
        await chosen(proxied, client)
        for target in ("//evil.example", "https://evil.example", "/\\evil.example", "\t//evil"):
            form = {"email": ADA, "password": PASSWORD, "next": target}
            async with client.post(
                f"{proxied.url}/login", data=form, headers=HTML, allow_redirects=False
            ) as response:
                assert (303, f"{BASE}/") == (response.status, response.headers["Location"])
        odd = URL(f"{proxied.url}//evil.example/%2e%2e", encoded=True)
        async with client.get(odd, headers=HTML, allow_redirects=False) as response:
            assert not response.headers.get("Location", "").startswith("//")


async def test_one_clients_failures_do_not_lock_out_another(proxied: Proxied) -> None:
    """Limits go by the client: a proxy's address would be everybody's."""
    url = f"{proxied.url}/api/v1/session"
    async with proxied.client("127.0.0.8") as stranger:
        statuses = set()
        for number in range(TRIES_MAX + 1):
            wrong = {"email": f"x{number}@example.org", "password": "wrong wrong wrong"}
            forged = {"X-Forwarded-For": f"198.51.100.{number}"}
            async with stranger.post(url, json=wrong, headers=forged) as response:
                statuses.add(response.status)
        assert {401, 429} == statuses
    async with proxied.client("127.0.0.9") as client:
        await chosen(proxied, client)
        async with client.post(url, json={"email": ADA, "password": PASSWORD}) as response:
            assert response.status == 200, await response.text()


async def test_every_address_on_a_page_lies_below_the_path(proxied: Proxied) -> None:
    await with_usage(proxied)
    headers = {**HTML, "Authorization": f"Bearer {proxied.service.keys['admin']}"}
    async with proxied.client() as client:
        for path in ("/", "/credits_history/alpha", "/credits_history/nobody"):
            address = proxied.url + path
            async with client.get(address, headers=headers) as response:
                page = await response.text()
            references = re.findall(r'(?:href|src|action)="([^"#]+)', page)
            assert references
            for reference in references:
                target = urlsplit(urljoin(address, reference.replace("&amp;", "&")))
                assert target.netloc == urlsplit(proxied.url).netloc, reference
                assert target.path.startswith(f"{BASE}/"), f"{reference} on {path}"
                async with client.get(target.geturl(), headers=headers) as response:
                    # In another language the page that is not there is not there either.
                    assert response.status == (404 if "nobody" in target.path else 200), reference
