"""A history with every kind of line: as a page, as JSON and as a file for spreadsheets."""

import asyncio
import csv
import io
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from os_credits.domain.access import Scope
from tests.acceptance.accounts import BOOK_AT_ONCE
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.test_page import chart_of, counter, hours_ago, page, plain, push, send
from tests.payloads import PAYLOADS, acting_signs

HISTORY = "/credits_history/alpha?start_date=2000-01-01"
EVIL = "</td><script>alert(1)</script>=cmd"


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Service]:
    """Give a service that books hours as soon as they are over."""
    settings = settings_for(database_url, **BOOK_AT_ONCE, forecast_interval_seconds=0.2)
    async with running(settings) as one:
        yield one


def shown(ago: int) -> str:
    return datetime.fromtimestamp(hours_ago(ago) / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


async def history(service: Service, path: str = HISTORY, *, key: str = "read") -> Any:
    async with service.request("GET", path, key=key) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def table(
    service: Service, path: str = f"{HISTORY}&format=csv", *, key: str = "read"
) -> list[dict[str, str]]:
    async with service.request("GET", path, key=key) as response:
        text = await response.text()
        assert response.status == 200, text
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


async def until(service: Service, expected: dict[str, int]) -> Any:
    """Wait until the history has so many lines of each kind."""
    async with asyncio.timeout(30):
        while True:
            found = await history(service)
            if Counter(row["kind"] for row in found["rows"]) == Counter(expected):
                return found
            await asyncio.sleep(0.1)


async def instructed(service: Service, path: str, **body: Any) -> Any:
    return await send(service, "POST", f"/api/v1/projects/{path}", body)


async def eventful(service: Service, *, reason: str = "for the start") -> Any:
    """Let alpha have a line of every kind; gives its history."""
    for name in ("alpha", "beta"):
        project = {"name": name, "site": "here", "external_id": f"id-{name}"}
        await send(service, "POST", "/api/v1/projects", project)
    samples = [(hours_ago(5 - number), 100 + 2.0 * number) for number in range(5)]
    await push(service, counter(), samples)
    await instructed(
        service, "alpha/grants", amount="50", reason=reason, idempotency_key="short",
        valid_from=shown(5), expires_at=shown(2), priority=-1,
    )  # fmt: skip
    await instructed(service, "alpha/grants", amount="1000", reason=reason, idempotency_key="long")
    await instructed(
        service, "alpha/grants", amount="70", reason="next year", idempotency_key="later",
        valid_from=shown(-48), expires_at=shown(-960),
    )  # fmt: skip
    wrong = await instructed(
        service, "alpha/grants", amount="7", reason=reason, idempotency_key="wrong"
    )
    await instructed(
        service, f"alpha/grants/{wrong['grant_id']}/void", reason="a slip", idempotency_key="void"
    )
    await instructed(
        service, "alpha/adjustments", amount="-3", reason="billed twice", idempotency_key="minus"
    )
    await instructed(
        service, "alpha/transfers", to="beta", amount="20", reason="lent", idempotency_key="out"
    )
    await until(service, {"usage": 4, "grant": 4, "adjustment": 1, "transfer": 1, "expiry": 1})
    price = {"meter": "project_vcpu_usage", "credits_per_unit": "2", "valid_from": shown(4)}
    await send(service, "POST", "/api/v1/prices", price)
    return await until(
        service,
        {"usage": 4, "grant": 4, "adjustment": 1, "transfer": 1, "expiry": 1, "correction": 4},
    )


async def test_json_tells_every_line_and_what_became_of_each_grant(service: Service) -> None:
    found = await eventful(service)

    rows = found["rows"]
    assert rows[-1]["balance"] == found["balance"]["current"]
    [moved] = [row for row in rows if row["kind"] == "transfer"]
    assert (moved["credits"], moved["other_project"]) == ("-20.000000", "beta")
    corrected = [row for row in rows if row["kind"] == "correction"]
    # Three hours cost twice as much; of the grant that has ended, as much less was left over.
    assert sorted(row["credits"] for row in corrected) == ["-2.000000"] * 3 + ["4.000000"]
    assert all(row["reason"] for row in corrected)
    grants = {one["reason"] + one["state"]: one for one in found["grants"]}
    assert grants["for the startexpired"]["expired"] == "40.000000"
    assert grants["for the startvalid"]["left"] == found["balance"]["current"]
    assert grants["next yearscheduled"]["left"] == "70.000000"
    assert grants["for the startvoid"]["left"] == "0.000000"
    assert [one["state"] for one in found["grants"]] == ["valid", "scheduled", "void", "expired"]
    assert found["forecast"]["state"] == "short"
    following = await history(service, f"{HISTORY}&limit=1&after={hours_ago(1)}.0.0.0")
    assert following["grants"] is following["forecast"] is None


async def test_the_page_tells_every_line_in_words(service: Service) -> None:
    found = await eventful(service)

    text = await page(service, "/credits_history/alpha?range=24h")

    seen = plain(text)
    for words in (
        "Grant for the start", "coming", "taken back", "40.00 unused", "Grant taken back",
        "Adjustment", "billed twice", "Transfer to beta", "lent", "Expired", "Correction ",
        "Correction of what expired", "priority", "Every line of this time as CSV",
    ):  # fmt: skip
        assert words in seen, words
    assert "needs 3 more days of usage" in seen
    chart = chart_of(text)
    assert chart["left"][-1] == found["balance"]["current"]
    assert chart["forecast"] is None


async def test_the_other_project_of_a_transfer_is_named_only_to_who_may_read_it(
    service: Service,
) -> None:
    await eventful(service)
    limited = await service.new_key(Scope.READ, projects=("alpha",))

    text = await page(service, "/credits_history/alpha?range=24h", key=limited)
    found = await history(service, key=limited)
    rows = await table(service, key=limited)

    assert "Transfer to another project" in plain(text)
    assert "beta" not in text
    assert {row["other_project"] for row in found["rows"]} == {None}
    assert {row["other_project"] for row in rows} == {""}


async def test_the_file_has_the_rows_of_the_json_and_adds_up_to_the_balance(
    service: Service,
) -> None:
    found = await eventful(service)

    rows = await table(service)

    assert [row["credits"] for row in rows] == [row["credits"] for row in found["rows"]]
    assert list(rows[0]) == list(found["rows"][0])
    assert sum(Decimal(row["credits"]) for row in rows) == Decimal(found["balance"]["current"])
    assert rows[-1]["balance"] == found["balance"]["current"]
    accept = {"Accept": "text/csv"}
    async with service.request("GET", HISTORY, key="read", headers=accept) as response:
        assert list(csv.DictReader(io.StringIO(await response.text()))) == rows
    link = re.findall(r'href="(\?[^"]*format=csv[^"]*)"', await page(
        service, "/credits_history/alpha?site=here&range=24h"
    ))[0].replace("&amp;", "&")  # fmt: skip
    assert await table(service, f"/credits_history/alpha{link}") == rows


async def test_parts_of_the_file_put_together_are_the_file(service: Service) -> None:
    await eventful(service)
    whole = await table(service)

    rows: list[dict[str, str]] = []
    after = ""
    while True:
        path = f"{HISTORY}&format=csv&limit=4{after}"
        async with service.request("GET", path, key="read") as response:
            rows += csv.DictReader(io.StringIO(await response.text()))
            if "X-Next" not in response.headers:
                break
            after = f"&after={response.headers['X-Next']}"

    assert rows == whole


async def test_a_range_between_two_days_ends_with_what_was_left_then(service: Service) -> None:
    found = await eventful(service)
    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)

    now = chart_of(await page(service, f"/credits_history/alpha?from={yesterday}&to={today}"))
    open_ended = await page(service, f"/credits_history/alpha?from={yesterday}")
    before = await page(service, "/credits_history/alpha?from=2001-01-01&to=2001-02-01")

    assert now["left"][-1] == found["balance"]["current"]
    assert f'value="{today}"' in open_ended
    assert "No usage in this time." in before
    for query, place in (
        (f"from={today}&to={yesterday}", "to"), ("from=yesterday", "from"), ("to=20260101", "to"),
        ("to=2026-13-01", "to"),
    ):  # fmt: skip
        text = await page(service, f"/credits_history/alpha?{query}", status=400)
        assert f"{place}: must" in plain(text).lower() or f"{place.title()}: must" in plain(text)


async def test_a_form_without_script_asks_for_days(service: Service) -> None:
    await eventful(service)

    text = await page(service, "/credits_history/alpha?site=here")

    [form] = re.findall(r"<form.*?</form>", text, re.DOTALL)
    assert 'method="get"' in form
    assert re.findall(r'type="(\w+)" name="(\w+)"', form) == [
        ("hidden", "site"), ("date", "from"), ("date", "to"),
    ]  # fmt: skip


async def test_nothing_that_people_wrote_acts_in_the_page_or_in_the_file(
    service: Service,
) -> None:
    await eventful(service, reason=EVIL)
    printable = [text for text in PAYLOADS.values() if text.isprintable() and text]
    for number, text in enumerate(printable):
        await instructed(
            service,
            "alpha/adjustments",
            amount="1",
            reason=text[:200],
            idempotency_key=f"e{number}",
        )

    text = await page(service, "/credits_history/alpha?range=24h")
    rows = await table(service)

    assert "<script>alert" not in text
    assert "alert(1)" in text
    reasons = [row["reason"] for row in rows]
    assert EVIL in reasons
    assert [one for one in reasons if one.startswith(("=", "+", "-", "@"))] == []
    formulas = {text[:200] for text in printable if text.startswith(("=", "+", "-", "@"))}
    assert len(formulas) >= 4
    assert {f"'{one}" for one in formulas} <= set(reasons)
    assert [one for one in reasons if acting_signs(one)] == []


async def test_a_closed_project_says_so(service: Service) -> None:
    await eventful(service)
    await instructed(service, "alpha/closing", reason="the grant has ended", hour=shown(0))

    text = plain(await page(service, "/credits_history/alpha"))

    assert "This project is closed since" in text
    assert "the grant has ended" in text


async def test_an_organisation_that_limits_is_named_beside_what_is_left(service: Service) -> None:
    await push(service, counter(), [(hours_ago(2), 0.0), (hours_ago(1), 5.0)])
    await instructed(service, "alpha/grants", amount="1000", reason="start")
    assert "usable" not in plain(await page(service, "/credits_history/alpha"))

    place = {"organisation": "Biology", "valid_from": "2026-01-01T00:00Z", "reason": "start"}
    await send(service, "POST", "/api/v1/projects/alpha/organisation", place)
    budget = {"amount": "70", "reason": "2026"}
    await send(service, "POST", "/api/v1/organisations/Biology/budgets", budget)

    assert "70.00 usable: Biology limits it" in plain(await page(service, "/credits_history/alpha"))


@pytest.mark.parametrize(
    "query,place",
    [
        ("start_date=2026-01-01&format=html", "start_date"),
        ("range=7d&format=json", "range"),
        ("to=2026-01-01&format=csv", "to"),
    ],
)
async def test_the_words_of_the_other_form_are_refused(
    service: Service, query: str, place: str
) -> None:
    await send(service, "POST", "/api/v1/projects", {"name": "alpha"})
    async with service.request("GET", f"/credits_history/alpha?{query}", key="read") as response:
        assert response.status == 400
        assert place in plain(await response.text()).lower()
