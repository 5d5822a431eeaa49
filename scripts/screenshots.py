"""`make screenshots`: takes the README's pictures of the demo that `make run` shows.

The demo is found by its data folder (DATA_DIR); nothing is changed in it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from scripts import demo_env, places
from scripts.progress import StepError, give_up, note
from tests.browser.chromium import chromium

FOLDER = places.CHECKOUT / "docs" / "images"
# More would make the README slow to open.
BYTES_MAX = 250_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: who looks at what, on which screen; `way` leads to it from the first page."""

    name: str
    who: str
    way: Callable[[Page], Awaitable[None]]
    width: int
    height: int
    dark: bool = False


async def _overview(page: Page) -> None:
    await expect(page.locator("table.projects")).to_be_visible()


async def _open(page: Page, project: str) -> None:
    await page.get_by_role("link", name=project, exact=True).click()
    await expect(page.locator("#chart-used canvas")).to_be_visible()


async def _single_cell(page: Page) -> None:
    await _open(page, "single-cell")


async def _genome_atlas(page: Page) -> None:
    await _open(page, "genome-atlas")


async def _bill(page: Page) -> None:
    await page.goto("/bill")
    await page.get_by_role("link", name="Life Sciences", exact=True).click()
    await expect(page.locator("#bill-chart canvas")).to_be_visible()


async def _corrected_hour(page: Page) -> None:
    await _open(page, "single-cell")
    await page.locator("table.changes td.when a").last.click()
    await page.goto(page.url.partition("#")[0])
    await expect(page.get_by_role("heading", name="How it was booked").first).to_be_visible()


async def _price_preview(page: Page) -> None:
    await page.goto("/admin/prices/new?meter=openstack_nova_server_status&flavor=m1.large")
    start = datetime.now(UTC) - timedelta(days=5)
    await page.get_by_label("Credits per unit").fill("7")
    await page.get_by_label("From (UTC)").fill(f"{start:%Y-%m-%dT00:00}")
    await page.get_by_role("button", name="Show what changes").click()
    await expect(page.get_by_role("heading", name="What changes")).to_be_visible()


PICTURES = (
    Picture("overview", "admin", _overview, 1440, 900),
    Picture("project-dark", "manager", _single_cell, 1440, 1000, dark=True),
    Picture("project-phone", "owner", _genome_atlas, 390, 1200, dark=True),
    Picture("bill", "manager", _bill, 820, 1100),
    Picture("hour", "manager", _corrected_hour, 1440, 1300),
    Picture("price-preview", "admin", _price_preview, 1440, 900),
)


def main() -> None:
    """Take all pictures, or say what is missing."""
    folder = places.data_dir()
    try:
        asyncio.run(_take_all(_read(folder, "OS_CREDITS_URL"), _read(folder, demo_env.PASSWORD)))
    except StepError as error:
        give_up(error)


def _read(folder: Path, name: str) -> str:
    value = demo_env.read(folder, name)
    if value is None:
        raise StepError(f"{folder} is of no demo: say make run first, with this DATA_DIR.")
    return value


async def _take_all(url: str, password: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for picture in PICTURES:
            path = FOLDER / f"{picture.name}.png"
            async with _logged_in(browser, picture, url, password) as page:
                await picture.way(page)
                await page.screenshot(path=path)
            size = path.stat().st_size
            note(f"{path.relative_to(places.CHECKOUT)}: {size:,} bytes")
            if size > BYTES_MAX:
                raise StepError(f"{path} is longer than {BYTES_MAX:,} bytes.")


@asynccontextmanager
async def _logged_in(
    browser: Browser, picture: Picture, url: str, password: str
) -> AsyncIterator[Page]:
    context = await browser.new_context(
        base_url=url,
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.dark else "light",
        locale="en-GB",
        reduced_motion="reduce",
    )
    try:
        page = await context.new_page()
        await page.goto("/login")
        await page.get_by_label("Mail address").fill(f"{picture.who}@demo.example")
        await page.get_by_label("Password").fill(password)
        await page.locator("main").get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="Projects")).to_be_visible()
        yield page
    finally:
        await context.close()


if __name__ == "__main__":
    main()
