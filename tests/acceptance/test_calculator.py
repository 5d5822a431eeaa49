"""The calculator by API and page: exact costs, what has no price, and how long credits last."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import running, settings_for
from tests.acceptance.rights.scene import MARKS, MINE, THEIRS, Scene, make_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = {"Accept": "text/html"}
METER = "openstack_nova_server_status"


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with running(settings_for(database_url)) as service:
        scene = await make_scene(service)
        async with service.request("GET", "/api/v1/meters", key="admin") as response:
            meters = (await response.json())["meters"]
        server = next(one["name"] for one in meters if one["metric"] == METER)
        for flavor, price in (("small", "0.123457"), ("large", "1.5")):
            body = {
                "meter": server,
                "flavor": flavor,
                "credits_per_unit": price,
                "valid_from": "2026-01-01T00:00:00Z",
            }
            async with service.request("POST", "/api/v1/prices", key="admin", json=body) as done:
                assert done.status == 201, await done.text()
        yield scene


async def calculated(scene: Scene, role: str, body: Any) -> Any:
    async with scene.ask(role, "POST", "/api/v1/calculations", json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_an_hour_a_day_and_a_month_are_exact_and_lines_add_up(scene: Scene) -> None:
    body = {"flavors": {"small": 3, "large": 2}, "hours_per_day": "7.5"}
    shape = await calculated(scene, "member", body)

    assert {"per_hour": "3.370371", "per_day": "25.277782", "per_month": "758.333460"} == shape[
        "total"
    ]
    for name in ("per_hour", "per_day", "per_month"):
        parts = sum(Decimal(line[name]) for line in shape["breakdown"])
        assert parts == Decimal(shape["total"][name])
    assert [] == shape["not_priced"]
    assert shape["outlook"] is None


async def test_what_is_unknown_or_has_no_price_is_told_and_costs_nothing(scene: Scene) -> None:
    body = {
        "flavors": {"small": 1, "huge": 1, f"{MARKS[MINE]}-flavor": 1},
        "meters": {"nothing": 2},
    }
    shape = await calculated(scene, "member", body)

    assert "0.123457" == shape["total"]["per_hour"]
    assert {"huge", "nothing"} <= {one["name"] for one in shape["not_priced"]}
    assert all(one["reason"] for one in shape["not_priced"])


async def test_a_project_lasts_for_what_it_has_and_less_with_what_runs(scene: Scene) -> None:
    body = {"flavors": {"large": 1}, "project": MINE}
    outlook = (await calculated(scene, "owner", body))["outlook"]

    assert ("36.000000", "until") == (outlook["alone"]["per_day"], outlook["alone"]["state"])
    assert "project" == outlook["limited_by"]["kind"]
    together = Decimal(outlook["together"]["per_day"])
    assert together == Decimal(36) + Decimal(outlook["burn_per_day"])
    assert outlook["together"]["until"] <= outlook["alone"]["until"]
    nothing = (await calculated(scene, "owner", {"project": MINE}))["outlook"]["alone"]
    assert {"per_day": "0.000000", "state": "unused", "until": None} == nothing


async def test_a_foreign_project_and_an_unknown_one_look_the_same(scene: Scene) -> None:
    replies = []
    for name in (THEIRS, "nothing"):
        path = f"/api/v1/calculations?flavor=small&project={name}"
        async with scene.ask("owner", "GET", path) as response:
            replies.append((response.status, (await response.text()).replace(name, "")))

    assert 404 == replies[0][0]
    assert replies[0] == replies[1]


async def test_one_flavor_is_asked_by_get(scene: Scene) -> None:
    path = "/api/v1/calculations?flavor=large&count=2&hours_per_day=1"
    async with scene.ask("key_read", "GET", path) as response:
        shape = await response.json()

    assert ("3.000000", "3.000000", "90.000000") == tuple(shape["total"].values())


@pytest.mark.parametrize(
    "body",
    [
        {"hours_per_day": 0},
        {"hours_per_day": 25},
        {"flavors": {"small": -1}},
        {"flavors": {"small": "0.0000001"}},
        {"flavors": {"small": "1e10"}},
        {"flavor": "small"},
    ],
)
async def test_what_cannot_be_calculated_is_refused(scene: Scene, body: Any) -> None:
    async with scene.ask("key_read", "POST", "/api/v1/calculations", json=body) as response:
        assert 400 == response.status


async def page(scene: Scene, path: str, **headers: str) -> str:
    async with scene.ask("owner", "GET", path, headers={**PAGE, **headers}) as response:
        assert response.status == 200, path
        return str(await response.text())


async def test_the_page_works_by_its_address_alone(scene: Scene) -> None:
    empty = await page(scene, "/calculator")
    assert 2 == empty.count('name="flavor"')
    assert "Choose flavors" in empty

    more = await page(scene, "/calculator?flavor=small&count=2&flavor=&count=&more=1")
    assert 3 == more.count('name="flavor"')
    full = await page(scene, f"/calculator?flavor=large&count=2&hours=8&project={MINE}")
    assert "24.000000" in full  # 2 x 1.5 x 8 hours
    assert "How long" in full

    part = await page(scene, "/calculator?flavor=large&count=2", **{"HX-Request": "true"})
    assert "<html" not in part
    assert "72.000000" in part


async def test_mistakes_are_told_beside_what_was_typed(scene: Scene) -> None:
    wrong = await page(
        scene, f"/calculator?flavor=small&count=many&flavor=&count=3&hours=25&project={THEIRS}"
    )

    for sentence in (
        "Please give a number from 0",
        "Please choose a flavor.",
        "Please give more than 0 hours",
        "There is no such project.",
    ):
        assert sentence in wrong
    assert 'value="many"' in wrong
    assert "is not known here" in await page(scene, "/calculator?flavor=huge")
