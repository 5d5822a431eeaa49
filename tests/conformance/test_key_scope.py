"""A key feeds only what it may, by whatever door and however it is asked (invariant I-12)."""

import asyncio
import base64
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import psycopg

from os_credits.domain.access import Scope
from tests.acceptance import stored
from tests.acceptance.conftest import Service, running, settings_for
from tests.conformance.answers import fresh_key, full_second_ms, store_keys
from tests.conformance.doors import DOORS, STORING, VCPU, Door, Point, Reply, push
from tests.conformance.figures import say
from tests.conformance.forged import FOREIGN, MB, SITE, Forged, forgeries, write
from tests.conformance.raw import connected, head

WRONG_KEY_ROUNDS = 25
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks: a key, and what it may feed; None for sites or meters means all of them."""

    name: str
    key: str | None
    may_push: bool = True
    sites: tuple[str, ...] | None = None
    meters: tuple[str, ...] | None = None

    def may_feed(self, forged: Forged, door: Door) -> bool:
        """Tell whether a sample must be stored."""
        fed = forged.feeds(door)
        if fed is None or not self.may_push:
            return False
        meter, site = fed
        return (self.sites is None or site in self.sites) and (
            self.meters is None or meter in self.meters
        )

    @property
    def is_limited(self) -> bool:
        """Tell whether it may push, but not everything."""
        return self.sites is not None or self.meters is not None


async def holders_of(service: Service) -> list[Holder]:
    """Make a key of every kind."""
    limits = ((SITE,), None), (None, (MB,)), ((SITE,), (VCPU,))
    limited = [
        Holder(
            f"limited {number}",
            await service.new_key(Scope.INGEST, sites=sites, meters=meters),
            sites=sites,
            meters=meters,
        )
        for number, (sites, meters) in enumerate(limits)
    ]
    return [
        *limited,
        Holder("read only", service.keys["read"], may_push=False),
        Holder("revoked", await revoked_key(service), may_push=False),
        Holder("unknown", fresh_key(), may_push=False),
        Holder("none", None, may_push=False),
        Holder("unlimited", service.keys["ingest"]),
        Holder("admin", service.keys["admin"]),
    ]


async def revoked_key(service: Service) -> str:
    """Make a key and revoke it."""
    key = fresh_key()
    await store_keys(service.settings.database_url, [key])
    with psycopg.connect(service.settings.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE api_key SET revoked_at = now() WHERE id = (SELECT max(id) FROM api_key)"
        )
    return key


@dataclass(slots=True)
class Scopes:
    """What was tried, and what must be stored in the end."""

    service: Service
    start_ms: int = field(default_factory=full_second_ms)
    cells: int = 0
    wanted: dict[stored.SamplePlace, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    async def forge(self, holder: Holder, door: Door, *, owner: str, seconds: int) -> None:
        """Send all forgeries at once, each of a project that only `owner` feeds otherwise."""
        time_ms = self.start_ms + seconds * 1000
        samples = [
            (forged, f"{owner} {door.name} {number}", time_ms)
            for number, forged in enumerate(forgeries(door), 1)
        ]
        reply = await push(self.service, door, write(door, samples), key=holder.key)
        for number, (forged, project, _) in enumerate(samples, 1):
            self.cells += 1
            fed = forged.feeds(door)
            if fed is not None and holder.may_feed(forged, door):
                self.wanted[fed[0], project, "", time_ms] = float(number)
        status = {"none": 401, "unknown": 401, "revoked": 401, "read only": 403}.get(holder.name)
        if status is None:
            status = 422 if door.name == "write v2" else 400
        if reply.status != status:
            self.wrong.append(f"{holder.name}, {door.name}: {reply.status} {reply.text[:200]}")


async def projects_of(url: str) -> set[str]:
    return {name for (name,) in await stored.query(url, "SELECT external_id FROM project")}


async def labelled_projects(url: str) -> set[str]:
    rows = await stored.query(url, "SELECT DISTINCT labels ->> 'project_id' FROM label_set")
    return {name for (name,) in rows}


async def test_no_forged_label_feeds_a_site_or_meter_that_the_key_may_not(
    database_url: str,
) -> None:
    async with running(settings_for(database_url)) as service:
        scopes, holders = Scopes(service), await holders_of(service)
        for holder in holders:  # the limited ones first: nothing of it was ever seen
            await asyncio.gather(
                *(scopes.forge(holder, door, owner=holder.name, seconds=0) for door in STORING)
            )
        for seconds, holder in enumerate(holders, 1):  # and now what is known to belong to others
            await asyncio.gather(
                *(
                    scopes.forge(holder, door, owner="unlimited", seconds=seconds)
                    for door in STORING
                )
            )
        await service.rated()
    say("I-12, forged labels", cells=scopes.cells, stored=len(scopes.wanted))
    assert not scopes.wrong, "\n".join(scopes.wrong)
    assert await stored.samples(database_url) == scopes.wanted
    fed = {project for _, project, _, _ in scopes.wanted}
    assert await projects_of(database_url) == fed
    assert await labelled_projects(database_url) == fed


async def test_a_refusal_does_not_tell_whether_a_foreign_project_exists(
    database_url: str,
) -> None:
    async with running(settings_for(database_url)) as service:
        holders = [one for one in await holders_of(service) if one.is_limited or not one.may_push]
        at_ms = full_second_ms()
        there = Point("there", at_ms, 1.0, site=FOREIGN)
        for door in STORING:
            assert (await push(service, door, door.write([there]))).status == 204
        await service.rated()
        count = 0
        for holder in holders:
            for door in STORING:
                replies = [
                    await push(service, door, door.write([point]), key=holder.key)
                    for point in (there, replace(there, project="never"))
                ]
                known, unknown = (_told(reply) for reply in replies)
                assert known == unknown
                assert known[0] >= 400 or MB in (holder.meters or ())
                count += 1
    say("I-12, what refusals tell", cells=count)
    assert await projects_of(database_url) == {"there"}


def _told(reply: Reply) -> tuple[int, str, frozenset[str]]:
    """Give all that an answer tells, but for the project that was asked for."""
    text = reply.text.replace("never", "PROJECT").replace("there", "PROJECT")
    return reply.status, text, frozenset(reply.headers)


@dataclass(frozen=True, slots=True)
class Slip:
    """A request that is not quite a push, by a key that may not feed what it holds."""

    path: str
    method: str = "POST"
    headers: tuple[str, ...] = ()


def slips(door: Door) -> Iterator[Slip]:
    """Give every way of asking that could pass by the gate."""
    path, _, query = door.path.partition("?")
    for method in METHODS:
        yield Slip(door.path, method, ("X-HTTP-Method-Override: POST", "X-HTTP-Method: POST"))
    yield Slip(door.path, "POST", ("X-HTTP-Method-Override: GET", "X-HTTP-Method: GET"))
    yield Slip(f"{path}?_method=POST&{query}", "GET")
    encoded = f"{path[:-1]}%{ord(path[-1]):02x}"
    for odd in (
        *(encoded, encoded.replace("%", "%25"), f"/{path}", f"{path}/", f"{path}//", f"{path};x"),
        *(path.upper(), f"/.{path}", f"/x/..{path}", f"{path}/.", f"{path}/..", f"{path}%00"),
        *(f"{path}%2f", f"{path}%20", f"{path}.json", f"/healthz/..{path}", f"/ping;{path}"),
        *(
            path.replace("/", "%2f"),
            path.replace("/", "\\"),
            f"http://localhost{path}",
            f"{path}#x",
        ),
    ):
        yield Slip(f"{odd}?{query}")
    for more in ("db=a&db=b", "precision=ns&precision=s", "project_id=x", "location_id=" + "s"):
        yield Slip(f"{path}?{query}&{more}")
    for header in (
        *("X-Original-URL: /ping", "X-Rewrite-URL: /ping", "X-Forwarded-For: 127.0.0.1"),
        *("X-Forwarded-Prefix: /open", "Forwarded: for=127.0.0.1", "X-Scope-OrgID: 1"),
    ):
        yield Slip(door.path, headers=(header,))


async def test_no_path_method_or_header_passes_by_the_gate(
    database_url: str,
) -> None:
    async with running(settings_for(database_url)) as service:
        chosen = ("limited 0", "limited 2", "read only", "unknown", "none")
        holders = [one for one in await holders_of(service) if one.name in chosen]
        foreign = Point("slipped in", full_second_ms(), 1.0, site=FOREIGN)
        tried = [
            (holder, door, slip)
            for holder in holders
            for door in DOORS
            for slip in slips(door)
            if door.stores or not holder.may_push
        ]
        replies = await _ask_all(service, tried, foreign)
        await service.rated()
    through = [
        (holder.name, door.name, slip, status)
        for (holder, door, slip), status in zip(tried, replies, strict=True)
        if status is not None and 200 <= status < 400
    ]
    say("I-12, paths, methods and headers", cells=len(tried), through=len(through))
    assert through == []
    assert await projects_of(database_url) == set()
    assert await labelled_projects(database_url) == set()


async def _ask_all(
    service: Service, tried: list[tuple[Holder, Door, Slip]], point: Point
) -> list[int | None]:
    room = asyncio.Semaphore(20)

    async def ask(holder: Holder, door: Door, slip: Slip) -> int | None:
        body = door.write([point])
        asked = replace(door, path=slip.path)
        start = head(asked, holder.key or "", len(body), "Connection: close", *slip.headers)
        async with room, connected(service.url) as connection:
            await connection.send(start.replace(b"POST", slip.method.encode(), 1) + body)
            return await connection.status()

    return await asyncio.gather(*(ask(*one) for one in tried))


async def test_a_key_is_taken_from_one_place_only_and_as_it_is(
    database_url: str,
) -> None:
    async with running(settings_for(database_url)) as service:
        key, limited = service.keys["ingest"], await service.new_key(Scope.INGEST, sites=(SITE,))
        swapped = key.swapcase()
        wrong = [
            *(f"Authorization: Bearer {one}" for one in (swapped, key[:-1], f"{key}x", f"x{key}")),
            *(f"Authorization: Bearer {one}" for one in (f'"{key}"', key[4:], f"{key},{key}", "%")),
            *(f"Authorization: Bearer {one}" for one in ("' OR 1=1 --", f"{key}%00", f"{key}\0")),
            *(f"Authorization: {one} {key}" for one in ("Digest", "Bearer:", "Negotiate", "Key")),
            *(f"Authorization: Basic {_basic(one)}" for one in (key, f"{key}:", f"{key}:x", ":x")),
            *(f"{name}: {key}" for name in ("Cookie", "X-Auth-Token", "Api-Key", "X-Api-Key-Id")),
            f"Authorization: Bearer {service.keys['read']}",
            f"Authorization: Bearer {limited}",
        ]
        in_urls = [
            f"{name}={key}" for name in ("u", "p", "key", "token", "api_key", "access_token")
        ]
        foreign = Point("slipped in", full_second_ms(), 1.0, site=FOREIGN)
        sent = [
            request
            for door in STORING
            for request in _with_keys_elsewhere(door, door.write([foreign]), wrong, in_urls)
        ]
        # Of two the first counts: nobody gets more than by that one.
        for first in (limited, "osc_unknown", service.keys["read"]):
            more = f"Authorization: Bearer {key}", f"X-API-Key: {key}"
            for door in STORING:
                body = door.write([foreign])
                sent.append(head(door, first, len(body), *more) + body)
        statuses = [await _status(service, one) for one in sent]
        await service.rated()
    say("I-12, places of keys", cells=len(statuses))
    assert {status for status in statuses if status is None or status < 400} == set()
    assert await projects_of(database_url) == set()


def _with_keys_elsewhere(
    door: Door, body: bytes, headers: list[str], parameters: list[str]
) -> Iterator[bytes]:
    for header in headers:
        yield head(door, "", len(body), header) + body
    sign = "&" if "?" in door.path else "?"
    for parameter in parameters:
        asked = replace(door, path=f"{door.path}{sign}{parameter}")
        yield head(asked, "", len(body)) + body


def _basic(user_and_password: str) -> str:
    return base64.b64encode(user_and_password.encode()).decode()


async def _status(service: Service, sent: bytes) -> int | None:
    async with connected(service.url) as connection:
        await connection.send(sent)
        return await connection.status()


async def test_wrong_keys_are_refused_alike_whatever_is_wrong_with_them(
    database_url: str,
) -> None:
    """How long each takes is reported: an unknown and a revoked key are the same lookup."""
    async with running(settings_for(database_url)) as service:
        revoked = await revoked_key(service)
        keys = {"unknown": fresh_key(), "revoked": revoked, "malformed": "x", "not_ASCII": "ключ"}
        seconds: dict[str, list[float]] = {name: [] for name in keys}
        said = set()
        for _ in range(WRONG_KEY_ROUNDS):
            for name, key in keys.items():
                start = time.perf_counter()
                reply = await push(service, DOORS[2], b"", key=key)
                seconds[name].append(time.perf_counter() - start)
                said.add((reply.status, reply.text, frozenset(reply.headers)))
    medians = {name: round(statistics.median(taken) * 1000, 2) for name, taken in seconds.items()}
    say("I-12, wrong keys, median ms", **medians)
    assert len(said) == 1
    assert {status for status, _, _ in said} == {401}
