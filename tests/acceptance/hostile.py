"""A service whose every stored text was made to act, and what it answered, logged and mailed.

Each payload names a project and everything about it; the project `GATHERING` has them all as
resources, flavors and labels. What people store is tried with each payload, too.
"""

import asyncio
import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from yarl import URL

from os_credits.api.logs import HANDLER_NAME, configure_logs
from os_credits.decode import snappy
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_encode import encode_v1
from os_credits.domain.access import Scope
from os_credits.domain.text import is_blank
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import V1, now_ms
from tests.integration.mail_server import MailServer, mail_server
from tests.payloads import PAYLOADS, REFUSED

GATHERING = "gathering"
HOUR = timedelta(hours=1)
SECONDS_MAX = 60
AT_ONCE = asyncio.Semaphore(8)
NAME_LENGTH_MAX = 200
UNIT_LENGTH_MAX = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to one request; `route` is as the document has it, `kind` the payload's."""

    route: str
    kind: str
    status: int
    headers: tuple[tuple[str, str], ...]
    text: str

    @property
    def media_type(self) -> str:
        """Name what the body is."""
        return dict(self.headers).get("Content-Type", "").partition(";")[0]


@dataclass(slots=True)
class Scene:
    """Everything that a reader could see; `start` is the hour in which all was used."""

    url: str
    start: datetime
    meter_file: Path
    numbers: dict[str, int] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    refusals: list[Answer] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)


def printable(*, name: bool = False) -> dict[str, str]:
    """Give the payloads that people may store: as a reason, or as a name."""
    return {
        kind: text[:NAME_LENGTH_MAX]
        for kind, text in PAYLOADS.items()
        if text.isprintable() and not (name and is_blank(text))
    }


def meter_file(folder: Path) -> Path:
    """Write meters that have four payloads each: as metric, unit, description and label name.

    Fewer meters than payloads, since every answer reads them all.
    """
    parts = []
    for number, (metric, unit, description, label) in enumerate(_fours()):
        parts.append(
            f"""
[[meter]]
name = "hostile_{number}"
metric = {_toml(metric[:NAME_LENGTH_MAX])}
kind = "counter"
unit = {_toml(unit[:UNIT_LENGTH_MAX])}
description = {_toml(description)}
project_id = "project_id"
project_name = "project_name"
domain = "domain"
site = "site"
resource = "resource"
flavor = "flavor"
identity = [{_toml(label[:NAME_LENGTH_MAX])}]
max_rate = 100
[[price]]
meter = "hostile_{number}"
credits_per_unit = "1"
"""
        )
        parts += [
            f"""
[[price]]
meter = "hostile_{number}"
flavor = {_toml(text)}
credits_per_unit = "1"
"""
            for text in (metric, unit, description, label)
        ]
    path = folder / "hostile.toml"
    path.write_text("".join(parts))
    return path


def _fours() -> list[tuple[str, str, str, str]]:
    texts = iter(PAYLOADS.values())
    return list(zip(texts, texts, texts, texts, strict=True))


def _meter_of(text: str) -> tuple[str, str]:
    """Give the metric and the name of the identity label of the meter that has a payload."""
    metric, *_, label = next(four for four in _fours() if text in four)
    return metric[:NAME_LENGTH_MAX], label[:NAME_LENGTH_MAX]


def _toml(text: str) -> str:
    escaped = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08X}" for c in text)
    return f'"{escaped}"'


def _labels(text: str, **changed: str) -> dict[str, str]:
    names = ("project_id", "project_name", "domain", "site", "resource", "flavor")
    own = {name: changed.get(name, text) for name in names}
    metric, label = _meter_of(text)
    return own | {"__name__": metric, label: text, "note": text, text[:NAME_LENGTH_MAX]: text}


def _body(start: datetime, value: float, *, hours: int) -> bytes:
    """Write one sample of each series: counters that stand at `value` after so many hours."""
    time_ms = int((start + hours * HOUR).timestamp() * 1000)
    series = []
    for text in PAYLOADS.values():
        gathered = dict.fromkeys(("project_id", "project_name", "site", "domain"), GATHERING)
        for labels, factor in (
            (_labels(text), 1),
            (_labels(text, **gathered), 1),
            (_labels(text, **gathered, resource=f"{text}~"), 1000),  # suspect
        ):
            series.append((tuple(sorted(labels.items())), [(time_ms, value * factor)]))
    return encode_v1(series)


async def make_scene(url: str, folder: Path) -> Scene:
    """Store every payload in every field, then ask for everything that can be read."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 4 * HOUR
    scene = Scene(url, start, meter_file(folder))
    async with mail_server() as mails:
        settings = settings_for(
            url,
            meter_file=scene.meter_file,
            grace_period_seconds=0,
            mail_host="127.0.0.1",
            mail_port=mails.port,
            mail_from="Credits <credits@cloud.example>",
            public_url="https://credits.cloud.example",
            log_level="DEBUG",
        )
        async with running(settings) as service:
            with _logged(scene, "console"):
                await _push(service, _body(start, 0, hours=0))
                await _number(scene, service)
                await _store_as_people(scene, service)
                await _push(service, _body(start, 6, hours=1))
                await _wait_for_mails(mails)
                scene.mails = mails.received
                await _hand_in_wrongly(scene, service)
            with _logged(scene, "json"):
                await _hand_in_wrongly(scene, service)
                await _ask_wrongly(scene, service)
                await _read_everything(scene, service)
    return scene


@contextmanager
def _logged(scene: Scene, log_format: Any) -> Iterator[None]:
    """Keep what is logged meanwhile, in one of the two forms."""
    configure_logs("DEBUG", log_format)
    handler = next(one for one in logging.getLogger().handlers if one.get_name() == HANDLER_NAME)
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    try:
        yield
    finally:
        scene.logs[log_format] = written.getvalue()
        configure_logs("WARNING", log_format)


async def _push(service: Service, body: bytes) -> None:
    async with service.request(
        "POST", "/api/v1/write", key="ingest", headers=V1, data=body
    ) as response:
        assert response.status == 204, await response.text()
    await service.rated()


async def _number(scene: Scene, service: Service) -> None:
    """Find our numbers of the projects: by their cloud id, which is the payload itself."""
    async with service.request("GET", "/api/v1/projects?limit=1000", key="admin") as response:
        listed = (await response.json())["projects"]
    by_id = {one["external_id"]: one for one in listed}
    for kind, text in {**PAYLOADS, GATHERING: GATHERING}.items():
        assert by_id[text]["name"] == text
        scene.numbers[kind] = by_id[text]["id"]


# --- What people store


async def _store_as_people(scene: Scene, service: Service) -> None:
    gathering = f"/api/v1/projects/{GATHERING}"
    then = {"starts_at": "2001-01-01", "ends_at": "2001-01-02"}
    for place, (kind, text) in enumerate(PAYLOADS.items()):
        project = f"/api/v1/projects/%23{scene.numbers[kind]}"
        name, line = text[:NAME_LENGTH_MAX], text[:NAME_LENGTH_MAX]
        is_name, is_line = kind in printable(name=True), kind in printable()
        owner = {"email": f"owner-{place}@example.org", "name": "Ann"}
        hour = (scene.start - timedelta(hours=100 + place)).isoformat()
        key = f"grant-{place}"
        other = f"{text} by hand" if is_name else text
        for fits, method, path, body in (
            (is_name, "POST", "/api/v1/projects", {"name": other}),
            (is_name, "POST", "/api/v1/projects", {"name": kind, "site": text, "domain": text}),
            (is_name, "POST", "/api/v1/keys", {"name": name, "scopes": ["admin"]}),
            (is_line, "PUT", f"{project}/owners", {"owners": [{**owner, "name": line}]}),
            (is_line, "POST", f"{gathering}/exclusions", {**then, "reason": line}),
            (is_name, "POST", f"{gathering}/organisation",
             {"organisation": name, "valid_from": hour, "reason": line}),
            (is_line, "POST", f"{project}/grants",
             {"amount": "10", "reason": line, "idempotency_key": key}),
        ):  # fmt: skip
            await _store(scene, service, kind, (method, path, body), fits=fits)
        if not is_line:
            owners = {"owners": [owner]}
            await _store(scene, service, kind, ("PUT", f"{project}/owners", owners), fits=True)
            plain = {"amount": "10", "idempotency_key": key}
            await _store(scene, service, kind, ("POST", f"{project}/grants", plain), fits=True)


async def _store(
    scene: Scene, service: Service, kind: str, request: tuple[str, str, Any], *, fits: bool
) -> None:
    method, path, body = request
    key = "admin"
    answer = await _ask(service, path, kind, method=method, key=key, json=body)
    assert answer.status in ({200, 201} if fits else {400}), (kind, request, answer.text)
    if not fits:
        scene.refusals.append(answer)


async def _wait_for_mails(mails: MailServer) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while len(mails.received) < len(PAYLOADS):
            await asyncio.sleep(0.05)


# --- What is refused, and said of it


async def _hand_in_wrongly(scene: Scene, service: Service) -> None:
    """Provoke answers, examples and log lines that repeat what a sender wrote, broken or not."""
    one_site = await service.new_key(Scope.INGEST, sites=("elsewhere",))
    for kind, body in ({kind: text.encode() for kind, text in PAYLOADS.items()} | REFUSED).items():
        name = (b"__name__", b"m")
        series = [
            [name, (b"x", body)],
            [name, (body, b"1"), (body, b"2")],
            [(b"__name__", body), (b"__name__", body)],
            [(b"__name__", body), (b"x", b"")],
            [(b"__name__", body), (b"x", b"of a metric that nobody knows")],
        ]
        lines = (b"m,t=%b value=" % body, b"%b value=1 x" % body, b'm f="%b' % body)
        for path, key, headers, data in (
            ("/api/v1/write", "ingest", V1, _series(series)),
            ("/api/v1/write", one_site, V1, _body_of_one(kind)),
            ("/write", "ingest", {}, b"\n".join(lines)),
            ("/api/v2/write", "ingest", {}, b"\n".join(lines)),
        ):
            await _refuse(scene, service, kind, path, key=key, headers=headers, data=data)
        await _raw(scene, service, kind, body)
        scene.answers.append(await _ask(service, "/stats", kind, key="admin"))


def _body_of_one(kind: str) -> bytes:
    labels = tuple(sorted(_labels(PAYLOADS.get(kind, PAYLOADS["harmless"])).items()))
    return encode_v1([(labels, [(now_ms(), 1.0)])])


def _series(series: Iterable[Iterable[tuple[bytes, bytes]]]) -> bytes:
    """Write a remote write body whose labels may be anything."""
    request = proto.WriteRequest()
    for labels in series:
        pairs = [proto.Label(name=name, value=value) for name, value in labels]
        one = proto.TimeSeries(
            labels=[pair.SerializeToString() for pair in pairs],
            samples=[proto.Sample(timestamp=now_ms(), value=1.0)],
        )
        request.timeseries.append(one.SerializeToString())
    return snappy.compress(request.SerializeToString())


async def _ask_wrongly(scene: Scene, service: Service) -> None:
    """Provoke answers that repeat what stands in an address or in a JSON body."""
    for kind, text in PAYLOADS.items():
        for door in ("/write?precision=", "/api/v2/write?precision=", "/query?q="):
            await _refuse(scene, service, kind, door + quote(text), data=b"")
        for path in _mistaken_paths(text):
            scene.refusals.append(await _ask(service, path, kind, key="admin"))
        scene.refusals.append(
            await _ask(service, "/api/v1/keys", kind, method="POST", key="admin", json={text: 1})
        )


def _mistaken_paths(text: str) -> list[str]:
    name, query = quote(f"{text}?", safe=""), quote(text)
    return [
        f"/nowhere/{name}?x={query}",
        f"/api/v1/projects/{name}?site={query}&domain={query}",
        f"/api/v1/projects/{GATHERING}/explain?hour={query}",
        f"/api/v1/projects/{GATHERING}/explain?hour=2026-01-01&meter={query}",
        f"/api/v1/projects?after={query}&limit={query}",
        f"/api/v1/entries/{name}/explain",
        f"/api/v1/organisations/{name}/usage",
        f"/cost_per_hour?flavor={query}",
        f"/api/credits_history/{name}?start_date={query}",
        f"/credits_history/{name}",
        f"/credits_history/{GATHERING}?range={query}",
        f"/?after={query}",
    ]


async def _refuse(scene: Scene, service: Service, kind: str, path: str, **more: Any) -> None:
    key = more.pop("key", "ingest")
    answer = await _ask(service, path, kind, method="POST", key=key, **more)
    assert answer.status in {200, 204, 400, 422}, (kind, path, answer)
    scene.refusals.append(answer)


async def _raw(scene: Scene, service: Service, kind: str, text: bytes) -> None:
    """Send a request that no client would: the payload as it is, in path and header."""
    where = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = b"GET /x/%b HTTP/1.1\r\nHost: x\r\nUser-Agent: %b\r\nConnection: close\r\n\r\n"
    writer.write(head % (text, text))
    async with asyncio.timeout(SECONDS_MAX):
        scene.raw[kind] = await reader.read()
    writer.close()


# --- What is read


async def _read_everything(scene: Scene, service: Service) -> None:
    """Ask every documented GET route, of every project where it names one."""
    async with service.request("GET", "/openapi.json") as response:
        document = await response.json()
    asked = []
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        operation = operations["get"]
        needed = {one["name"] for one in operation.get("parameters", []) if one.get("required")}
        success = operation["responses"].get("200", {"content": {"application/json": {}}})
        for media_type in success.get("content", {"*/*": {}}):
            if not needed:
                asked.append(_ask(service, path, "", key="admin", headers={"Accept": media_type}))
            for kind in scene.numbers if needed else ():
                values = await _values_for(scene, service, kind)
                filled = _filled(path, needed, values)
                headers = {"Accept": media_type}
                asked.append(_ask(service, filled, kind, key="admin", headers=headers, route=path))
    scene.answers += await asyncio.gather(*asked)


_entries: dict[int, int] = {}


async def _values_for(scene: Scene, service: Service, kind: str) -> dict[str, str]:
    """Give a value for each parameter that a route may need; a new one must be added here."""
    number = scene.numbers[kind]
    if number not in _entries:
        path = f"/api/v1/projects/%23{number}/entries"
        async with service.request("GET", path, key="admin") as response:
            _entries[number] = (await response.json())["entries"][-1]["id"]
    text = PAYLOADS.get(kind, kind)
    # Browsers and clients take .. for a step, and #1 is a number of ours.
    by_name = f"#{number}" if text in {"..", "#1"} else text
    organisation = text[:NAME_LENGTH_MAX] if kind in printable(name=True) else "x"
    return {
        "project": by_name,
        "project_name": by_name,
        "entry_id": str(_entries[number]),
        "hour": f"{scene.start:%Y-%m-%dT%H:%MZ}",
        "flavor": text,
        "organisation": organisation if organisation != ".." else "#1",
    }


def _filled(path: str, needed: set[str], values: dict[str, str]) -> str:
    query = []
    for name in sorted(needed):
        value = quote(values[name], safe="")
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", value)
        else:
            query.append(f"{name}={value}")
    return f"{path}?{'&'.join(query)}" if query else path


async def _ask(
    service: Service,
    path: str,
    kind: str,
    *,
    method: str = "GET",
    key: str,
    route: str = "",
    **more: Any,
) -> Answer:
    async with (
        AT_ONCE,
        service.session.request(
            method,
            URL(service.url + path, encoded=True),
            headers={
                **more.pop("headers", {}),
                "Authorization": f"Bearer {service.keys.get(key, key)}",
            },
            **more,
        ) as response,
    ):
        headers = tuple(response.headers.items())
        body = await response.read()
        return Answer(route or path, kind, response.status, headers, body.decode())
