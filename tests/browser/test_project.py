"""A project in the browser: an owner finds it, and follows a credit down to its explanation."""

import re

from playwright.async_api import expect

from tests.acceptance.rights.scene import MARKS, MINE, Scene
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit


async def test_an_owner_follows_a_credit_down_to_its_explanation(
    visit: Visit, scene: Scene
) -> None:
    price = {
        "meter": "openstack_nova_server_status",
        "flavor": f"{MARKS[MINE]}-flavor",
        "credits_per_unit": "2.5",
        "valid_from": "1970-01-01T00:00:00Z",
    }
    async with scene.service.request("POST", "/api/v1/prices", key="admin", json=price) as answer:
        assert answer.status in (200, 201), await answer.text()
    page = await visit("owner", "/")
    await assert_accessible(page)
    await page.get_by_role("link", name=MINE, exact=True).click()
    await page.get_by_role("link", name="Where did my credits go?").click()
    await expect(page.get_by_role("heading", name="By server or volume")).to_be_visible()
    await assert_accessible(page)
    await page.locator("table.steps tbody th a").first.click()
    await expect(page.get_by_role("heading", name="Hour by hour")).to_be_visible()
    await page.locator("table.steps tbody th a").first.click()
    await expect(page.get_by_role("heading", name="How it was booked").first).to_be_visible()
    await expect(page.get_by_role("heading", name="Price").first).to_be_visible()
    await assert_accessible(page)


async def test_an_owner_looks_at_what_runs(visit: Visit) -> None:
    page = await visit("owner", "/")
    await page.get_by_role("link", name=MINE, exact=True).click()
    await page.get_by_role("link", name="Servers and volumes").click()
    await assert_accessible(page)
    await page.locator("table.resources tbody th a").first.click()
    await expect(page.get_by_role("heading", name="Labels")).to_be_visible()
    await assert_accessible(page)


async def test_typing_finds_projects_and_changes_the_address(visit: Visit) -> None:
    page = await visit("administrator", "/")
    rows = page.locator("table.projects tbody tr")
    await expect(rows).not_to_have_count(1)
    await page.get_by_role("searchbox").press_sequentially(MINE)
    await expect(rows).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"search=ownlab"))
    await page.get_by_role("link", name="Left", exact=True).click()
    await expect(page).to_have_url(re.compile(r"search=ownlab.*sort=balance"))
    await expect(page.locator("th[aria-sort=ascending]")).to_have_text("Left")
    await page.get_by_role("searchbox").fill("")
    await expect(rows).not_to_have_count(1)
    await expect(page).to_have_url(re.compile(r"sort=balance"))


async def test_all_of_it_works_without_javascript(visit: Visit) -> None:
    page = await visit("owner", "/", javascript=False)
    await page.get_by_role("searchbox").fill(MINE)
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("table.projects tbody tr")).to_have_count(1)
    await page.get_by_role("link", name="Used", exact=True).click()
    await expect(page.locator("th[aria-sort=descending]")).to_have_text("Used")
    await page.get_by_role("link", name=MINE, exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(MINE)
