"""Pages of administration: prices, meters, grants and organisations, as a browser uses them."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    open_account,
    push,
    server,
    vcpu,
)
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.logged_in import Visitor, visitor

METER = "project_vcpu_usage"
SERVERS = "openstack_nova_server_status"
PATHS = f"""
/admin/prices /admin/prices/new /admin/prices/of/{METER} /admin/grants /admin/organisations
/admin/prices/of/{SERVERS}?flavor=m1.small /admin/meters /admin/meters/of/{METER}
/admin/meters/waiting /projects/alpha/grants /projects/alpha/exclusions
""".split()
_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class Admin:
    """An administrator's browser, which sends forms as they stand on a page."""

    def __init__(self, client: Documented, person: Visitor) -> None:
        self.client = client
        self.person = person

    async def page(self, path: str, *, status: int = 200) -> str:
        found, text = await self.person.get(path)
        assert status == found, path
        return text

    async def send(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form; gives the status, and where it leads to or what the page says."""
        return await self.person.post(path, **fields)

    async def given(self, path: str, **fields: str) -> str:
        """Send a form that has to be carried out; gives where it leads to."""
        status, answer = await self.send(path, **fields)
        assert status == 303, answer
        return answer

    async def asked(self, path: str, **fields: str) -> dict[str, str]:
        """Send a form that shows what it would do; gives the fields that confirm it."""
        status, answer = await self.send(path, **fields)
        assert status == 200, answer
        return hidden(answer)


def hidden(page: str, action: str = "") -> dict[str, str]:
    """Give the hidden fields of the last form, or of the one that is sent to an address."""
    forms = page.split("<form ")[1:]
    mine = [one for one in forms if not action or f'action="{action}"' in one]
    return {
        name: html.unescape(value) for name, value in _FIELD.findall(mine[-1].split("</form>")[0])
    }


@pytest.fixture
async def admin(database_url: str) -> AsyncIterator[Admin]:
    """Give the browser of an administrator of a service with a booked account."""
    async with running(settings_for(database_url, **BOOK_AT_ONCE)) as service:
        client = await documented(service)
        await open_account(client)
        person = visitor(service, "ada@example.org", name="Ada", is_administrator=True)
        yield Admin(client, person)


async def balance(admin: Admin, project: str = "alpha") -> dict[str, str]:
    found: dict[str, str] = (await admin.client.get(f"/api/v1/projects/{project}", key="admin"))[
        "balance"
    ]
    return found


async def prices_of(admin: Admin, meter: str = METER) -> list[tuple[Any, ...]]:
    found = (await admin.client.get(f"/api/v1/prices?meter={meter}"))["prices"]
    return [(one["credits_per_unit"], one["author"], one["in_effect"]) for one in found]


async def grants_of(admin: Admin, project: str = "alpha") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await admin.client.get(f"/api/v1/projects/{project}/grants"))[
        "grants"
    ]
    return found


async def start_of_usage(admin: Admin) -> str:
    entries = (await admin.client.get("/api/v1/projects/alpha/entries"))["entries"]
    return str(min(one["hour"] for one in entries))[:16]


# --- All pages


@pytest.mark.parametrize("language", ["en", "de"])
async def test_every_page_is_there_in_both_languages(admin: Admin, language: str) -> None:
    for path in PATHS:
        headers = {"Accept": "text/html", "Accept-Language": language}
        async with admin.person.request("GET", path, headers=headers) as one:
            text = await one.text()
        assert (200, 1) == (one.status, text.count("<h1")), path
        assert "style=" not in text


# --- Prices


async def test_a_price_changes_by_its_preview_to_the_last_digit(admin: Admin) -> None:
    before = await balance(admin)
    wish = {
        "meter": METER,
        "flavor": "",
        "amount": "1.234567",
        "valid_from": await start_of_usage(admin),
    }

    status, shown = await admin.send("/admin/prices/preview", **wish)
    confirmed = hidden(shown)
    nothing = await balance(admin)
    to = await admin.given("/admin/prices", **confirmed)

    assert 200 == status
    # 20.5 vCPU-hours, each 0.234567 dearer: 2.345670 for the first hour, 2.462954 for the second.
    assert "+4.808624" in shown
    assert "Corrections for 2 hours that are booked already: +4.808624" in shown
    assert before == nothing | {"as_of": before["as_of"]}
    assert f"/admin/prices/of/{METER}?done=set" == to
    after = await balance(admin)
    assert "31.841957" == after["used"]
    assert ("1.234567", "Ada (login 1)", True) in await prices_of(admin)
    page = await admin.page(to)
    assert "The price is set." in page
    assert "holds now" in page


async def test_a_flavor_is_listed_with_what_it_is_made_of(admin: Admin) -> None:
    sizes = {"vcpus": "2", "ram_gib": "4", "disk_gib": "20"}
    await admin.client.ask("PUT", "/api/v1/flavors/m1.small", key="admin", json=sizes)

    page = await admin.page("/admin/prices")

    row = page[page.index("m1.small") :].partition("</tr>")[0]
    for text in ("2 vCPU", "4 GiB RAM", "20 GiB disk"):
        assert text in row


async def test_a_price_is_set_once_however_often_its_form_is_sent(admin: Admin) -> None:
    wish = {"meter": METER, "flavor": "", "amount": "2", "valid_from": await start_of_usage(admin)}
    confirmed = await admin.asked("/admin/prices/preview", **wish)
    count = len(await prices_of(admin))

    answers = await asyncio.gather(*(admin.send("/admin/prices", **confirmed) for _ in range(3)))

    assert {303} == {status for status, _ in answers}
    assert count + 1 == len(await prices_of(admin))


async def test_a_coming_price_that_changes_nothing_yet_is_set_once_too(admin: Admin) -> None:
    page = await admin.page("/admin/prices/new")
    [start] = re.findall(r'name="valid_from" type="datetime-local" value="([^"]+)"', page)
    wish = {"meter": METER, "flavor": "brand-new", "amount": "3", "valid_from": start}
    count = len(await prices_of(admin))
    _, shown = await admin.send("/admin/prices/preview", **wish)
    assert "Nothing that was measured so far costs more or less." in shown

    to = await admin.given("/admin/prices", **hidden(shown))
    assert to == await admin.given("/admin/prices", **hidden(shown))

    assert count + 1 == len(await prices_of(admin))
    assert f"/admin/prices/of/{METER}?flavor=brand-new&done=set" == to
    assert "brand-new" in await admin.page("/admin/prices")


async def test_what_was_not_looked_at_is_shown_and_not_carried_out(admin: Admin) -> None:
    wish = {"meter": METER, "flavor": "", "amount": "2", "valid_from": await start_of_usage(admin)}
    confirmed = await admin.asked("/admin/prices/preview", **wish)
    stored = await prices_of(admin)

    for changed in (
        {"amount": "200"},
        {"valid_from": "2026-01-01T00:00"},
        {"flavor": "m1.small"},
        {"ends": "on"},
        {"effect": ""},
        {"effect": "1.1." + "0" * 32},
        {"looked_at": ""},
    ):
        status, shown = await admin.send("/admin/prices", **(confirmed | changed))
        assert status == 409, changed
        assert "Please look again before you confirm." in shown

    assert stored == await prices_of(admin)


async def test_an_effect_that_changed_since_is_shown_again(admin: Admin) -> None:
    start = await start_of_usage(admin)
    wish = {"meter": METER, "flavor": "", "amount": "2", "valid_from": start}
    confirmed = await admin.asked("/admin/prices/preview", **wish)
    other = await admin.asked("/admin/prices/preview", **(wish | {"amount": "3"}))
    await admin.given("/admin/prices", **other)

    status, shown = await admin.send("/admin/prices", **confirmed)

    assert 409 == status
    # From 3 credits back to 2: 20.5 credits less.
    assert "20.500000" in shown
    await admin.given("/admin/prices", **hidden(shown))
    assert "47.533333" == (await balance(admin))["used"]


async def test_late_samples_of_a_closed_hour_ask_for_another_look(admin: Admin) -> None:
    start = await start_of_usage(admin)
    wish = {"meter": METER, "flavor": "", "amount": "2", "valid_from": start}
    confirmed = await admin.asked("/admin/prices/preview", **wish)
    late = int(moment_of(start)) + HOUR_SECONDS // 2
    await push(admin.client.service, [vcpu("beta", late, 0), vcpu("beta", late + 600, 4)])

    status, shown = await admin.send("/admin/prices", **confirmed)

    assert 409 == status
    assert "beta" in shown


def moment_of(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


async def test_a_price_ends_and_its_usage_waits_until_there_is_another(admin: Admin) -> None:
    start = await start_of_usage(admin)
    wish = {"meter": METER, "flavor": "", "amount": "", "ends": "on", "valid_from": start}
    _, shown = await admin.send("/admin/prices/preview", **wish)

    assert "Usage loses its price: 20.5" in shown
    await admin.given("/admin/prices", **hidden(shown))

    page = await admin.page("/admin/meters")
    [link] = re.findall(r'href="(/admin/prices/new\?meter=project_vcpu[^"]+)"', page)
    assert start in unquote(html.unescape(link))
    filled = await admin.page(html.unescape(link))
    assert start in filled
    wish = {"meter": METER, "flavor": "", "amount": "1", "valid_from": start}
    _, shown = await admin.send("/admin/prices/preview", **wish)
    assert "Usage without a price becomes priced: 20.5" in shown


async def test_what_is_wrong_with_a_price_stands_beside_its_field(admin: Admin) -> None:
    wish = {"meter": "nothing", "flavor": "", "amount": "1,5", "valid_from": "2026-01-01T00:30"}

    status, shown = await admin.send("/admin/prices/preview", **wish)

    assert 422 == status
    for problem in ("Please choose one of the list.", "This is no number.", "a full hour (UTC)."):
        assert problem in shown
    assert 'value="1,5"' in shown


# --- Grants


async def form_on(admin: Admin, path: str, action: str) -> dict[str, str]:
    number = await number_of(admin, "alpha")
    return hidden(await admin.page(path), f"/projects/%23{number}{action}")


async def number_of(admin: Admin, project: str) -> int:
    return int((await admin.client.get(f"/api/v1/projects/{project}", key="admin"))["id"])


async def test_credits_are_granted_once_however_often_the_form_is_sent(admin: Admin) -> None:
    form = await form_on(admin, "/projects/alpha/grants", "/grants")
    wish = {**form, "amount": "12.5", "reason": "a good year", "priority": "3"}

    answers = await asyncio.gather(
        *(admin.send("/projects/alpha/grants", **wish) for _ in range(4))
    )

    assert {303} == {status for status, _ in answers}
    [grant] = await grants_of(admin)
    assert ("12.500000", "a good year", 3, "Ada (login 1)") == tuple(
        grant[name] for name in ("amount", "reason", "priority", "author")
    )
    page = await admin.page(answers[0][1])
    assert "The credits are granted." in page
    assert "a good year" in await admin.page("/admin/grants")


async def test_another_content_under_a_sent_form_is_not_carried_out(admin: Admin) -> None:
    form = await form_on(admin, "/projects/alpha/grants", "/grants")
    await admin.given("/projects/alpha/grants", **form, amount="10")

    status, shown = await admin.send("/projects/alpha/grants", **form, amount="11")

    assert 409 == status
    assert "This form was carried out before, with other content." in shown
    number = await number_of(admin, "alpha")
    again = hidden(shown, f"/projects/%23{number}/grants")
    assert again["key"] != form["key"]
    await admin.given("/projects/alpha/grants", **again, amount="11")
    assert ["10.000000", "11.000000"] == [one["amount"] for one in await grants_of(admin)]


async def test_a_grant_is_topped_up_and_taken_back_after_a_look(admin: Admin) -> None:
    form = await form_on(admin, "/projects/alpha/grants", "/grants")
    # Valid later, so that nothing of it burns.
    wish = {"amount": "10", "valid_from": "2999-01-01T00:00", "expires_at": "2999-02-01T00:00"}
    await admin.given("/projects/alpha/grants", **form, **wish)
    [grant] = await grants_of(admin)
    path = f"/projects/alpha/grants/{grant['id']}"

    added = await form_on(admin, path, f"/grants/{grant['id']}/top-up")
    await admin.given(f"{path}/top-up", **added, amount="5", reason="more")
    taken = await form_on(admin, path, f"/grants/{grant['id']}/void")
    confirmed = await admin.asked(f"{path}/void", **taken, reason="a mistake")
    states = [one["state"] for one in await grants_of(admin)]
    for _ in range(2):
        await admin.given(f"{path}/void", **confirmed)

    assert ["scheduled", "scheduled"] == states
    assert ["void", "scheduled"] == [one["state"] for one in await grants_of(admin)]


async def test_the_latest_grants_are_narrowed_by_their_state(admin: Admin) -> None:
    made = {}
    for name, more in {
        "valid": {},
        "scheduled": {"valid_from": "2999-01-01T00:00:00Z"},
        "void": {"valid_from": "2999-01-01T00:00:00Z"},
        "expired": {"valid_from": "2020-01-01T00:00:00Z", "expires_at": "2020-02-01T00:00:00Z"},
    }.items():
        body = {"amount": "1", "reason": name, **more}
        path = "/api/v1/projects/alpha/grants"
        reply = await admin.client.ask("POST", path, key="admin", json=body)
        made[name] = reply.json["grant_id"]
    path = f"/api/v1/projects/alpha/grants/{made['void']}/void"
    await admin.client.ask("POST", path, key="admin", json={"reason": "a mistake"})

    for state, number in made.items():
        found = await admin.client.get(f"/api/v1/grants?state={state}", key="admin")
        assert [(number, state)] == [(one["id"], one["state"]) for one in found["grants"]]
        page = await admin.page(f"/admin/grants?state={state}")
        assert [state] == [one for one in made if f"<bdi>{one}</bdi>" in page]


async def test_what_takes_credits_away_says_first_what_will_be_left(admin: Admin) -> None:
    client = admin.client
    await client.ask("POST", "/api/v1/projects", key="admin", json={"name": "beta"})
    form = await form_on(admin, "/projects/alpha/grants", "/grants")
    await admin.given("/projects/alpha/grants", **form, amount="100")
    before = await balance(admin)

    move = await form_on(admin, "/projects/alpha/grants", "/transfers")
    wish = {**move, "to": "beta", "amount": "10", "reason": "for the winter"}
    status, shown = await admin.send("/projects/alpha/transfers", **wish)
    assert (200, "100.000000", before["current"]) == (
        status,
        before["granted"],
        (await balance(admin))["current"],
    )
    assert "−10.000000" in shown
    assert "+10.000000" in shown
    for _ in range(2):
        await admin.given("/projects/alpha/transfers", **hidden(shown))
    assert "10.000000" == (await balance(admin, "beta"))["current"]

    adjust = await form_on(admin, "/projects/alpha/grants", "/adjustments")
    confirmed = await admin.asked(
        "/projects/alpha/adjustments", **adjust, amount="-1.5", reason="counted twice"
    )
    for _ in range(2):
        await admin.given("/projects/alpha/adjustments", **confirmed)
    assert "61.466667" == (await balance(admin))["current"]


async def test_credits_upwards_are_adjusted_without_a_question(admin: Admin) -> None:
    adjust = await form_on(admin, "/projects/alpha/grants", "/adjustments")

    await admin.given("/projects/alpha/adjustments", **adjust, amount="1.5", reason="a gift")

    assert "-25.533333" == (await balance(admin))["current"]


async def test_an_allowance_gives_every_month_and_ends(admin: Admin) -> None:
    form = await form_on(admin, "/projects/alpha/grants", "/allowances")
    wish = {**form, "amount": "7", "reason": "as agreed", "first_month": "2999-01"}
    for _ in range(2):
        await admin.given("/projects/alpha/allowances", **wish)
    [one] = (await admin.client.get("/api/v1/projects/alpha/allowances"))["allowances"]

    ending = await form_on(admin, "/projects/alpha/grants", f"/allowances/{one['id']}/end")
    path = f"/projects/alpha/allowances/{one['id']}/end"
    for _ in range(2):
        await admin.given(path, **ending, end_month="2999-03", reason="it is over")

    [one] = (await admin.client.get("/api/v1/projects/alpha/allowances"))["allowances"]
    assert ("7.000000", "2999-01", "2999-03") == (
        one["amount"],
        one["first_month"],
        one["end_month"],
    )


async def test_a_project_is_closed_and_goes_on(admin: Admin) -> None:
    await admin.given("/projects/alpha/closing", reason="the end", hour="")
    page = await admin.page("/projects/alpha/grants")
    assert "This project ends on" in page or "This project is closed since" in page

    await admin.given("/projects/alpha/reopening", reason="it goes on")

    assert "This project ends on" not in await admin.page("/projects/alpha/grants")


async def test_what_is_wrong_with_a_grant_stands_beside_its_field(admin: Admin) -> None:
    wish = {"amount": "-1", "valid_from": "soon", "expires_at": "", "priority": "5000"}

    status, shown = await admin.send("/projects/alpha/grants", **wish)

    assert 422 == status
    for problem in ("This must be more than 0.", "This is no hour.", "from -1000 to 1000."):
        assert problem in shown
    assert [] == await grants_of(admin)


# --- Samples


async def test_bad_samples_are_taken_out_after_a_look_and_let_in_again(admin: Admin) -> None:
    wish = {"meter": METER, "series": "", "starts_at": "", "ends_at": "", "reason": "wrong"}
    status, shown = await admin.send("/projects/alpha/exclusions/preview", **wish)
    assert (200, True) == (status, "3 samples are taken out." in shown)
    assert "−20.500000" in shown
    assert "27.033333" == (await balance(admin))["used"]

    for _ in range(2):
        await admin.given("/projects/alpha/exclusions", **hidden(shown))

    assert "6.533333" == (await balance(admin))["used"]
    [one] = (await admin.client.get("/api/v1/projects/alpha/exclusions"))["exclusions"]
    await admin.given(f"/projects/alpha/exclusions/{one['id']}/lift", reason="right after all")
    await admin.client.service.rated()
    assert "27.033333" == (await balance(admin))["used"]


async def gap(admin: Admin) -> str:
    """Let a server of beta be seen with a gap; gives the address of the form for a verdict."""
    first = current_hour() - 6 * HOUR_SECONDS
    seen = [first + at * HOUR_SECONDS for at in (0, 1, 3)]
    await push(admin.client.service, [server("beta", one, "s9", "m1.small") for one in seen])
    page = await admin.page("/admin/meters/waiting")
    links = re.findall(r'href="(/admin/meters/waiting/verdict[^"]+verdict=bill)"', page)
    [link] = [html.unescape(one) for one in links if "%23" in one]
    return link


async def test_usage_that_waits_is_billed_after_its_preview_and_once(admin: Admin) -> None:
    link = await gap(admin)
    page = await admin.page(link)
    typed = dict(re.findall(r'name="(\w+)" type="datetime-local" value="([^"]+)"', page))
    wish = {**hidden(page), **typed, "verdict": "bill", "reason": "it ran"}
    before = await balance(admin, "beta")

    status, shown = await admin.send("/admin/meters/waiting/preview", **wish)
    same = await balance(admin, "beta")
    to = await admin.given("/admin/meters/waiting/verdict", **hidden(shown))
    assert to == await admin.given("/admin/meters/waiting/verdict", **hidden(shown))

    assert (200, "/admin/meters/waiting?done=bill") == (status, to)
    assert "2 hours of this project change, by +3.200000 credits in all." in shown
    after = await balance(admin, "beta")
    assert (before["used"], "4.800000") == (same["used"], after["used"])
    said = (await admin.client.get("/api/v1/projects/beta/settlements"))["settlements"]
    assert [("bill", "it ran", "Ada (login 1)")] == [
        (one["verdict"], one["reason"], one["author"]) for one in said
    ]
    assert "Nothing waits for a verdict." in await admin.page(to)


async def test_a_verdict_needs_a_reason_and_what_was_looked_at(admin: Admin) -> None:
    page = await admin.page(await gap(admin))
    typed = dict(re.findall(r'name="(\w+)" type="datetime-local" value="([^"]+)"', page))
    wish = {**hidden(page), **typed, "verdict": "waive", "reason": ""}

    status, shown = await admin.send("/admin/meters/waiting/preview", **wish)
    assert (422, True) == (status, "Please fill this in." in shown)
    confirmed = await admin.asked("/admin/meters/waiting/preview", **(wish | {"reason": "no"}))
    changed = confirmed | {"verdict": "bill"}
    status, shown = await admin.send("/admin/meters/waiting/verdict", **changed)

    assert (409, True) == (status, "Please look again before you confirm." in shown)
    assert [] == (await admin.client.get("/api/v1/projects/beta/settlements"))["settlements"]


async def test_machines_read_what_the_pages_show(admin: Admin) -> None:
    await gap(admin)
    start = await start_of_usage(admin)
    ends = {"meter": METER, "credits_per_unit": "none", "valid_from": f"{start}Z"}
    await admin.client.ask("POST", "/api/v1/prices", key="admin", json=ends)
    give = {"amount": "3", "reason": "by key"}
    await admin.client.ask("POST", "/api/v1/projects/alpha/grants", key="admin", json=give)

    [waits] = (await admin.client.get("/api/v1/unsettled", key="admin"))["unsettled"]
    unpriced = await admin.client.get("/api/v1/unpriced", key="admin")
    [grant] = (await admin.client.get("/api/v1/grants?author=test", key="admin"))["grants"]
    versions = (await admin.client.get(f"/api/v1/meters/{METER}/revisions"))["versions"]

    assert ("beta", "s9", "2", "3.200000") == (
        waits["project"]["name"], waits["resource"], waits["quantity"], waits["credits_if_billed"],
    )  # fmt: skip
    assert [(METER, None, "20.5", 1)] == [
        (one["meter"], one["flavor"], one["quantity"], one["project_count"])
        for one in unpriced["unpriced"]
    ]
    assert unpriced["is_all"]
    assert ("alpha", "3.000000", "valid") == (
        grant["project"]["name"], grant["amount"], grant["state"],
    )  # fmt: skip
    assert [METER] == [one["definition"]["name"] for one in versions]


async def test_a_key_sets_a_price_with_just_the_effect_of_its_preview(admin: Admin) -> None:
    start = await start_of_usage(admin)
    wish = {"meter": METER, "credits_per_unit": "2", "valid_from": f"{start}Z"}

    seen = await admin.client.ask(
        "POST", "/api/v1/prices", key="admin", json={**wish, "preview": True}
    )
    once = {**wish, "effect": seen.json["effect"]}
    replies = [
        await admin.client.ask("POST", "/api/v1/prices", key="admin", json=once) for _ in range(2)
    ]
    other = await admin.client.ask(
        "POST", "/api/v1/prices", key="admin", json={**once, "credits_per_unit": "3"}
    )

    assert [201, 200, 409] == [*(one.status for one in replies), other.status]
    assert ("20.500000", "20.500000", 2, True) == tuple(
        seen.json[name] for name in ("credits", "booked_credits", "booked_hour_count", "is_new")
    )
    assert [("alpha", "20.500000")] == [
        (one["project"]["name"], one["credits"]) for one in seen.json["projects"]
    ]
    assert replies[0].json["price_id"] == replies[1].json["price_id"]


# --- Organisations


async def test_an_organisation_is_made_moved_and_gets_projects_and_budgets(admin: Admin) -> None:
    top = await admin.given("/admin/organisations", name="North & sons")
    low = await admin.given("/admin/organisations", name="Team <b>")
    top, low = urlsplit(top).path, urlsplit(low).path

    move = {"parent": "North & sons", "valid_from": "2026-01-01T00:00", "reason": "founded"}
    await admin.given(f"{low}/parent", **move)
    await admin.given(
        f"{low}/projects", project="alpha", valid_from="2026-01-01T00:00", reason="theirs"
    )
    budget = hidden(await admin.page(low), f"{low}/budgets")
    for _ in range(2):
        await admin.given(
            f"{low}/budgets",
            **budget,
            amount="50",
            reason="for a year",
            valid_from="2999-01-01T00:00",
        )

    tree = await admin.page("/admin/organisations")
    assert tree.index("North &amp; sons") < tree.index("Team &lt;b&gt;")
    page = await admin.page(low)
    assert "alpha" in page
    assert 1 == page.count("for a year")
    [one] = (await admin.client.get("/api/v1/organisations/Team%20%3Cb%3E/budgets", key="admin"))[
        "budgets"
    ]
    confirmed = await admin.asked(f"{low}/budgets/{one['id']}/void", reason="a mistake")
    for _ in range(2):
        await admin.given(f"{low}/budgets/{one['id']}/void", **confirmed)
    status, shown = await admin.send(f"{top}/parent", **(move | {"parent": "Team <b>"}))
    assert (409, True) == (status, "beneath itself" in shown)


async def test_lines_of_an_organisation_are_said_and_taken_back(admin: Admin) -> None:
    path = urlsplit(await admin.given("/admin/organisations", name="North")).path
    number = path.rpartition("/")[2]
    path = f"/organisations/{number}/lines"

    to = await admin.given(path, percents="50; 10", credits="none", reason="we are small")
    said = await admin.client.get("/api/v1/organisations/North/thresholds", key="admin")
    page = await admin.page(to)
    await admin.given(path, reason="as all others")
    after = await admin.client.get("/api/v1/organisations/North/thresholds", key="admin")
    status, shown = await admin.send(path, percents="many", reason="")

    assert (["10", "50"], []) == (
        sorted(str(int(float(one))) for one in said["lines"]["percents"]), said["lines"]["credits"],
    )  # fmt: skip
    assert "we are small" in page
    assert [] == after["rules"]
    assert (422, True) == (status, "This is no number." in shown)


# --- Who may


async def test_nobody_but_administrators_gets_anything(admin: Admin) -> None:
    service: Service = admin.client.service
    stranger = visitor(service, "eve@example.org", name="Eve")
    for path in PATHS:
        status, _ = await stranger.get(path)
        assert status == (404 if path.startswith("/projects") else 403), path
    for path in ("/admin/prices", "/admin/prices/preview", "/projects/alpha/grants"):
        status, _ = await stranger.post(path, amount="1")
        assert status == 403, path


async def test_an_owner_reads_grants_and_finds_no_form(admin: Admin) -> None:
    owners = {"owners": [{"email": "eve@example.org", "role": "owner"}]}
    reply = await admin.client.ask("PUT", "/api/v1/projects/alpha/owners", key="admin", json=owners)
    assert reply.status == 200
    form = await form_on(admin, "/projects/alpha/grants", "/grants")
    await admin.given("/projects/alpha/grants", **form, amount="12", reason="for reading")
    owner = visitor(admin.client.service, "eve@example.org", name="Eve")
    number = quote(f"#{await number_of(admin, 'alpha')}", safe="")

    status, text = await owner.get(f"/projects/{number}/grants")

    assert (200, True) == (status, "for reading" in text)
    assert f'action="/projects/{number}' not in text
    assert 200 == (await owner.get(f"/projects/{number}/exclusions"))[0]
    assert 403 == (await owner.post(f"/projects/{number}/grants", amount="1"))[0]
