"""Texts that were made to act, stored in every field and typed into every box: nothing runs.

The texts are those of `tests/payloads.py`, stored as `tests/acceptance/hostile` does. `hostile`
fails at the end if any page ran something, was refused to run it, or asked another host.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import cycle, islice

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from os_credits.domain.text import legible
from tests import database
from tests.acceptance import sinks
from tests.acceptance.conftest import Service
from tests.acceptance.hostile.fields import GATHERING
from tests.acceptance.hostile.reads import number_what_people_stored
from tests.acceptance.hostile.scene import Scene
from tests.acceptance.hostile.service import hostile_service
from tests.acceptance.logged_in import visitor
from tests.acceptance.rights.scene import Scene as SceneOfPeople
from tests.browser.conftest import Visit, visiting
from tests.browser.hostile_paths import (
    ACTING,
    TYPED,
    invitation_of,
    paths_of,
    repeating_paths,
    routes_of_names,
    shape_of,
)
from tests.browser.inert import acting_parts, links_of, words_of
from tests.browser.test_every_page import page_routes
from tests.payloads import PAYLOADS

# Of pages that show a name, how many payloads each shows; the next one goes on with others.
KINDS_PER_PAGE = 2
FIELD = "input:not([type=hidden], [type=checkbox], [type=radio])"
NO_HOUR = "does not conform to the required format"
_TYPE = """
(form, text) => {
  for (const one of form.elements) {
    if (/^(submit|button|hidden|checkbox|radio|select-one)$/.test(one.type)) continue;
    if (one.localName === "input") one.type = "text";
    one.value = text;
  }
  HTMLFormElement.prototype.submit.call(form);
}
"""
FILES = {
    "/bill?project=gathering&by=resource": "CSV",
    "/credits_history/gathering": "Every line of this time as CSV",
    "/admin/hosts": "All of it as CSV",
}


@dataclass(slots=True)
class Hostile:
    """A service that has everything stored, and an administrator's browser that looks at it.

    `hits` are the parts of pages that could act, `shown` counts the pages that show a payload.
    """

    scene: Scene
    service: Service
    visit: Visit
    page: Page
    hits: list[str] = field(default_factory=list)
    shown: Counter[str] = field(default_factory=Counter)

    async def paths(self, route: str, kind: str) -> list[str]:
        """Give the addresses of a route for what has a payload as its name."""
        return await paths_of(route, self.scene, self.service, kind)

    async def look(self, path: str) -> None:
        """Open a page."""
        await self.page.goto(self.service.url + path)
        await self.judge()

    async def judge(self) -> None:
        """Find out what of the page could act, and which payloads it shows."""
        self.hits += await acting_parts(self.page)
        words = await words_of(self.page)
        self.shown.update(kind for kind in ACTING if legible(PAYLOADS[kind]) in words)
        self.shown["typed"] += TYPED in words


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stored(
    migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Scene, SceneOfPeople]]:
    """Store everything once; the administrator who looks at it has a name that acts."""
    folder = tmp_path_factory.mktemp("hostile")
    with database.database(database.server_url(), template=migrated_template) as url:
        async with hostile_service(database.as_service(url), folder) as (scene, service):
            await number_what_people_stored(scene, service)
            name = PAYLOADS["image"]
            one = visitor(service, "a@example.org", name=name, is_administrator=True)
            yield scene, SceneOfPeople(service, {"administrator": one}, {}, {})


@pytest_asyncio.fixture(loop_scope="session")
async def hostile(browser: Browser, stored: tuple[Scene, SceneOfPeople]) -> AsyncIterator[Hostile]:
    """Give the service and a page of a browser, in which nothing may go wrong."""
    async with visiting(browser, stored[1]) as visit:
        page = await (await visit.context("administrator")).new_page()
        one = Hostile(stored[0], stored[1].service, visit, page)
        yield one
        assert not one.hits


async def test_nothing_runs_on_any_page_that_shows_all_texts_at_once(hostile: Hostile) -> None:
    waiting = [path for route in page_routes() for path in await hostile.paths(route, GATHERING)]
    known = set(map(shape_of, waiting))
    while waiting:
        await hostile.look(waiting.pop())
        for link in await links_of(hostile.page):
            if shape_of(link) not in known:
                known.add(shape_of(link))
                waiting.append(link)

    assert len(known) > len(page_routes())
    assert min(hostile.shown[kind] for kind in ACTING) > 15


async def test_nothing_runs_on_pages_of_what_has_such_a_name(hostile: Hostile) -> None:
    kinds = cycle(ACTING)
    for route in routes_of_names():
        for kind in islice(kinds, KINDS_PER_PAGE):
            for path in await hostile.paths(route, kind):
                await hostile.look(path)
    for kind in ACTING:
        if kind in hostile.scene.logins:
            await hostile.look(invitation_of(hostile.scene, kind))

    assert min(hostile.shown[kind] for kind in ACTING) > 5


async def test_a_project_of_any_name_shows_it_in_title_heading_and_chart(hostile: Hostile) -> None:
    for kind, text in PAYLOADS.items():
        name = legible(text)
        await hostile.look(f"/credits_history/%23{hostile.scene.numbers[kind]}")

        title = f"{name} · os_credits"
        assert await hostile.page.title() == " ".join(filter(None, title.split(" ")))
        assert await hostile.page.locator("h1").text_content() == name
        label = hostile.page.locator("#chart-used .u-legend .u-label").nth(1)
        shown = await label.text_content() or ""
        assert shown.rstrip("…")
        assert name.startswith(shown.rstrip("…"))


async def test_a_chart_that_is_pointed_at_and_renewed_shows_texts_as_texts(
    hostile: Hostile,
) -> None:
    page, left_over = hostile.page, "left over"
    await page.clock.install()
    for path, part in (("/", "#projects"), ("/credits_history/gathering", "#tables")):
        await hostile.look(path)
        await page.locator(part).evaluate("(part, text) => part.append(text)", left_over)
        await expect(page.locator(part)).to_contain_text(left_over)
        await page.clock.run_for(11_000)
        await expect(page.locator(part)).not_to_contain_text(left_over)
        await hostile.judge()
    await page.locator("#chart-used .u-over").hover()
    await hostile.judge()


async def test_what_is_typed_into_the_search_finds_names_and_runs_nothing(
    hostile: Hostile,
) -> None:
    await hostile.look("/")
    for kind in ACTING:
        async with hostile.page.expect_response(lambda answer: "?search=" in answer.url):
            await hostile.page.get_by_role("searchbox").fill(PAYLOADS[kind])
        await expect(hostile.page.locator("#projects")).to_contain_text(legible(PAYLOADS[kind]))
        await hostile.judge()


async def test_refusals_and_pages_that_repeat_what_was_asked_run_nothing(hostile: Hostile) -> None:
    for path in repeating_paths():
        await hostile.look(path)

    assert hostile.shown["typed"] >= 3


async def test_forms_come_back_with_what_was_typed_and_run_nothing(hostile: Hostile) -> None:
    page, known, statuses = hostile.page, {"/logout?"}, Counter[int]()
    for path in [one for route in page_routes() for one in await hostile.paths(route, GATHERING)]:
        _, text = await hostile.visit.scene.visitors["administrator"].get(path)
        for action in re.findall('<form method="post" action="([^"]+)"', text):
            form = page.locator(f'form[action="{action}"]:has({FIELD})').first
            if shape_of(action) not in known:
                known.add(shape_of(action))
                await page.goto(hostile.service.url + path)
                if await form.count():
                    async with page.expect_navigation() as navigation:
                        await form.evaluate(_TYPE, TYPED)
                    answer = await navigation.value
                    statuses[answer.status] += 1
                    await hostile.judge()
    # A field for an hour, which is given text by this test alone, says that it is none.
    hostile.visit.problems[:] = [one for one in hostile.visit.problems if NO_HOUR not in one]

    assert statuses[422] >= 15
    assert hostile.shown["typed"] >= 15


async def test_files_taken_along_hold_texts_and_no_formulas(hostile: Hostile) -> None:
    for path, name in FILES.items():
        await hostile.look(path)
        async with hostile.page.expect_download() as download:
            await hostile.page.get_by_role("link", name=name, exact=True).click()
        text = (await (await download.value).path()).read_bytes().decode()

        assert sinks.in_csv(text) == []
        assert "'=HYPERLINK" in text
        await hostile.judge()

    await hostile.look("/bill?project=gathering&by=resource")
    async with hostile.page.expect_navigation() as navigation:
        await hostile.page.get_by_role("link", name="JSON", exact=True).click()
    answer = await navigation.value
    assert sinks.in_json(await answer.text()) == []
    await hostile.judge()
