"""What doctor finds in a database, and `os-credits doctor` itself."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from os_credits.api.logs import HANDLER_NAME
from os_credits.cli import main
from os_credits.domain.finding import Finding, State
from os_credits.domain.meter import MeterDefinition, MeterKind, MeterValue
from os_credits.flows.diagnose import diagnose
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.store.pool import connection
from tests.core import Core, opened_core
from tests.integration.mail_server import mail_server

MINUTE_MS = 60_000
COUNTER = MeterDefinition(
    name="vcpu",
    metric="vcpu",
    kind=MeterKind.COUNTER,
    unit="vCPU-hour",
    project_id="project",
    flavor="flavor",
)
GAUGE = MeterDefinition(
    name="servers",
    metric="servers",
    kind=MeterKind.GAUGE,
    value=MeterValue.ONE,
    unit="server",
    project_id="project",
    resource="id",
    match={"status": ("ACTIVE",)},
)
FILE = MeterFile((COUNTER, GAUGE), ())


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as one:
        yield one


async def found_in(core: Core, *, allow_unsafe: bool = False) -> dict[str, Finding]:
    async with connection(core.pool) as conn:
        findings = await diagnose(
            conn,
            allow_unsafe=allow_unsafe,
            ahead_seconds_max=600,
            sends_mail=False,
            asks_portal=False,
        )
    by_check = {one.check: one for one in findings}
    assert len(by_check) == len(findings)
    return by_check


async def push(core: Core, metric: str, count: int, step_ms: int, *labels: dict[str, str]) -> None:
    """Push samples up to now, each next one with the next labels."""
    now_ms = await core.now_ms()
    samples = [
        (
            {"__name__": metric, "project": "alpha", **labels[number % len(labels)]},
            now_ms - (count - number) * step_ms,
            float(number),
        )
        for number in range(count)
    ]
    receipt = await core.push(samples)
    assert count == receipt.accepted
    await core.rate()


async def test_a_new_database_is_well_but_for_a_key(core: Core) -> None:
    found = await found_in(core, allow_unsafe=True)

    assert {one for one in found.values() if one.state is State.FAILED} == set()
    assert {"keys"} == {one.check for one in found.values() if one.state is State.WARNING} - {
        "durability"
    }
    assert found["meters"].message == "2 declared"
    assert found["clock"].state is State.OK


async def test_a_level_that_is_sent_too_seldom_is_told(core: Core) -> None:
    await push(core, "servers", 10, 30 * MINUTE_MS, {"id": "1", "status": "ACTIVE"})

    found = (await found_in(core))["max_gap of servers"]

    assert found.state is State.WARNING
    assert found.message == "samples come every 1800 s, gaps up to 3600 s are billed"


async def test_a_level_that_is_sent_often_pleases_though_a_sample_is_lost(core: Core) -> None:
    labels = {"id": "1", "status": "ACTIVE"}
    await push(core, "servers", 10, 5 * MINUTE_MS, labels)
    await push(core, "servers", 1, 90 * MINUTE_MS, labels)

    assert (await found_in(core))["max_gap of servers"].state is State.OK


async def test_no_interval_is_judged_where_none_is_seen(core: Core) -> None:
    assert "max_gap of servers" not in await found_in(core)


async def test_a_counter_of_several_sources_is_told_by_the_label_that_differs(core: Core) -> None:
    await push(core, "vcpu", 12, MINUTE_MS, {"instance": "a"}, {"instance": "b"})

    found = (await found_in(core))["label sets"]

    assert found.state is State.WARNING
    assert found.message.startswith("1 series of vcpu (such as alpha) are fed")
    assert found.message.endswith("differ in instance")


async def test_a_resize_is_no_second_source(core: Core) -> None:
    await push(core, "vcpu", 6, MINUTE_MS, {"flavor": "m1.small"})
    await push(core, "vcpu", 6, MINUTE_MS // 60, {"flavor": "m1.large"})

    assert (await found_in(core))["label sets"].state is State.OK


async def test_usage_without_a_price_is_told_until_it_has_one(
    core: Core, database_url: str
) -> None:
    await push(core, "vcpu", 3, MINUTE_MS, {"flavor": "m1.large"})
    before = (await found_in(core))["prices"]
    priced = MeterFile(FILE.meters, (FilePrice("vcpu", None, 1),))  # type: ignore[arg-type]

    async with opened_core(database_url, priced):
        after = (await found_in(core))["prices"]

    assert (before.state, after.state) == (State.WARNING, State.OK)
    assert before.message == "usage without a price: vcpu m1.large"


async def test_batches_that_nobody_rates_are_told(core: Core, owner_database_url: str) -> None:
    labels = {"__name__": "vcpu", "project": "alpha"}
    await core.push([(labels, await core.now_ms(), 1.0)])
    fresh = (await found_in(core))["queue"]
    with psycopg.connect(owner_database_url) as conn:
        conn.execute("UPDATE batch SET received_at = now() - interval '5 min'")

    old = (await found_in(core))["queue"]

    assert (fresh.state, old.state) == (State.OK, State.WARNING)
    assert old.message.startswith("1 samples in 1 batches wait for up to 30")


async def test_a_ledger_without_its_guard_is_told(core: Core, owner_database_url: str) -> None:
    core.leaves_a_mess = True
    with psycopg.connect(owner_database_url) as conn:
        conn.execute("ALTER TABLE entry DISABLE TRIGGER entry_is_append_only")

    assert (await found_in(core))["ledger"].state is State.FAILED


# --- The command


@pytest.fixture
def doctor(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a way to call `os-credits doctor --json`: its status, its findings by check."""
    monkeypatch.chdir(tmp_path)

    def call(**variables: str) -> tuple[int, dict[str, dict[str, str]]]:
        environment = {"OS_CREDITS_DATABASE_URL": database_url, **variables}
        result = CliRunner().invoke(main, ["doctor", "--json"], env=environment)
        findings = json.loads(result.stdout)["findings"]
        return result.exit_code, {one["check"]: one for one in findings}

    yield call
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.get_name() == HANDLER_NAME]:
        root.removeHandler(handler)


def test_doctor_fails_a_role_that_could_change_the_ledger(
    doctor: Any, owner_database_url: str
) -> None:
    owner = {"OS_CREDITS_DATABASE_URL": owner_database_url}

    refused, allowed = doctor(**owner), doctor(OS_CREDITS_ALLOW_UNSAFE_DATABASE="true", **owner)

    assert (refused[0], refused[1]["ledger"]["state"]) == (1, "failed")
    assert (allowed[0], allowed[1]["ledger"]["state"]) == (0, "warning")
    assert "could change the ledger: it " in refused[1]["ledger"]["message"]
    assert "OS_CREDITS_OWNER_DATABASE_URL" in refused[1]["ledger"]["advice"]
    assert doctor()[1]["ledger"]["state"] == "ok"


def test_doctor_fails_a_database_that_may_lose_commits(
    doctor: Any, database_url: str, owner_database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    with psycopg.connect(owner_database_url, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())

    refused, allowed = doctor(), doctor(OS_CREDITS_ALLOW_UNSAFE_DATABASE="true")

    assert (refused[0], refused[1]["durability"]["state"]) == (1, "failed")
    assert (allowed[0], allowed[1]["durability"]["state"]) == (0, "warning")
    assert "synchronous_commit is off" in refused[1]["durability"]["message"]


def test_doctor_names_tables_that_are_missing(doctor: Any, empty_database_url: str) -> None:
    status, found = doctor(OS_CREDITS_DATABASE_URL=empty_database_url)

    assert (status, found["schema"]["state"]) == (1, "failed")
    assert found["schema"]["advice"] == "os-credits migrate"
    assert "ledger" not in found


def test_doctor_names_a_database_that_is_away(doctor: Any) -> None:
    url = "postgresql://me:very-secret@127.0.0.1:1/credits"

    status, found = doctor(OS_CREDITS_DATABASE_URL=url)

    assert (status, found["database"]["state"]) == (1, "failed")
    assert "127.0.0.1:1/credits" in found["database"]["message"]
    assert "very-secret" not in str(found)


def test_doctor_names_settings_that_cannot_be_used(doctor: Any, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.toml")

    status, found = doctor(OS_CREDITS_PORT="many")
    status_of_file, found_of_file = doctor(OS_CREDITS_METER_FILE=missing, CREDITS_PORT="1")

    assert (status, found["settings"]["state"]) == (1, "failed")
    assert (status_of_file, found_of_file["meter file"]["state"]) == (1, "failed")
    assert found_of_file["settings"]["state"] == "warning"


def test_doctor_names_a_mail_server_that_is_away(doctor: Any) -> None:
    status, found = doctor(OS_CREDITS_MAIL_HOST="127.0.0.1", OS_CREDITS_MAIL_PORT="1")

    assert (status, found["mail server"]["state"]) == (1, "failed")


def test_doctor_talks_to_people_too(doctor: Any, database_url: str) -> None:
    doctor()  # in JSON, for its clean-up and folder

    result = CliRunner().invoke(main, ["doctor"], env={"OS_CREDITS_DATABASE_URL": database_url})

    assert "ok      schema: at " in result.stdout
    assert "warning keys: there is no administrator's key" in result.stdout
    assert "        os-credits key add NAME --scope admin\n" in result.stdout


async def test_doctor_logs_in_to_the_mail_server_and_sends_nothing(doctor: Any) -> None:
    async with mail_server(password="geheim") as server:
        here = {
            "OS_CREDITS_MAIL_HOST": "127.0.0.1",
            "OS_CREDITS_MAIL_PORT": str(server.port),
            "OS_CREDITS_MAIL_USER": "credits",
        }
        good = await asyncio.to_thread(doctor, **here, OS_CREDITS_MAIL_PASSWORD="geheim")
        bad = await asyncio.to_thread(doctor, **here, OS_CREDITS_MAIL_PASSWORD="wrong")

    assert (good[0], good[1]["mail server"]["state"]) == (0, "ok")
    assert (bad[0], bad[1]["mail server"]["state"]) == (1, "failed")
    assert server.received == []
