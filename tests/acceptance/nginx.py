"""Debian's nginx with TLS, by the very file that `examples/` has, in front of the service."""

import asyncio
import os
import pwd
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from scripts.ports import LOOPBACK, free_port
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.example_files import example
from tests.acceptance.needed import needed, running_program

NAME = "cloud.example"
BASE = "/credits"
# What /etc/nginx/nginx.conf of Debian has around the files of conf.d, in a folder of our own.
AROUND = """
daemon off;
worker_processes 1;
error_log stderr;
pid {folder}/nginx.pid;
user {user};
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/os_credits.conf;
}}
"""


class _Here(AbstractResolver):
    """Finds every name on this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=LOOPBACK, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Proxied:
    """The service, nginx before it, and where people find it."""

    service: Service
    url: str
    plain_url: str
    tls: ssl.SSLContext

    @asynccontextmanager
    async def client(self, address: str = "127.0.0.7") -> AsyncIterator[aiohttp.ClientSession]:
        """Give a browser's session on another address, which keeps cookies as browsers do."""
        async with aiohttp.ClientSession(connector=self.connector(address)) as session:
            yield session

    def connector(self, address: str = "127.0.0.7") -> aiohttp.TCPConnector:
        """Give connections from an address, to which every name is one of this machine."""
        return aiohttp.TCPConnector(ssl=self.tls, resolver=_Here(), local_addr=(address, 0))


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for `NAME` that nobody but this test trusts."""
    certificate, key = folder / "cloud.example.pem", folder / "cloud.example.key"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@asynccontextmanager
async def behind_nginx(database_url: str, folder: Path, **changes: Any) -> AsyncIterator[Proxied]:
    """Run service and proxy; `folder` holds the proxy's files."""
    certificate, key = _make_certificate(folder)
    port, plain_port = free_port(), free_port()
    url = f"https://{NAME}:{port}{BASE}"
    settings = settings_for(
        database_url, **{"public_url": url, "trusted_proxies": "127.0.0.1/32", **changes}
    )
    async with running(settings) as service:
        site = example(
            "nginx.conf",
            {
                "server 127.0.0.1:8080;": f"server {service.url.removeprefix('http://')};",
                "listen 443 ssl;": f"listen {LOOPBACK}:{port} ssl;",
                "listen 80;": f"listen {LOOPBACK}:{plain_port};",
                "/etc/ssl/certs/cloud.example.pem": str(certificate),
                "/etc/ssl/private/cloud.example.key": str(key),
            },
        )
        (folder / "os_credits.conf").write_text(site)
        user = pwd.getpwuid(os.geteuid()).pw_name
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
        command: list[str | Path] = [needed("nginx"), "-p", folder, "-c", folder / "nginx.conf"]
        tls = await asyncio.to_thread(ssl.create_default_context, cafile=str(certificate))
        plain_url = f"http://{LOOPBACK}:{plain_port}"
        proxied = Proxied(service, url, plain_url, tls)
        async with running_program(f"{url}/ping", command, folder, connector=proxied.connector()):
            yield proxied
