"""Every page that can be looked at: in every role, at three widths, light and dark.

None may write an error, ask another host, be wider than its window, or have a serious or critical
finding of axe. With SCREENSHOTS=<folder> each is also photographed there.
"""

import os
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page

from os_credits.api.routes import ALL_ROUTES
from os_credits.app import create_app
from tests.acceptance.conftest import settings_for
from tests.acceptance.rights.scene import MINE, NORTH, PEOPLE, Scene
from tests.browser.axe import grave_findings
from tests.browser.conftest import Visit

pytestmark = pytest.mark.timeout(900)
WIDTHS = (390, 820, 1440)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWS = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
# What axe can find differs by what is shown, and by its colours.
JUDGED = [(390, "light"), (1440, "light"), (1440, "dark")]
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
# What a page shows only when its address asks for it.
QUERIES: dict[str, tuple[str, ...]] = {
    "/": ("", f"?search={MINE}", "?search=no-such-project&show=low"),
    "/bill": ("", f"?project={MINE}", f"?organisation={NORTH}"),
    "/credits_history/{project}": ("", "?range=24h", "?range=1y", "?range=nonsense"),
}


def page_routes() -> list[str]:
    """Give the path of every page that answers GET."""
    application = create_app(settings_for("postgresql://nobody@127.0.0.1/none"))
    routes = [
        route.path
        for route in application[ALL_ROUTES]
        if route.is_page and route.method == "GET" and not route.path.startswith("/static/")
    ]
    assert "/" in routes
    return [*routes, "/credits_history/{project}", "/nowhere"]


def paths(scene: Scene) -> list[str]:
    """Give an address of every page; what its path names exists where the scene has one."""
    numbers = {**scene.numbers[MINE], "organisation": NORTH, "email": "member@example.org"}
    numbers |= {"meter": "openstack_nova_server_status", "number": numbers["grant"]}

    def fill(found: re.Match[str]) -> str:
        return str(numbers.get(found[1], "1"))

    return [
        re.sub(r"{(\w+)}", fill, path) + query
        for path in page_routes()
        for query in QUERIES.get(path, ("",))
    ]


async def _photograph(page: Page, path: str, name: str) -> None:
    if SCREENSHOTS:
        word = re.sub(r"[^a-zA-Z0-9]+", "_", path).strip("_") or "start"
        await page.screenshot(path=Path(SCREENSHOTS, f"{word}-{name}.png"), full_page=True)


async def _is_shown(page: Page, url: str) -> bool:
    """Open a page; whatever is wrong on our side is found by `visit` at the end."""
    answer = await page.goto(url)
    return answer is not None and answer.ok


async def test_an_administrators_pages_suit_every_window(visit: Visit) -> None:
    page = await visit("administrator")
    findings = []
    for path in paths(visit.scene):
        await _is_shown(page, visit.url + path)
        for width, scheme in VIEWS:
            await page.set_viewport_size({"width": width, "height": 900})
            await page.emulate_media(color_scheme=scheme)
            wide = await page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                findings.append(f"{path}: {wide} wide in a window of {width}")
            if (width, scheme) in JUDGED:
                findings += await grave_findings(page)
            await _photograph(page, path, f"{width}-{scheme}")

    assert not findings, "\n".join(dict.fromkeys(findings))


@pytest.mark.parametrize("role", ["nobody", *PEOPLE[1:]])
async def test_pages_are_sound_in_every_role(visit: Visit, role: str) -> None:
    page = await visit(role)
    seen, findings = set(), []
    for path in paths(visit.scene):
        is_shown = await _is_shown(page, visit.url + path)
        if is_shown and page.url not in seen:
            seen.add(page.url)
            findings += await grave_findings(page)
            await _photograph(page, path, f"{role}")

    assert seen
    assert not findings, "\n".join(findings)


async def test_pages_speak_german_throughout(visit: Visit) -> None:
    page = await visit("administrator", language="de")
    findings = []
    for path in paths(visit.scene):
        await _is_shown(page, visit.url + path)
        assert await page.locator("html").get_attribute("lang") == "de"
        findings += await grave_findings(page)
        await _photograph(page, path, "german")

    assert not findings, "\n".join(findings)
