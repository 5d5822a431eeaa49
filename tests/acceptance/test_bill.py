"""Bills by API and page: who gets which, as JSON, CSV, page and print view."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import running, settings_for
from tests.acceptance.rights.scene import MARKS, MINE, NORTH, OURS, SOUTH, THEIRS, Scene, make_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = {"Accept": "text/html"}


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with running(settings_for(database_url)) as service:
        yield await make_scene(service)


async def bill(scene: Scene, role: str, **query: str) -> Any:
    async with scene.ask(role, "GET", "/api/v1/bill", params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def refused(scene: Scene, role: str, **query: str) -> tuple[int, str]:
    async with scene.ask(role, "GET", "/api/v1/bill", params=query) as response:
        return response.status, await response.text()


def projects_in(shape: Any) -> set[str]:
    return {group["project"]["name"] for group in shape["groups"] if group["project"]}


async def test_a_bill_adds_up_and_tells_quantity_price_and_what_is_open(scene: Scene) -> None:
    shape = await bill(scene, "owner", project=MINE)

    assert ("meter", MINE) == (shape["by"], shape["subject"]["project"]["name"])
    [group] = shape["groups"]
    assert len(group["lines"]) >= 1
    for line in group["lines"]:
        assert line["flavor"] == f"{MARKS[MINE]}-flavor"
        assert Decimal(line["quantity"]) + Decimal(line["unpriced_quantity"]) > 0
    assert group["credits"] == shape["credits"]
    assert Decimal(0) == sum(
        (Decimal(line["credits"]) for line in group["lines"]), -Decimal(shape["credits"])
    )
    account = shape["account"]
    assert ("0.000000", "100.000000") == (account["opening"], account["given"])
    assert Decimal(account["closing"]) == Decimal(100) - Decimal(shape["credits"])
    assert [("grant", MARKS[MINE])] == [(one["kind"], one["reason"]) for one in account["changes"]]


async def test_everybody_gets_an_organisations_bill_of_what_they_may_see(scene: Scene) -> None:
    sees = {
        "administrator": {MINE, OURS},
        "manager": {MINE, OURS},
        "owner": {MINE},
        "member": {MINE},
        "key_limited": {MINE},
        "key_read": {MINE, OURS},
    }
    for role, projects in sees.items():
        shape = await bill(scene, role, organisation=NORTH, by="project")
        assert projects == projects_in(shape)
        total = sum(Decimal(group["credits"]) for group in shape["groups"])
        assert total == Decimal(shape["credits"])


async def test_what_may_not_be_seen_is_answered_as_what_is_unknown(scene: Scene) -> None:
    for kind, foreign in (("project", THEIRS), ("organisation", SOUTH)):
        known = await refused(scene, "owner", **{kind: foreign})
        unknown = await refused(scene, "owner", **{kind: "nothing"})
        assert 404 == known[0] == unknown[0]
        assert known[1].replace(foreign, "nothing") == unknown[1]
    status, text = await refused(scene, "owner", project=THEIRS, resource=f"{MARKS[THEIRS]}-server")
    assert (404, False) == (status, "resource" in text)
    assert 401 == (await refused(scene, "nobody", project=MINE))[0]


@pytest.mark.parametrize(
    "query,place",
    [
        ({}, "organisation"),
        ({"organisation": NORTH, "project": MINE}, "organisation"),
        ({"organisation": NORTH, "resource": "x"}, "resource"),
        ({"project": MINE, "by": "part"}, "by"),
        ({"organisation": NORTH, "by": "resource"}, "by"),
        ({"project": MINE, "start": "2026-01-01T00:30:00Z"}, "start"),
        ({"project": MINE, "start": "2026-01-02", "end": "2026-01-02"}, "end"),
        ({"project": MINE, "start": "9999-12-01", "end": ""}, "end"),
        ({"project": MINE, "after": "x"}, "after"),
        ({"project": MINE, "limit": "0"}, "limit"),
    ],
)
async def test_what_makes_no_bill_is_refused_by_its_place(
    scene: Scene, query: dict[str, str], place: str
) -> None:
    status, text = await refused(scene, "administrator", **query)

    assert (400, True) == (status, f'"message":"{place}' in text.replace('": "', '":"'))


async def test_a_bill_by_resource_names_them_and_each_has_its_own(scene: Scene) -> None:
    whole = await bill(scene, "owner", project=MINE, by="resource")
    [group] = whole["groups"]
    assert f"{MARKS[MINE]}-server" == group["resource"]

    own = await bill(scene, "owner", project=MINE, resource=group["resource"])

    assert (group["lines"], whole["credits"]) == (own["lines"], own["credits"])
    assert own["open"] is None
    assert own["account"] is None


async def test_a_csv_has_lines_subtotals_and_the_total(scene: Scene) -> None:
    query = {"organisation": NORTH, "by": "project", "format": "csv"}
    async with scene.ask("manager", "GET", "/api/v1/bill", params=query) as response:
        text = await response.text()
        headers = response.headers

    rows = list(csv.DictReader(io.StringIO(text)))
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"].startswith('attachment; filename="bill-organisation-')
    amounts = {
        kind: sum(Decimal(row["credits"]) for row in rows if row["row"] == kind)
        for kind in ("line", "subtotal", "total")
    }
    assert amounts["line"] == amounts["subtotal"] == amounts["total"]
    assert {MINE, OURS} == {row["project"] for row in rows if row["row"] == "subtotal"}
    assert 1 == [row["row"] for row in rows].count("total")


async def test_the_page_shows_the_bill_and_leads_to_its_files_and_parts(scene: Scene) -> None:
    number = scene.numbers[MINE]["project"]
    async with scene.ask("manager", "GET", "/bill", headers=PAGE) as response:
        chooser = await response.text()
    assert 200 == response.status
    assert f"/bill?project={number}" in chooser
    assert THEIRS not in chooser

    async with scene.ask("manager", "GET", f"/bill?organisation={NORTH}", headers=PAGE) as response:
        page = await response.text()
    assert 200 == response.status
    assert "Its own projects" in page
    assert "/api/v1/bill?organisation=" in page

    for by in ("project", "meter", "day", "month"):
        path = f"/bill?organisation={NORTH}&by={by}&range=year"
        async with scene.ask("manager", "GET", path, headers=PAGE) as response:
            assert 200 == response.status
            assert MARKS[THEIRS] not in await response.text()
    for path in (
        f"/bill?project={number}",
        f"/bill?project={number}&by=resource&from=2026-01-01",
        f"/bill?project={number}&resource={MARKS[MINE]}-server",
        f"/bill?project={number}&print=1",
    ):
        async with scene.ask("owner", "GET", path, headers=PAGE) as response:
            assert 200 == response.status, path
            text = await response.text()
            assert f"{MARKS[MINE]}-server" in text or "resource" not in path


@pytest.mark.parametrize(
    "query,status",
    [
        (f"project={THEIRS}", 404),
        (f"organisation={SOUTH}", 404),
        (f"project={MINE}&organisation={NORTH}", 400),
        (f"project={MINE}&from=2026-13-01", 400),
        (f"project={MINE}&from=2026-02-01&to=2026-01-01", 400),
        (f"project={MINE}&range=never", 400),
        (f"project={MINE}&by=part", 400),
        (f"project={MINE}&order=x", 400),
        (f"project={MINE}&after=x", 400),
    ],
)
async def test_a_wrong_address_of_a_bill_is_answered_as_a_page(
    scene: Scene, query: str, status: int
) -> None:
    async with scene.ask("owner", "GET", f"/bill?{query}", headers=PAGE) as response:
        text = await response.text()

    assert (status, True) == (response.status, text.startswith("<!doctype html>"))
    assert MARKS[THEIRS] not in text


async def test_projects_of_one_name_are_asked_back(scene: Scene) -> None:
    for site in ("one", "two"):
        body = {"name": "twin", "site": site, "external_id": f"{site}-id"}
        async with scene.ask("key_admin", "POST", "/api/v1/projects", json=body) as response:
            assert 201 == response.status

    async with scene.ask("administrator", "GET", "/bill?project=twin", headers=PAGE) as response:
        page = await response.text()

    assert 409 == response.status
    assert 2 == page.count(">twin</bdi></a> <small")
