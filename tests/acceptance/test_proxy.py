"""Behind Debian's nginx, with TLS and below a path: what people and senders find there.

nginx runs the very file that `examples/` has. The service trusts 127.0.0.1 alone; the clients
come from other addresses of this machine.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from yarl import URL

from tests.acceptance.accounts import BOOK_AT_ONCE, HOUR_SECONDS, current_hour, server, vcpu
from tests.acceptance.conftest import Service
from tests.acceptance.nginx import BASE, NAME, Proxied, behind_nginx
from tests.acceptance.senders import SAMPLES, V1, V2, vcpu_v1, vcpu_v2
from tests.integration.mail_server import mail_server

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
        async with client.post(url, data=longer, headers=headers) as response:
            assert response.status == 204, await response.text()
        async with client.post(url, data=b"#" * 17_000_000, headers=headers) as response:
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
        async with proxied.client() as client:
            async with client.get(URL(link, encoded=True), headers=headers) as response:
                assert response.status == 200, await response.text()
                assert "alpha" in await response.text()


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
                    assert response.status == 200, f"{reference} on {path}"
