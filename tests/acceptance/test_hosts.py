"""Usage by compute node, region and provider, and what flavors are made of: API, page, program."""

from __future__ import annotations

import asyncio
import csv
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest

from tests.acceptance.accounts import HOUR_SECONDS, current_hour, moment, push, vcpu
from tests.acceptance.conftest import Service
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import Program

# The job rests fifty times as long as it worked, which on a busy machine may be a minute.
SUMMED_SECONDS_MAX = 100
FORMULA = '=HYPERLINK("http://x.example")'


def server(
    seconds: int, host: str, *, id_: str = "s1", project: str = "alpha", region: str = "north",
    provider: str = "openstack", status: str = "ACTIVE", flavor: str = "m1.large",
) -> str:  # fmt: skip
    """Write a line that says that a server runs, and where."""
    tags = {
        "project_name": project, "tenant_id": f"id-{project}", "location_id": "site1",
        "id": id_, "flavor_id": flavor, "hypervisor_hostname": host, "region": region,
        "provider": provider, "status": status,
    }  # fmt: skip
    written = (f"{name}={_escaped(value)}" for name, value in tags.items() if value)
    return f"openstack_nova_server_status,{','.join(written)} value=0 {seconds}"


def _escaped(text: str) -> str:
    return text.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")


def hours(first: int, count: int, host: str, **more: Any) -> list[str]:
    """Write samples each half an hour, so that `count` hours are used."""
    return [server(first + half * HOUR_SECONDS // 2, host, **more) for half in range(2 * count + 1)]


async def summed(client: Documented, wanted: Decimal, query: str = "") -> dict[str, Any]:
    """Wait until all lines add up to these credits."""
    async with asyncio.timeout(SUMMED_SECONDS_MAX):
        while True:
            page: dict[str, Any] = await client.get(f"/api/v1/hosts{query}", key="admin")
            if page["totals"] and Decimal(page["totals"]["credits"]) == wanted:
                return page
            await asyncio.sleep(0.2)


@pytest.fixture
async def client(service: Service) -> Documented:
    """Give a service with servers on two compute nodes, one of which has an evil name."""
    client = await documented(service)
    first = current_hour() - 8 * HOUR_SECONDS
    await push(
        service,
        [
            *hours(first, 2, "node-1"),
            *hours(first + 3 * HOUR_SECONDS, 1, "node-2"),
            *hours(first, 3, FORMULA, id_="s2", project="beta", region="south", provider="aws"),
            vcpu("alpha", first, 0),
            vcpu("alpha", first + HOUR_SECONDS, 10),
        ],
    )
    return client


# s1 runs 2 h on node-1 and 1 h on node-2, and in the hour between on node-1; s2 runs 3 h.
USED = Decimal("6.4") * 7 + 10


def by_name(page: dict[str, Any]) -> dict[str, Any]:
    return {line["host"] or line["region"] or line["provider"]: line for line in page["lines"]}


async def test_usage_is_told_by_compute_node_region_and_provider(client: Documented) -> None:
    page = await summed(client, USED)
    lines = by_name(page)

    assert {"node-1", "node-2", FORMULA, ""} == set(lines)
    assert ("6.400000", "4", "8") == tuple(
        lines["node-2"][name] for name in ("credits", "vcpu_hours", "ram_gib_hours")
    )
    assert ("10.000000", None) == (lines[""]["credits"], lines[""]["vcpu_hours"])
    assert USED == sum(Decimal(line["credits"]) for line in lines.values())
    assert Decimal(100) == round(sum(Decimal(one["share_percent"]) for one in lines.values()), 1)

    regions = by_name(await client.get("/api/v1/hosts?by=region", key="admin"))
    assert "25.600000" == regions["north"]["credits"]
    providers = by_name(await client.get("/api/v1/hosts?by=provider&sort=vcpus", key="admin"))
    assert ("16", "12") == (providers["openstack"]["vcpu_hours"], providers["aws"]["vcpu_hours"])
    metered = await client.get("/api/v1/hosts?meter=project_vcpu_usage", key="admin")
    assert ("10", "vCPU-hour") == (metered["lines"][0]["quantity"], metered["unit"])


async def test_pages_of_the_list_follow_each_other(client: Documented) -> None:
    whole = (await summed(client, USED))["lines"]
    for sort in ("credits", "vcpus", "ram", "resources", "name"):
        seen, after = [], ""
        while after is not None:
            path = f"/api/v1/hosts?limit=1&sort={sort}" + (f"&after={after}" if after else "")
            part = await client.get(path, key="admin")
            seen += [line["host_id"] for line in part["lines"]]
            after = part["next"]

        assert sorted(line["host_id"] for line in whole) == sorted(seen)


BAD = (
    "by=planet", "sort=age", "after=x", "after=WzFd", "start=2026-01-01T12:00:00Z", "limit=0",
    "start=2026-02-01&end=2026-01-01", "start=2020-01-01", "start=2999-01-01",
)  # fmt: skip


async def test_what_cannot_be_asked_is_refused(
    client: Documented, subtests: pytest.Subtests
) -> None:
    for query in BAD:
        with subtests.test(query=query):
            reply = await client.ask("GET", f"/api/v1/hosts?{query}", key="admin")
            assert reply.status == 400
            assert query.partition("=")[0].split("&")[0] in reply.text or "end" in reply.text
    assert 404 == (await client.ask("GET", "/api/v1/hosts?meter=no", key="admin")).status
    for number in ("999999", "x", "99999999999999"):
        assert 404 == (await client.ask("GET", f"/api/v1/hosts/{number}", key="admin")).status


async def test_the_csv_is_harmless_and_whole(client: Documented) -> None:
    await summed(client, USED)
    async with client.service.request("GET", "/api/v1/hosts?format=csv", key="admin") as response:
        assert "attachment" in response.headers["Content-Disposition"]
        rows = list(csv.DictReader(StringIO(await response.text())))

    assert USED == sum(Decimal(row["credits"]) for row in rows)
    assert {"node-1", "node-2", f"'{FORMULA}", ""} == {row["host"] for row in rows}


async def test_one_compute_node_shows_its_projects_and_resources(client: Documented) -> None:
    lines = by_name(await summed(client, USED))
    path = f"/api/v1/hosts/{lines['node-1']['host_id']}"
    told = await client.get(path, key="admin")

    assert [("alpha", "19.200000", 1)] == [
        (one["project"]["name"], one["credits"], one["resources"]) for one in told["projects"]
    ]
    (resource,) = told["resources"]
    assert ("s1", "m1.large", "3", False) == tuple(
        resource[name] for name in ("resource", "flavor", "quantity", "is_here")
    )
    assert Decimal("19.2") == sum(Decimal(one["credits"]) for one in told["days"])
    unknown = await client.get("/api/v1/hosts/0", key="admin")
    assert (None, None) == (unknown["projects"], unknown["resources"])


async def test_only_administrators_see_where_resources_run(client: Documented) -> None:
    for path in ("/api/v1/hosts", "/api/v1/hosts/0", "/admin/hosts", "/admin/hosts/0"):
        async with client.service.request("GET", path, key="read") as response:
            assert response.status == 403


async def test_the_pages_show_what_the_api_tells(client: Documented) -> None:
    lines = by_name(await summed(client, USED))
    for path, expected in {
        "/admin/hosts": "node-1",
        "/admin/hosts?by=region&sort=name": "south",
        "/admin/hosts?by=provider&meter=openstack_nova_server_status": "aws",
        f"/admin/hosts/{lines['node-1']['host_id']}": "alpha",
        f"/admin/hosts/{lines[FORMULA]['host_id']}": "HYPERLINK",
        "/admin/hosts/0": "<h1>",
    }.items():
        async with client.service.request(
            "GET", path, key="admin", headers={"Accept": "text/html"}
        ) as response:
            text = await response.text()
            assert (200, True) == (response.status, expected in text), path
            assert 'href="http' not in text
            assert " style=" not in text


async def test_days_are_whole_and_in_utc(client: Documented) -> None:
    await summed(client, USED)
    day = moment(current_hour()).date()
    page = await client.get(f"/api/v1/hosts?start={day - timedelta(days=1)}", key="admin")

    assert timedelta(days=2) == datetime.fromisoformat(page["end"]) - datetime.fromisoformat(
        page["start"]
    )
    assert USED == Decimal(page["totals"]["credits"])


async def test_flavors_are_described_by_file_api_and_program(
    service: Service, program: Program
) -> None:
    client = await documented(service)
    path = f"/api/v1/flavors/{quote('gpu/1 ü', safe='')}"
    wanted = {"vcpus": "0.5", "ram_gib": 16}
    first = await client.ask("PUT", path, key="admin", json=wanted)
    again = await client.ask("PUT", path, key="admin", json=wanted)

    assert (200, 200) == (first.status, again.status)
    assert ("gpu/1 ü", "0.5", "16", None) == tuple(
        first.json[name] for name in ("flavor", "vcpus", "ram_gib", "disk_gib")
    )
    assert first.json == again.json
    words = ("flavor", "set", "m1.large", "--vcpus", "5", "--ram-gib", "0.5")
    await asyncio.to_thread(program, *words)
    listed = await client.get("/api/v1/flavors")
    known = {one["flavor"]: one for one in listed["flavors"]}
    assert ("1", "2", "20", "meter file") == tuple(
        known["m1.small"][name] for name in ("vcpus", "ram_gib", "disk_gib", "author")
    )
    assert ("5", "0.5", None) == tuple(
        known["m1.large"][name] for name in ("vcpus", "ram_gib", "disk_gib")
    )
    assert listed == await asyncio.to_thread(program.json, "flavor", "list")
    await asyncio.to_thread(program, "meter", "load", str(service.settings.meter_file))
    assert listed == await client.get("/api/v1/flavors")
    priced = await client.get("/api/v1/prices?flavor=m1.large")
    assert [("5", "0.5", None)] == [
        (one["vcpus"], one["ram_gib"], one["disk_gib"]) for one in priced["prices"]
    ]


BAD_SPECS: list[tuple[object, str]] = [
    ({"vcpus": 0.5}, "vcpus"),
    ({"vcpus": "-1"}, "vcpus"),
    ({"ram_gib": "1e12"}, "ram_gib"),
    ({"ram_gib": "NaN"}, "ram_gib"),
    ({"disk_gib": "0.0000001"}, "disk_gib"),
    ({"gpus": 1}, "gpus"),
]


async def test_a_bad_spec_is_refused(service: Service, subtests: pytest.Subtests) -> None:
    client = await documented(service)
    for body, place in BAD_SPECS:
        with subtests.test(body=body):
            reply = await client.ask("PUT", "/api/v1/flavors/x", key="admin", json=body)
            assert (400, True) == (reply.status, place in reply.json["message"])
    assert 403 == (await client.ask("PUT", "/api/v1/flavors/x", key="read", json={})).status
