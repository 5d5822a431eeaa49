"""`os-credits verify` as an operator uses it, and the seals that the service makes by itself."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from os_credits.domain.difference import Layer
from tests.acceptance.accounts import BOOK_AT_ONCE, open_account
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import documented
from tests.acceptance.program import Program, program_on
from tests.integration.full_account import full_account

SEALING_SECONDS_MAX = 20
# As they are printed.
LAYERS = [layer.value for layer in Layer]


@pytest.fixture
def account(database_url: str, program: Program) -> Program:
    """Give the program on a database with two accounts and two seals."""

    async def fill() -> None:
        async with full_account(database_url):
            pass

    asyncio.run(fill())
    return program


def test_each_layer_is_told_and_the_last_seal_to_keep(account: Program) -> None:
    shown = account("verify").stdout

    lines = shown.splitlines()
    assert [f"{layer:<10}holds" for layer in LAYERS] == [line[:15] for line in lines[: len(LAYERS)]]
    assert "Everything holds, as of " in shown
    kept = lines[-1].strip()
    assert account.json("verify")["last_seal"]["seal"] == kept
    assert "Everything holds" in account("verify", "--expect-seal", kept).stdout


def test_a_seal_that_is_not_the_one_that_was_kept_is_told(account: Program) -> None:
    number, _, digest = account.json("verify")["last_seal"]["seal"].partition(":")
    forged = f"{number}:{digest[:-1]}{'1' if digest[-1] == '0' else '0'}"

    shown = account("verify", "--expect-seal", forged, status=1).stdout
    missing = account.json("verify", "--expect-seal", f"9{number}:{digest}", status=1)

    assert "hash kept elsewhere" in shown
    assert f"recomputed  {forged.partition(':')[2]}" in shown
    (seals,) = [one for one in missing["layers"] if one["difference_count"]]
    assert ("seals", "no such seal") == (seals["layer"], seals["first"]["stored"])


@pytest.mark.parametrize("text", ["7", "7:", "7:xyz", "0:" + "00" * 32, "7:" + "00" * 31, "a:00"])
def test_a_seal_that_cannot_be_one_is_refused(program: Program, text: str) -> None:
    assert "--expect-seal" in program.refuse("verify", "--expect-seal", text, status=2)


def test_the_first_difference_is_shown_with_its_place(
    account: Program, owner_database_url: str
) -> None:
    with psycopg.connect(owner_database_url) as conn:
        conn.execute(
            "UPDATE usage SET credits = credits + 1 WHERE (series_id, hour) = "
            "(SELECT series_id, hour FROM usage WHERE credits = 29 LIMIT 1)"
        )

    shown = account("verify", status=1).stdout
    found = account.json("verify", status=1)
    of_one = account("verify", "--project", "#1", status=1).stdout
    of_other = account("verify", "--project", "name of beta").stdout

    assert "credits   differs" in shown
    assert "project #1 name of alpha, meter vcpu, series " in shown
    assert "stored      30.000000\n" in shown
    assert "recomputed  29.000000\n" in shown
    assert {"credits": 1, "charges": 1} == {
        one["layer"]: one["difference_count"] for one in found["layers"] if one["difference_count"]
    }
    assert found["holds"] is False
    assert "recomputed  29.000000" in of_one
    assert "Everything holds" in of_other


def test_seals_are_of_all_projects(account: Program) -> None:
    refused = account.refuse(
        "verify", "--project", "#1", "--expect-seal", "1:" + "00" * 32, status=2
    )

    assert "over all projects" in refused


async def last_seal_of(service: Service) -> str:
    async with asyncio.timeout(SEALING_SECONDS_MAX):
        while True:
            async with service.request("GET", "/stats", key="admin") as response:
                if seal := (await response.json())["last_seal"]:
                    return str(seal["seal"])
            await asyncio.sleep(0.05)


async def test_the_service_seals_by_itself_and_shows_the_seal(
    database_url: str, tmp_path: Path
) -> None:
    settings = settings_for(database_url, **BOOK_AT_ONCE)
    async with running(settings) as service:
        await open_account(await documented(service))
    async with running(settings) as service:
        kept = await last_seal_of(service)

    def verified() -> str:
        with program_on(database_url) as program:
            return program("verify", "--expect-seal", kept).stdout

    assert kept in await asyncio.to_thread(verified)
