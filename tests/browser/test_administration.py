"""What administrators do in a browser: a price after its preview, credits, a look at each page."""

import pytest
from playwright.async_api import expect

from tests.acceptance.rights.scene import MARKS, MINE, THEIRS
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit

SERVERS = "openstack_nova_server_status"
FLAVOR = f"{MARKS[MINE]}-flavor"
PAGES = f"""
/admin/prices /admin/prices/new /admin/prices/of/{SERVERS} /admin/meters
/admin/meters/of/{SERVERS} /admin/meters/waiting /admin/grants /admin/organisations
/admin/organisations/1 /organisations/1/lines /projects/{MINE}/grants /projects/{MINE}/exclusions
""".split()


async def test_a_price_is_set_after_its_preview(visit: Visit) -> None:
    page = await visit("administrator", "/admin/meters")
    row = page.get_by_role("row").filter(has_text=FLAVOR)

    await row.get_by_role("link", name="Set a price").click()
    await page.get_by_label("Credits per unit").fill("2.5")
    await page.get_by_role("button", name="Show what changes").click()
    preview = page.get_by_role("region", name="What changes")
    await expect(preview).to_contain_text("Usage without a price becomes priced")
    await expect(preview.get_by_role("row").filter(has_text=MINE)).to_be_visible()
    await assert_accessible(page)
    await preview.get_by_role("button", name="Set the price just so").click()

    await expect(page.get_by_role("status")).to_contain_text("The price is set.")
    await expect(page.get_by_role("row").filter(has_text="holds now")).to_contain_text("2.5")
    await page.goto(f"{visit.url}/admin/meters")
    await expect(page.get_by_role("row").filter(has_text=FLAVOR)).to_have_count(0)


async def test_what_is_wrong_with_a_price_is_shown_in_place(visit: Visit) -> None:
    page = await visit("administrator", "/admin/prices/new")

    await page.get_by_label("Meter").select_option(SERVERS)
    await page.get_by_label("Credits per unit").fill("a lot")
    await page.get_by_role("button", name="Show what changes").click()

    field = page.get_by_label("Credits per unit")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_value("a lot")
    await expect(page.get_by_text("This is no number.")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
async def test_credits_are_granted_and_moved_after_a_look(visit: Visit, javascript: bool) -> None:
    page = await visit("administrator", f"/projects/{MINE}/grants", javascript=javascript)

    await page.locator("summary", has_text="Grant credits").first.click()
    form = page.locator("details#grant")
    await form.get_by_label("Credits").fill("250")
    await form.get_by_label("Reason").fill("for the winter term")
    await form.get_by_role("button", name="Grant credits").click()
    await expect(page.get_by_role("status")).to_have_text("The credits are granted.")
    given = page.get_by_role("row").filter(has_text="for the winter term")
    await expect(given).to_contain_text("250")

    await page.locator("summary", has_text="Move credits").click()
    form = page.locator("details#transfer")
    await form.get_by_label("To", exact=False).first.fill(THEIRS)
    await form.get_by_label("Credits").fill("20")
    await form.get_by_label("Reason").fill("shared")
    await form.get_by_role("button", name="Show what will be left").click()
    await expect(page.get_by_role("row").filter(has_text=THEIRS)).to_contain_text("+20.000000")
    await page.get_by_role("button", name="Yes, do it").click()

    await expect(page.get_by_role("status")).to_have_text("The credits are moved.")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_every_page_is_accessible_and_fits(visit: Visit, width: int, language: str) -> None:
    page = await visit("administrator", "/admin/prices", width=width, language=language)
    for path in PAGES:
        await page.goto(visit.url + path)

        await assert_accessible(page)
        wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, path
