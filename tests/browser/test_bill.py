"""Bills and the calculator in a browser: find one, take it along, print it; see what costs what."""

import csv
import io
from decimal import Decimal
from pathlib import Path

from playwright.async_api import expect

from tests.acceptance.rights.scene import MARKS, MINE, NORTH, OURS
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit

SERVER = f"{MARKS[MINE]}-server"


async def test_a_manager_downloads_the_bill_of_an_organisation(
    visit: Visit, tmp_path: Path
) -> None:
    page = await visit("manager", "/bill")
    await assert_accessible(page)
    await page.get_by_role("link", name=NORTH, exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Bill: {NORTH}")
    await assert_accessible(page)
    await page.get_by_role("link", name="By project", exact=True).click()
    await expect(page.get_by_role("rowheader", name=MINE, exact=True)).to_be_visible()

    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV", exact=True).click()
    file = await download.value
    path = tmp_path / file.suggested_filename
    await file.save_as(path)

    assert path.name.startswith("bill-organisation-")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    total = next(row for row in rows if row["row"] == "total")
    lines = sum(Decimal(row["credits"]) for row in rows if row["row"] == "line")
    assert Decimal(total["credits"]) == lines
    assert {MINE, OURS} == {row["project"] for row in rows if row["row"] == "subtotal"}


async def test_an_owner_walks_down_to_a_server_and_prints(visit: Visit) -> None:
    page = await visit("owner", f"/bill?project={MINE}&range=year")
    await expect(page.get_by_text("What else changed the balance")).to_be_visible()
    await page.get_by_role("link", name="By resource", exact=True).click()
    await page.get_by_role("link", name=SERVER, exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(SERVER)
    await assert_accessible(page)

    await page.get_by_role("link", name="Print view").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(SERVER)
    await page.emulate_media(media="print")
    await expect(page.get_by_role("link", name="Back to the bill")).to_be_hidden()
    thead = page.locator("thead").first
    await expect(thead).to_have_css("display", "table-header-group")
    await assert_accessible(page)


async def test_days_are_chosen_without_any_script(visit: Visit) -> None:
    page = await visit("owner", f"/bill?project={MINE}", javascript=False)
    await page.get_by_label("From").fill("2026-01-01")
    await page.get_by_label("to", exact=True).fill("2026-01-31")
    await page.get_by_role("button", name="Show", exact=True).click()

    await expect(page.get_by_text("Nothing was charged in this time.")).to_be_visible()


async def test_the_calculator_answers_while_typing_and_by_its_button(visit: Visit) -> None:
    page = await visit("member", "/calculator")
    await assert_accessible(page)
    await page.get_by_label("Flavor", exact=True).first.fill(f"{MARKS[MINE]}-flavor")
    await page.get_by_label("Count", exact=True).first.fill("2")
    await expect(page.locator("#result").get_by_text(f"{MARKS[MINE]}-flavor")).to_be_visible()
    await page.get_by_role("button", name="One more row").click()
    await expect(page.get_by_label("Flavor", exact=True)).to_have_count(3)
    await page.get_by_label("Project that would pay").fill(MINE)
    await page.get_by_role("button", name="Calculate").click()
    await expect(page.get_by_label("Project that would pay")).to_have_value(MINE)
    await assert_accessible(page)


async def test_a_bill_fits_a_phone_in_the_dark_and_speaks_german(visit: Visit) -> None:
    page = await visit(
        "owner", f"/bill?project={MINE}&range=year", width=390, dark=True, language="de"
    )

    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Abrechnung: {MINE}")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    await assert_accessible(page)
