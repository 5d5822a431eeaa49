"""The pages in a real browser (Debian's Chromium), each role in a context of its own.

How to write a test of pages (tests/browser/test_<area>.py):

    async def test_an_owner_finds_a_project(visit: Visit) -> None:
        page = await visit("owner", "/")                  # logged in, on that page
        await page.get_by_role("link", name=MINE, exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(MINE)
        await assert_accessible(page)                     # from tests.browser.axe

- `scene` is the service with what `tests/acceptance/rights/scene.py` stores: the projects
  MINE, OURS and THEIRS (with usage, grants, people), the organisations NORTH and SOUTH; people of
  every role ("administrator", "manager", "owner", "member", "stranger"), and "nobody", who has not
  logged in. It is made anew for each test; `scene.service.request(...)` changes more by API.
- `visit(role, path, width=1440, dark=False, language="en", javascript=True)` opens one page. Let
  tests look for what people see: `get_by_role`, `get_by_label`, `get_by_text`; `expect` waits.
- When a test ends, it fails if any of its pages wrote an error or warning to the console, raised
  an error, was refused something by the content security policy, asked another host, or lacked a
  file. A test that expects one of these removes it from `visit.problems`.
- `running_scene(**settings)` (an asynchronous context) gives a scene with other settings.

Tests of this folder share one event loop and one browser.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from os_credits.domain.visit import SESSION_COOKIE
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.rights.scene import Scene, make_scene
from tests.browser.chromium import chromium
from tests.browser.watch import Watch

HERE = Path(__file__).resolve().parent
# Long enough for a machine that is busy with other tests.
PATIENCE_MS = 15_000
TIMEOUT_SECONDS = 300
expect.set_options(timeout=PATIENCE_MS)
LOCALES = {"en": "en-GB", "de": "de-DE"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of this folder share an event loop, which the browser belongs to."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Give the browser; its contexts know nothing of each other."""
    async with chromium() as one:
        yield one


@asynccontextmanager
async def running_scene(database_url: str, **changes: Any) -> AsyncIterator[Scene]:
    """Run the service with some settings, with people and projects stored."""
    async with running(settings_for(database_url, **changes)) as service:
        yield await make_scene(service)


@pytest_asyncio.fixture(loop_scope="session")
async def scene(database_url: str) -> AsyncIterator[Scene]:
    """Give a running service with people and projects, for one test."""
    async with running_scene(database_url) as one:
        yield one


@dataclass(slots=True)
class Visit:
    """Opens pages of a scene's service in the name of its people."""

    browser: Browser
    scene: Scene
    watch: Watch
    contexts: list[BrowserContext] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Give where the service is."""
        return self.scene.service.url

    @property
    def problems(self) -> list[str]:
        """Give what went wrong so far in the pages."""
        return self.watch.problems

    async def __call__(self, role: str, path: str = "/", **options: Any) -> Page:
        """Open a page in a role; `options` are those of `context`."""
        context = await self.context(role, **options)
        page = await context.new_page()
        await page.goto(self.url + path)
        return page

    async def context(
        self,
        role: str,
        *,
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
        language: str = "en",
        javascript: bool = True,
    ) -> BrowserContext:
        """Make a browser of its own for a role, logged in unless it is "nobody"."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=LOCALES[language],
            timezone_id="Europe/Berlin",
            java_script_enabled=javascript,
            reduced_motion="reduce",
        )
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        await self.watch.follow(context)
        if role != "nobody":
            token = self.scene.visitors[role].token
            await context.add_cookies(
                [{"name": SESSION_COOKIE, "value": token, "url": self.url, "httpOnly": True}]
            )
        return context


@asynccontextmanager
async def visiting(browser: Browser, scene: Scene) -> AsyncIterator[Visit]:
    """Give the way to open pages of a scene; afterwards, nothing may have gone wrong in any."""
    one = Visit(browser, scene, Watch(urlsplit(scene.service.url).netloc))
    yield one
    for context in one.contexts:
        await context.close()

    assert not one.problems


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, scene: Scene) -> AsyncIterator[Visit]:
    """Give the way to open pages; afterwards, nothing may have gone wrong in any of them."""
    async with visiting(browser, scene) as one:
        yield one
