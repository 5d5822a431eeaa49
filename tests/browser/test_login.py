"""Logging in and out, choosing a password by a link, and a person's own page, as people do it."""

import psycopg
import pytest
from playwright.async_api import Page, expect

from os_credits.flows.invitations import LoginWish, invite
from os_credits.flows.logins import set_password
from os_credits.store.pool import open_pool
from tests.acceptance.rights.scene import MINE
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit

PASSWORD = "seven green bottles"
NEW_PASSWORD = "eight brown bottles"


async def link_of(visit: Visit, email: str, *, password: str | None = None) -> str:
    """Give the path of a link that chooses a password; with one, use it at once."""
    url = visit.scene.service.settings.database_url
    pool = await open_pool(url, connections_max=1, statement_timeout_seconds=30)
    try:
        invited = await invite(pool, LoginWish(email), author="test", by_mail=False)
        if password is not None:
            await set_password(pool, invited.token, password, "127.0.0.1")
    finally:
        await pool.close()
    return f"/password/{invited.token}"


async def log_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("Mail address").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


async def log_out(page: Page, name: str) -> None:
    await page.locator("summary", has_text=name).click()
    await page.get_by_role("button", name="Log out").click()


async def test_a_person_logs_in_where_they_wanted_to_go_and_out_for_good(visit: Visit) -> None:
    await link_of(visit, "member@example.org", password=PASSWORD)
    page = await visit("nobody", f"/credits_history/{MINE}?range=7d")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    await assert_accessible(page)

    await log_in(page, "member@example.org", PASSWORD)

    await page.wait_for_url(f"**/credits_history/{MINE}?range=7d")
    [cookie] = [one for one in await page.context.cookies() if one.get("name") != "lang"]
    assert cookie.get("httpOnly")
    assert cookie.get("sameSite") == "Lax"
    await log_out(page, "member")
    await expect(page.get_by_role("status")).to_have_text("You are logged out.")
    name, value = cookie.get("name", ""), cookie.get("value", "")
    await page.context.add_cookies([{"name": name, "value": value, "url": visit.url}])
    await page.goto(f"{visit.url}/")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


async def test_a_wrong_password_and_an_unknown_address_are_told_the_same(visit: Visit) -> None:
    await link_of(visit, "member@example.org", password=PASSWORD)
    page = await visit("nobody", "/login")
    told = []
    for email in ("member@example.org", "who@example.org"):
        await log_in(page, email, "wrong wrong wrong")
        told.append(await page.get_by_role("alert").inner_text())
        assert await page.get_by_label("Mail address").input_value() == email
        assert await page.get_by_label("Password").input_value() == ""

    assert told == ["The address or the password is wrong."] * 2


async def test_whoever_tries_too_often_is_told_to_wait(visit: Visit) -> None:
    await link_of(visit, "member@example.org", password=PASSWORD)
    page = await visit("nobody", "/login")
    for _ in range(6):
        await log_in(page, "member@example.org", "wrong wrong wrong")

    await expect(page.get_by_role("alert")).to_contain_text("Too many attempts. Please wait")


@pytest.mark.parametrize(
    "target",
    ["//evil.example/x", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"],
)
async def test_nobody_is_sent_to_another_host_after_logging_in(visit: Visit, target: str) -> None:
    await link_of(visit, "member@example.org", password=PASSWORD)
    page = await visit("nobody", f"/login?next={target}")

    await log_in(page, "member@example.org", PASSWORD)

    await page.wait_for_url(f"{visit.url}/")


async def test_a_link_chooses_a_password_once(visit: Visit) -> None:
    path = await link_of(visit, "new@example.org")
    page = await visit("nobody", path)
    await assert_accessible(page)
    await page.get_by_label("New password").fill("short")
    await page.get_by_label("The same again").fill("short")
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_text("At least 12 characters")).to_be_visible()

    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_label("The same again").fill(PASSWORD)
    await page.get_by_role("button", name="Set the password").click()

    await expect(page.get_by_role("status")).to_contain_text("Your password is set")
    await log_in(page, "new@example.org", PASSWORD)
    await page.wait_for_url(f"{visit.url}/")
    await page.goto(visit.url + path)
    await expect(page.get_by_role("heading", level=1)).to_have_text(
        "This link is of no use any more"
    )


async def test_nothing_that_is_asked_for_from_the_page_of_a_link_names_the_link(
    visit: Visit,
) -> None:
    path = await link_of(visit, "new@example.org")
    told: list[str] = []
    context = await visit.context("nobody")
    context.on("request", lambda request: told.append(request.headers.get("referer", "")))
    page = await context.new_page()

    await page.goto(visit.url + path)
    await page.get_by_role("link", name="os_credits").click()

    assert len(told) > 3
    assert not [referer for referer in told if "/password/" in referer]


async def test_a_person_changes_name_language_and_password(visit: Visit) -> None:
    await link_of(visit, "member@example.org", password=PASSWORD)
    page = await visit("nobody", "/login?next=/me")
    await log_in(page, "member@example.org", PASSWORD)
    await assert_accessible(page)

    await page.get_by_label("Present password").fill(PASSWORD)
    await page.get_by_label("New password").fill(NEW_PASSWORD)
    await page.get_by_label("The same again").fill(NEW_PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("status")).to_contain_text("Your password is changed")
    await page.get_by_label("Name", exact=True).fill("Ada Krause")
    await page.get_by_label("Language of pages and mails").select_option("Deutsch")
    await page.get_by_role("button", name="Save").last.click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Ada Krause")
    await expect(page.get_by_role("status")).to_have_text("Name und Sprache sind gespeichert.")


async def test_a_person_ends_the_session_of_another_browser(visit: Visit) -> None:
    await link_of(visit, "member@example.org", password=PASSWORD)
    here = await visit("nobody", "/login?next=/me")
    await log_in(here, "member@example.org", PASSWORD)
    there = await visit("nobody", "/login?next=/me")
    await log_in(there, "member@example.org", PASSWORD)
    await expect(there.get_by_role("button", name="End", exact=True)).to_have_count(1)

    await there.get_by_role("button", name="End all others").click()

    await expect(there.get_by_role("status")).to_have_text("All other sessions have ended.")
    await here.reload()
    await expect(here.get_by_role("heading", level=1)).to_have_text("Log in")


async def test_a_member_chooses_which_mails_come(visit: Visit) -> None:
    page = await visit("member", "/me")
    await page.locator("summary", has_text=MINE).click()
    await expect(page.get_by_label("credits run out soon")).not_to_be_checked()

    await page.get_by_label("credits run out soon").check()
    await page.get_by_label("All of a day in one mail").check()
    await page.get_by_role("button", name="Save").first.click()

    await expect(page.get_by_role("status")).to_have_text("Which mails you get is saved.")
    with psycopg.connect(visit.scene.service.settings.database_url) as conn:
        stored = conn.execute(
            "SELECT role, wants, digest FROM project_owner WHERE email = 'member@example.org'"
        ).fetchall()
    assert stored == [("member", ["days"], True)]


async def test_a_service_that_sends_no_mails_says_so(visit: Visit) -> None:
    page = await visit("nobody", "/password")

    await expect(page.get_by_role("status")).to_contain_text("An administrator can hand you a link")
    await assert_accessible(page)
