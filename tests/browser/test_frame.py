"""The frame around all pages: where a visitor can go, languages, the menu of a phone."""

from playwright.async_api import expect

from tests.acceptance.rights.scene import MINE, THEIRS
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit


async def test_a_member_sees_the_projects_and_no_administration(visit: Visit) -> None:
    page = await visit("member")

    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    await expect(page.get_by_role("link", name=MINE, exact=True)).to_be_visible()
    await expect(page.get_by_text(THEIRS)).to_have_count(0)
    await expect(page.get_by_role("link", name="Administration")).to_have_count(0)
    await assert_accessible(page)


async def test_who_is_logged_in_stays_so_on_the_page_of_an_unknown_address(visit: Visit) -> None:
    page = await visit("member", "/nowhere")

    await expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    await expect(page.get_by_role("link", name="Log in")).to_have_count(0)
    await assert_accessible(page)


async def test_a_language_is_chosen_by_a_link_and_stays(visit: Visit) -> None:
    page = await visit("member")

    await page.get_by_role("link", name="Deutsch").click()

    await expect(page.locator("html")).to_have_attribute("lang", "de")
    assert "lang=" not in page.url
    await page.get_by_role("link", name=MINE, exact=True).click()
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.get_by_role("heading", name="Zuteilungen")).to_be_visible()


async def test_a_browser_that_prefers_german_gets_german(visit: Visit) -> None:
    page = await visit("member", language="de")

    await expect(page.locator("html")).to_have_attribute("lang", "de")


async def test_the_menu_of_a_phone_opens_without_any_script(visit: Visit) -> None:
    page = await visit("administrator", width=390, javascript=False)
    log_out = page.get_by_role("button", name="Log out")
    await expect(log_out).to_be_hidden()

    await page.locator("summary", has_text="Menu").click()

    await expect(log_out).to_be_visible()
    await expect(page.get_by_role("link", name="Projects")).to_be_visible()
