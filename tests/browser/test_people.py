"""People, keys, sources, health and the audit log in a browser, as those who work with them."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.acceptance.rights.scene import MARKS, MINE
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit

ADMINISTRATION = (
    "/admin/health", "/admin/people", "/admin/people/1", "/admin/keys", "/admin/keys/1/revoke",
    "/admin/sources", "/admin/audit", "/admin/addresses/owner%40example.org",
    "/organisations/north/managers", f"/projects/{MINE}/people",
    f"/projects/{MINE}/people/change?email=owner@example.org",
)  # fmt: skip


async def is_within(page: Page) -> bool:
    """Tell whether the page as a whole does not have to be moved sideways."""
    script = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    return bool(await page.evaluate(script))


async def test_an_owner_adds_a_person_changes_it_and_sees_who_did_it(visit: Visit) -> None:
    page = await visit("owner", f"/projects/{MINE}/people")
    await page.locator("summary", has_text="Add a person").click()
    await page.get_by_label("Mail address").fill("new@example.org")
    await page.get_by_label("Name").first.fill("New One")
    await page.get_by_role("button", name="Add this person").click()

    await expect(page.get_by_role("status").first).to_contain_text("from now on")
    row = page.get_by_role("row", name=re.compile("New One"))
    await expect(row).to_contain_text("member")
    await row.get_by_role("link", name="Change").click()
    await page.get_by_label("Role").select_option("owner")
    await page.get_by_role("button", name="Change").click()

    await expect(page.get_by_role("row", name=re.compile("New One")).first).to_contain_text("owner")
    changes = page.locator("#changes")
    await expect(changes).to_contain_text("added new@example.org as a member")
    await expect(changes).to_contain_text("role: member → owner")
    await assert_accessible(page)


async def test_an_owner_tries_lines_before_they_hold(visit: Visit) -> None:
    page = await visit("owner", f"/projects/{MINE}/people", javascript=False)
    await page.locator("summary", has_text="Change the lines").click()
    await page.get_by_label("Per cent of the valid grants that are left").fill("100 50")
    await page.get_by_role("button", name="Show what would have been told").click()
    await expect(page.locator(".preview")).to_contain_text("would have been written")

    await page.get_by_label("Reason").fill("earlier")
    await page.get_by_role("button", name="Let these lines hold").click()

    lines = page.get_by_role("region", name="Lines at which people are told")
    await expect(lines).to_contain_text("this project")
    await expect(lines).to_contain_text("100")


async def test_a_member_sees_names_and_no_address(visit: Visit) -> None:
    page = await visit("member", f"/projects/{MINE}/people")

    await expect(page.get_by_role("cell", name="owner").first).to_be_visible()
    await expect(page.get_by_text(f"{MARKS[MINE]}-owner")).to_be_visible()
    await expect(page.get_by_text("@")).to_have_count(0)
    await expect(page.get_by_text("Add a person")).to_have_count(0)
    await assert_accessible(page)


async def test_an_administrator_makes_a_key_and_revokes_it(visit: Visit) -> None:
    page = await visit("administrator", "/admin/keys")
    await page.locator("summary", has_text="Make a key").click()
    await page.get_by_label("Name").fill("new key")
    await page.get_by_role("checkbox", name="read projects").check()
    await page.get_by_role("button", name="Make the key").click()

    await expect(page.locator(".secret")).to_have_text(re.compile(r"[\w-]{30}"))
    await assert_accessible(page)
    await page.get_by_role("link", name="All keys").click()
    await page.get_by_role("row", name=re.compile("new key")).get_by_role("link").click()
    await page.get_by_role("button", name="Revoke the key").click()
    await expect(page.get_by_role("row", name=re.compile("new key"))).to_contain_text("revoked")


async def test_an_administrator_invites_somebody_by_a_link(visit: Visit) -> None:
    page = await visit("administrator", "/admin/people")
    await page.locator("summary", has_text="Invite somebody").click()
    await page.get_by_label("Mail address").first.fill("ada@example.org")
    await page.get_by_label("Name", exact=True).fill("Ada")
    await page.get_by_role("button", name="Invite").click()

    await expect(page.locator(".secret")).to_contain_text("/password/")
    await page.get_by_role("link", name="To this login").click()
    await page.get_by_role("button", name="Make an administrator").click()
    await expect(page.get_by_text("administer everything")).to_be_visible()


async def test_an_administrator_reads_who_did_what(visit: Visit) -> None:
    page = await visit("administrator", "/admin/audit")
    await page.get_by_label("What").select_option("project_grant")
    await page.get_by_label("Project").fill(MINE)
    await page.get_by_role("button", name="Show").click()

    line = page.get_by_text(f"granted 100 credits: {MARKS[MINE]}")
    await expect(line).to_be_visible()
    await line.click()
    await expect(page.get_by_text("priority")).to_be_visible()


@pytest.mark.parametrize("width, dark", [(1440, False), (820, True), (390, False)])
async def test_pages_are_accessible_and_fit_any_width(visit: Visit, width: int, dark: bool) -> None:
    context = await visit.context("administrator", width=width, dark=dark)
    page = await context.new_page()
    for path in ADMINISTRATION:
        await page.goto(visit.url + path)
        assert await is_within(page), path
        await assert_accessible(page)
