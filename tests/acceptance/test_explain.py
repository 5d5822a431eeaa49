"""Where credits come from, as people ask for it: over HTTP and at the terminal."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from os_credits.cli import main
from os_credits.domain.access import Scope
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.core import opened_core
from tests.integration.explained import FILE, PROJECT, make_hour

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.explained import Told

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"


@pytest.fixture
async def made(database_url: str) -> Told:
    async with opened_core(database_url, FILE) as core:
        return await make_hour(core)


@pytest.fixture
async def client(database_url: str, made: Told) -> AsyncIterator[Documented]:
    async with running(settings_for(database_url)) as service:
        yield await documented(service)


def path_of(made: Told, more: str = "") -> str:
    return f"/api/v1/projects/{PROJECT}/explain?hour={made.hour:%Y-%m-%dT%H:%MZ}{more}"


async def test_an_entry_is_explained_over_http_down_to_its_samples(client: Documented) -> None:
    listed = (await client.get(f"/api/v1/projects/{PROJECT}/entries?limit=1000"))["entries"]
    correction = next(
        one for one in listed if (one["kind"], one["flavor"]) == ("correction", "m1.small")
    )

    told = await client.get(f"/api/v1/entries/{correction['id']}/explain")

    assert told["problems"] == []
    assert told["reach"] == "samples"
    assert {name: told["entry"][name] for name in correction} == correction
    assert told["entry"]["hash_is_right"] is True
    (charge,) = told["charges"]
    assert (charge["charged"], charge["booked"], charge["open"]) == (
        "0.100000",
        "0.100000",
        "0.000000",
    )
    assert [one["kind"] for one in charge["entries"]] == ["usage", "correction"]
    assert [one["what"] for one in charge["events"]] == ["price 0.3 per server-hour of m1.small"]
    (line,) = charge["lines"]
    assert line["cost"] == {
        "in_units": "≈ 0.333333333 server-hour × 0.3",
        "exactly": "1 200 000 000 000 step·ms / 3 600 000 000 000 × 0.3",
        "rounding": "",
    }
    assert line["price"]["author"] == "cli:ada"
    (run,) = line["trace"]["contributions"]
    assert run["pair_count"] == 4
    assert run["calculation"] == {
        "expression": "1 × 1 200 s",
        "result": "1 200",
        "unit": "server·s",
    }
    assert line["trace"]["label_sets"][0]["labels"]["server"] == "web-1"
    every = await client.get(f"/api/v1/entries/{correction['id']}/explain?each=true&pairs=3")
    trace = every["charges"][0]["lines"][0]["trace"]
    assert [one["steps"] for one in trace["contributions"]] == ["300000000000"] * 3
    assert trace["hidden_count"] == 1
    await _a_grant_says_who_gave_it_why_and_by_which_key(client)


async def _a_grant_says_who_gave_it_why_and_by_which_key(client: Documented) -> None:
    wish = {"amount": "50", "reason": "first budget", "idempotency_key": "budget-1"}
    made = await client.ask("POST", f"/api/v1/projects/{PROJECT}/grants", key="admin", json=wish)

    told = await client.get(f"/api/v1/entries/{made.json['entry_id']}/explain")

    entry = told["entry"]
    assert (entry["kind"], entry["amount"], entry["reason"]) == (
        "grant",
        "50.000000",
        "first budget",
    )
    assert entry["idempotency_key"] == "budget-1"
    assert told["charges"] == []
    hour = f"/api/v1/projects/{PROJECT}/explain?hour={entry['hour']}"
    assert [one["id"] for one in (await client.get(hour))["other_entries"]] == [entry["id"]]


async def test_an_hour_is_given_in_pages_and_of_one_meter(client: Documented, made: Told) -> None:
    whole = await client.get(path_of(made))

    lines: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await client.get(path_of(made, f"&limit=3{after}"))
        lines += [line for charge in page["charges"] for line in charge["lines"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert lines == [line for charge in whole["charges"] for line in charge["lines"]]
    assert len(lines) == 8
    one = await client.get(path_of(made, "&meter=server_running&flavor=m1.large"))
    assert [(charge["meter"], charge["flavor"]) for charge in one["charges"]] == [
        ("server_running", "m1.large")
    ]
    within = made.hour.replace(minute=42)
    same = await client.get(f"/api/v1/projects/{PROJECT}/explain?hour={within:%Y-%m-%dT%H:%MZ}")
    assert same["charges"] == whole["charges"]


async def test_what_is_foreign_unknown_or_wrong_is_answered_as_elsewhere(
    client: Documented, made: Told
) -> None:
    stranger = await client.service.new_key(Scope.READ, projects=("another",))
    member = await client.service.new_key(Scope.READ, projects=(PROJECT,))
    answers = []
    for entry_id in (1, 987_654):
        reply = await client.ask("GET", f"/api/v1/entries/{entry_id}/explain", key=stranger)
        answers.append((reply.status, reply.text.replace(str(entry_id), "N"), len(reply.headers)))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert (await client.ask("GET", "/api/v1/entries/1/explain", key=member)).status == 200
    assert (await client.ask("GET", "/api/v1/entries/1/explain", key=None)).status == 401
    assert (await client.ask("GET", path_of(made), key=stranger)).status == 404

    for path, status, place in (
        ("/api/v1/entries/x/explain", 404, "'x'"),
        (f"/api/v1/projects/{PROJECT}/explain", 400, "hour"),
        (f"/api/v1/projects/{PROJECT}/explain?hour=noon", 400, "hour"),
        (f"/api/v1/projects/{PROJECT}/explain?hour=9999-12-31T23:30Z", 400, "hour"),
        (path_of(made, "&after=7"), 400, "after"),
        (path_of(made, "&limit=0"), 400, "limit"),
        (path_of(made, "&meter=nothing"), 404, "nothing"),
        (path_of(made, "&flavor=nothing"), 404, "nothing"),
    ):
        reply = await client.ask("GET", path)
        assert (reply.status, place in reply.json["message"]) == (status, True), path


# --- At the terminal


@pytest.fixture
def stored(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.chdir(tmp_path)

    async def make() -> Told:
        async with opened_core(database_url, FILE) as core:
            return await make_hour(core)

    return asyncio.run(make())


def without_moments(text: str) -> str:
    """Leave out what differs from run to run: dates, times of booking, hashes."""
    text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", "DATE", text)
    return re.sub(r"\b[0-9a-f]{16}(?=…)|(?<=:)\d{10}(?=:)", "CODE", text)


def explain(database_url: str, *words: str, status: int = 0, charset: str = "utf-8") -> Result:
    result = CliRunner(charset=charset).invoke(
        main, ["explain", *words], env={"OS_CREDITS_DATABASE_URL": database_url}
    )
    assert result.exit_code == status, (result.output, result.exception)
    return result


def test_the_terminal_shows_the_tree_and_the_json(stored: Told, database_url: str) -> None:
    hour = f"{stored.hour:%Y-%m-%dT%H:%MZ}"

    shown = explain(database_url, PROJECT, hour).stdout

    for words in (
        f"Hour {stored.hour:%Y-%m-%d} 10:00 to 11:00 UTC  15.416788 credits",
        "excluded  #1 volume_size",
        "server_running  m1.small   0.100000 credits",
        "price 0.3 per server-hour of m1.small from",
        "1 200 000 000 000 step·ms / 3 600 000 000 000 × 0.3 = 0.100000",
        "10:20:00 → 10:55:00  1 × 2 100 s",
        "(103 − max(100, 99.5)) × 300 s / 900 s",
        "⌊1 206 790 × 300 000 / 720 000⌋",
        "sum, as stored",
        "not charged: nobody has decided about it yet (os-credits settle)",
        "no price holds in this hour",
        "verdict  bill by cli:ada: it ran all the time, see ticket 12",
    ):
        assert words in shown, words
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert "\x1b" not in shown
    assert "\ue000" not in shown

    told = json.loads(explain(database_url, PROJECT, hour, "--json").stdout)
    assert [one["charged"] for one in told["charges"]] == [
        "9.706667",
        "0.100000",
        "2.190625",
        "3.419496",
        "0.000000",
    ]

    entry = explain(database_url, "#11").stdout
    assert entry.startswith("Entry #11  correction  −0.016667 credits\n")
    assert "#11 correction  −0.016667  ◀ this entry" in entry
    assert entry == explain(database_url, "11").stdout

    counter = explain(database_url, PROJECT, hour, "--meter", "vcpu_hours").stdout
    assert [without_moments(entry), without_moments(counter)] == [
        without_moments(example)
        for example in re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    ]

    page = explain(database_url, PROJECT, hour, "--limit", "3")
    assert page.stderr.startswith("There is more: go on with --after ")
    assert "db-1" not in explain(
        database_url, PROJECT, hour, "--limit", "3", "--after", page.stderr.split()[-1]
    ).stdout  # fmt: skip

    old = explain(database_url, PROJECT, hour, charset="ascii").stdout
    assert "(103 - max(100, 99.5)) * 300 s / 900 s" in old


def test_wrong_words_are_refused_and_wrong_figures_told(stored: Told, database_url: str) -> None:
    hour = f"{stored.hour:%Y-%m-%dT%H:%MZ}"

    for words, status, said in (
        ((PROJECT,), 2, "ENTRY: is no entry's number; a project needs an HOUR as well"),
        ((PROJECT, "noon"), 2, "HOUR: must be a date or time"),
        (("11", "--meter", "vcpu_hours"), 2, "choose from an hour"),
        (("99999",), 1, "there is no entry '99999'"),
        (("nobody", hour), 1, "there is no project 'nobody'"),
        ((PROJECT, hour, "--meter", "x"), 1, "there is no meter 'x'"),
    ):
        assert said in explain(database_url, *words, status=status).stderr

    async def spoil() -> None:
        async with opened_core(database_url, FILE) as core:
            core.leaves_a_mess = True
            await core.pool.execute("UPDATE usage SET quantity = 1 WHERE quantity = 3419496")

    asyncio.run(spoil())
    shown = explain(database_url, PROJECT, hour, "--meter", "vcpu_hours", status=1).stdout
    assert "differs  series" in shown
    assert "sum, but it differs" in shown
