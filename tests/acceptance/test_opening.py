"""A site moves: the portal shows what it showed before, and growth is billed exactly once."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    moment,
    push,
    shown,
    vcpu,
    wait_until,
)
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import documented
from tests.acceptance.program import Program
from tests.checker import checked_at

VCPU, MB = "project_vcpu_usage", "project_mb_usage"
LABELS = {"project_name": "alpha", "project_id": "id/alpha", "location_id": "site1"}


def opening_of(hour: int, last_value: str) -> dict[str, Any]:
    """Say what the older service knew at half past the hour that began five hours before."""
    last = hour - 5 * HOUR_SECONDS + 1800
    return {
        "source": "the older service",
        "as_of": shown(last),
        "projects": [
            {
                "site": "site1",
                "project_id": "id/alpha",
                "name": "alpha",
                "owners": [{"email": "ada@lab.example"}],
                "grants": [
                    {"id": "1", "amount": "2000", "reason": "2025"},
                    {"id": "2", "amount": "500.5", "reason": "2026"},
                ],
                "charged": [
                    {"meter": VCPU, "credits": "2333.75"},
                    {"meter": MB, "credits": "99.000001"},
                ],
                "counters": [
                    {"meter": VCPU, "labels": LABELS, "value": last_value, "time": shown(last)}
                ],
            }
        ],
    }


async def test_a_site_moves_and_its_portal_goes_on(
    program: Program, database_url: str, tmp_path: Path
) -> None:
    """Both services have run side by side for some hours when the older one ends."""
    file = tmp_path / "opening.json"
    hour = current_hour()
    file.write_text(json.dumps(opening_of(hour, "65")))
    settings = settings_for(database_url, **BOOK_AT_ONCE, open_compat_networks="127.0.0.0/8")
    async with running(settings) as service:
        client = await documented(service)

        async def imported(*words: str) -> Any:
            return await asyncio.to_thread(program.json, "import", "opening", str(file), *words)

        first = hour - 8 * HOUR_SECONDS
        await push(service, [vcpu("alpha", first + n * HOUR_SECONDS, 20.0 * n) for n in range(5)])
        checked = await imported("--check")
        answer = await imported()
        await service.rated()

        portal = await client.get("/api/current_credits/alpha", key=None)
        assert checked == {"projects": []}
        assert [(one["is_new"], one["entries_added"]) for one in answer["projects"]] == [(True, 4)]
        # Of the samples that came before, only the growth from 65 to 80 is not charged yet.
        assert portal == {"current_credits": 2447.750001, "granted_credits": 2500.5}

        late = [vcpu("alpha", first + n * HOUR_SECONDS + 900, 20.0 * n + 5) for n in range(3)]
        await push(service, late)
        await push(service, [vcpu("alpha", first + 6 * HOUR_SECONDS, 100.25)])
        account = await wait_until(client, "alpha", used=Decimal("2468.000001"), tally=Decimal(0))
        again = await imported()

        history = await client.get("/api/credits_history/alpha", key=None)
        entries = await client.get("/api/v1/projects/alpha/entries")
        notices = await client.get("/api/v1/projects/alpha/notices")
        assert account["balance"]["granted"] == "2500.500000"
        assert [(one["is_new"], one["entries_added"]) for one in again["projects"]] == [(False, 0)]
        assert again["projects"][0]["balance"]["used"] == "2468.000001"
        assert [one["kind"] for one in entries["entries"]].count("opening") == 4
        # The hour of the opening may hold usage that was booked here before the older one ended.
        as_of = moment(hour - 5 * HOUR_SECONDS).strftime("%Y-%m-%d %H:%M:%S")
        opened = [
            (used, metric)
            for time, used, metric in zip(*history.values(), strict=True)
            if time == as_of and metric == MB
        ]
        assert [(pytest.approx(2432.75, abs=20.01), MB)] == opened
        assert history["credits"][-1] == 2468.000001
        assert notices == {"notices": []}

        file.write_text(json.dumps(opening_of(hour, "64")))
        told = await asyncio.to_thread(program.refuse, "import", "opening", str(file))
        assert told.startswith(f"error: opening:1:{VCPU} was imported with other content: ")
    await checked_at(database_url)


def test_the_command_tells_mistakes_and_what_it_did(program: Program, tmp_path: Path) -> None:
    """The example is imported into a database that has the shipped meters."""
    example = Path(__file__).resolve().parents[2] / "examples" / "opening.json"
    early = program.refuse("import", "opening", str(example), status=2)
    program("meter", "load", str(Path(__file__).parents[2] / "src/os_credits/meters.toml"))

    checked = program("import", "opening", str(example), "--check")
    imported = program("import", "opening", str(example))
    again = program("import", "opening", str(example))
    shown_owners = program("project", "owner", "list", "biobank")
    missing = program.refuse("import", "opening", str(tmp_path / "none.json"), status=2)

    assert "charged.0.meter: there is no meter 'project_vcpu_usage'" in early
    assert checked.stdout == f"{example} can be imported: 2 projects\n"
    assert "50,000.00" in imported.stdout
    assert "31,187.75" in imported.stdout
    assert imported.stdout.endswith("5 entries written\n")
    assert again.stdout.endswith("all of this was imported before: nothing changed\n")
    assert "ada@lab.example" in shown_owners.stdout
    assert "none.json: cannot be read" in missing
