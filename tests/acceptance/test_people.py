"""Owners and members over HTTP and by the program; an address that is erased stands nowhere."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from os_credits.api.logs import HANDLER_NAME
from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    grant,
    push,
    vcpu,
)
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import Program
from tests.dump import holding
from tests.integration.mail_server import MailServer, mail_server

OWNERS = "/api/v1/projects/alpha/owners"
ADA = {
    "email": "ada@example.org", "name": "Äda", "role": "owner", "language": "", "wants": None,
    "digest": False,
}  # fmt: skip
WAIT_SECONDS_MAX = 20


@pytest.fixture
async def admin(service: Service) -> Documented:
    """Give a service that knows two projects."""
    client = await documented(service)
    for name in ("alpha", "beta"):
        reply = await client.ask("POST", "/api/v1/projects", key="admin", json={"name": name})
        assert reply.status == 201
    return client


async def owners(client: Documented) -> Any:
    return (await client.get(OWNERS, key="admin"))["owners"]


async def test_owners_are_replaced_as_a_whole(admin: Documented) -> None:
    both = {"owners": [{"email": "b@example.org"}, {"email": "ada@EXAMPLE.org", "name": "Äda"}]}
    await admin.ask("PUT", OWNERS, key="admin", json=both)
    assert await owners(admin) == [ADA, {**ADA, "email": "b@example.org", "name": ""}]

    one = {"owners": [{"email": "b@example.org", "name": "Bob"}]}
    await admin.ask("PUT", OWNERS, key="admin", json=one)
    assert await owners(admin) == [{**ADA, "email": "b@example.org", "name": "Bob"}]

    same = {"owners": [{"email": "B@example.org"}, {"email": "b@Example.org", "name": "Bo"}]}
    await admin.ask("PUT", OWNERS, key="admin", json=same)
    assert await owners(admin) == [{**ADA, "email": "b@example.org", "name": "Bo"}]

    await admin.ask("DELETE", OWNERS, key="admin")
    assert await owners(admin) == []


async def test_a_client_that_knows_names_only_leaves_the_rest_as_it_is(admin: Documented) -> None:
    full = {**ADA, "role": "member", "language": "de", "wants": ["burn", "closed"], "digest": True}
    await admin.ask("PUT", OWNERS, key="admin", json={"owners": [full]})
    assert await owners(admin) == [full]

    old = {"owners": [{"email": "ada@example.org", "name": "Ada"}]}
    await admin.ask("PUT", OWNERS, key="admin", json=old)

    assert await owners(admin) == [{**full, "name": "Ada"}]


BAD_OWNERS: list[dict[str, Any]] = [
    {"email": "nobody"},
    {"email": "a@b.org\r\nBcc: c@d.org"},
    {"email": "A <a@b.org>"},
    {"email": "a@b.org", "name": "two\nlines"},
    {"name": "without address"},
    {"email": "a@b.org", "role": "boss"},
    {"email": "a@b.org", "language": "fr"},
    {"email": "a@b.org", "wants": ["gossip"]},
    {"email": "a@b.org", "wants": "percent"},
    {"email": "a@b.org", "digest": "sometimes"},
    {"email": "a@b.org", "colour": "red"},
]


async def test_what_no_person_can_be_is_refused(
    admin: Documented, subtests: pytest.Subtests
) -> None:
    for owner in BAD_OWNERS:
        with subtests.test(owner=owner):
            reply = await admin.ask("PUT", OWNERS, key="admin", json={"owners": [owner]})
            one = await admin.ask("POST", OWNERS, key="admin", json=owner)

            assert (reply.status, one.status) == (400, 400)
            assert reply.json["message"].startswith("owners.0.")
            assert await owners(admin) == []


async def test_one_person_is_added_read_changed_and_removed(admin: Documented) -> None:
    one = f"{OWNERS}/ADA%40example.org"

    added = await admin.ask("POST", OWNERS, key="admin", json={"email": "ada@example.org"})
    again = await admin.ask("POST", OWNERS, key="admin", json={"email": "ada@example.org"})
    other = await admin.ask("POST", OWNERS, key="admin", json=ADA)
    assert (added.status, again.status, other.status) == (201, 200, 409)
    assert await admin.get(one, key="admin") == {**ADA, "name": ""}

    changed = await admin.ask("PATCH", one, key="admin", json={"wants": ["days"], "digest": True})
    assert changed.json["wants"] == ["days"]
    nulled = await admin.ask("PATCH", one, key="admin", json={"wants": None, "name": "Äda"})
    assert nulled.json == {**ADA, "email": "ADA@example.org", "digest": True}
    put = await admin.ask("PUT", one, key="admin", json={"name": "Äda"})
    assert (put.status, put.json) == (200, {**ADA, "email": "ADA@example.org"})
    new = await admin.ask("PUT", f"{OWNERS}/b%2B1@example.org", key="admin", json={})
    assert (new.status, new.json["email"]) == (201, "b+1@example.org")

    left = await admin.ask("DELETE", one, key="admin")
    assert [person["email"] for person in left.json["owners"]] == ["b+1@example.org"]
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        assert (await admin.ask(method, one, key="admin", json=body)).status == 404
    for bad in ("nobody", "a@b%0Ac", "%3Ca@b.org%3E"):
        assert (await admin.ask("GET", f"{OWNERS}/{bad}", key="admin")).status == 400


async def test_people_are_for_administrators_only(admin: Documented) -> None:
    member = await admin.service.new_key(Scope.READ, projects=("alpha",))
    one = f"{OWNERS}/ada@example.org"
    asked: list[tuple[str, str, Any]] = [
        ("GET", OWNERS, None), ("PUT", OWNERS, {"owners": []}), ("POST", OWNERS, ADA),
        ("DELETE", OWNERS, None), ("GET", one, None), ("PUT", one, {}), ("PATCH", one, {}),
        ("DELETE", one, None), ("POST", "/api/v1/people/import", {"people": []}),
        ("GET", "/api/v1/people/ada@example.org", None),
        ("DELETE", "/api/v1/people/ada@example.org", None),
    ]  # fmt: skip
    for method, path, body in asked:
        for key in (member, "read", "ingest"):
            assert (await admin.ask(method, path, key=key, json=body)).status == 403
        assert (await admin.ask(method, path, key=None, json=body)).status == 401


async def test_a_list_is_taken_over_whole_or_not_at_all(admin: Documented) -> None:
    good = [
        {"project": "alpha", "email": "ada@example.org", "name": "Äda", "wants": ["closed"]},
        {"project": "beta", "email": "bob@example.org", "role": "member", "digest": True},
    ]
    bad = [
        {"project": "nowhere", "email": "ada@example.org"},
        {"project": "alpha", "email": "none", "role": "boss", "wants": ["gossip"]},
    ]

    async def take(**body: Any) -> Any:
        return await admin.ask("POST", "/api/v1/people/import", key="admin", json=body)

    refused = await take(people=[*good, *bad])
    assert refused.status == 400
    assert [(one["line"], one["field"]) for one in refused.json["problems"]] == [
        (3, "project"), (4, "email"), (4, "role"), (4, "wants"),
    ]  # fmt: skip
    assert await owners(admin) == []
    dry = await take(people=good, dry_run=True)
    assert (dry.status, dry.json["written"], await owners(admin)) == (200, False, [])

    done = await take(people=[*good, *bad], skip_bad=True)
    assert (done.status, done.json["written"], len(done.json["problems"])) == (200, True, 4)
    assert [one["added"] for one in done.json["projects"]] == [
        ["ada@example.org"], ["bob@example.org"],
    ]  # fmt: skip
    again = await take(people=good)
    assert [one["unchanged_count"] for one in again.json["projects"]] == [1, 1]
    assert await owners(admin) == [{**ADA, "wants": ["closed"]}]

    replaced = await take(people=[{"project": "alpha", "email": "c@example.org"}], replace=True)
    assert replaced.json["projects"][0]["removed"] == ["ada@example.org"]
    for body in ({}, {"people": [{"email": 1}]}, {"people": [{"colour": "red"}]}):
        assert (await take(**body)).status == 400


# --- The program


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_is_taken_over_exported_and_erased(program: Program, tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        program("project", "add", name)
    file = write(
        tmp_path / "people.csv",
        "\ufeffproject;email;name;wants\r\nalpha;ada@example.org;Äda;closed,burn\r\n"
        "beta;ADA@example.org;;\r\n",
    )

    dry = program("people", "import", file, "--dry-run")
    assert dry.stdout.endswith("nothing was written: this is what would change\n")
    assert program.json("project", "owner", "list", "alpha") == {"owners": []}
    assert program("people", "import", file).stdout.endswith("written\n")
    again = program.json("people", "import", file)
    assert [one["unchanged_count"] for one in again["projects"]] == [1, 1]

    exported = json.loads(program("people", "export", "--email", "Ada@Example.org").stdout)
    assert [(one["project"]["name"], one["wants"]) for one in exported["projects"]] == [
        ("alpha", ["burn", "closed"]), ("beta", None),
    ]  # fmt: skip
    message = program.refuse("people", "erase", "--email", "ada@example.org", status=2)
    assert message == "error: --yes: is needed: what is erased cannot be brought back"
    erased = program("people", "erase", "--email", "ada@example.org", "--yes").stdout
    assert erased == "erased from 2 projects and 0 mails, of which 0 had not been sent\n"
    assert holding(program.database_url, "ada@") == {}
    gone = program.refuse("people", "export", "--email", "ada@example.org")
    assert gone == "error: nothing is stored of this address"


def test_every_bad_row_of_a_file_is_named(program: Program, tmp_path: Path) -> None:
    for words in (["--site", "a"], ["--site", "b"]):
        program("project", "add", "twice", *words)
    file = write(
        tmp_path / "people.csv",
        "project,site,email,role\ntwice,,ada@example.org,\n"
        "twice,a,\x1b[2J,\ntwice,a,x@y.org,boss\n",
    )

    message = program.refuse("people", "import", file, status=2)

    lines = message.split("\n")
    assert lines[0].startswith("line 2, project: 'twice' could mean 2 projects")
    assert lines[1:3] == [
        "  could be number='#1' site='a' name='twice'",
        "  could be number='#2' site='b' name='twice'",
    ]
    assert lines[3:] == [
        r"line 3, email: '\x1b[2J' is no mail address",
        "line 4, role: must be one of owner, member",
        f"error: nothing was written: 3 mistakes in {file}",
    ]
    shown = json.loads(program("people", "import", file, "--json", status=2).stdout)
    assert [one["line"] for one in shown["problems"]] == [2, 3, 4]
    file = write(tmp_path / "one.csv", "project,site,email,role\ntwice,a,x@y.org,boss\n")
    message = program.refuse("people", "import", file, status=2)
    assert message.split("\n")[1:] == [f"error: nothing was written: 1 mistake in {file}"]


def test_a_file_that_is_none_is_refused(program: Program, tmp_path: Path) -> None:
    big = tmp_path / "big.csv"
    big.write_bytes(b"project,email\n" + b"\n" * (4 * 1024 * 1024))

    for file, message in (
        (str(tmp_path / "missing.csv"), "cannot be read: No such file"),
        (str(tmp_path), "cannot be read: Is a directory"),
        (str(big), "holds more than 4194304 bytes"),
        (write(tmp_path / "none.csv", "a,b\n"), "'a', 'b' is none of the columns"),
    ):
        assert message in program.refuse("people", "import", file, status=2)


def test_a_person_is_described_by_the_program(program: Program) -> None:
    program("project", "add", "alpha")
    owner = ("project", "owner", "add", "alpha", "bob@example.org")

    program(*owner, "--role", "member", "--language", "de", "--wants", "closed percent")
    changed = program.json(*owner, "--digest")

    assert changed["owners"] == [
        {
            "email": "bob@example.org", "name": "", "role": "member", "language": "de",
            "wants": ["percent", "closed"], "digest": True,
        }
    ]  # fmt: skip
    assert "percent, closed" in program("project", "owner", "list", "alpha").stdout
    program(*owner, "--wants", "default", "--no-digest")
    assert "as the role" in program("project", "owner", "list", "alpha").stdout
    for words in (["--role", "boss"], ["--language", "fr"], ["--wants", "x"], ["--name", "a\nb"]):
        assert words[0] in program.refuse(*owner, *words, status=2)


# --- Nowhere else

NEEDLE = "ada.lovelace"
ADDRESS = f"{NEEDLE}@lab.example"


@asynccontextmanager
async def listened_to(
    database_url: str, mails: MailServer
) -> AsyncIterator[tuple[Documented, io.StringIO]]:
    """Run the service with everything in its log, and give the log too."""
    settings = settings_for(
        database_url,
        **BOOK_AT_ONCE,
        mail_host="127.0.0.1",
        mail_port=mails.port,
        mail_tls="none",
        mail_from="credits@cloud.example",
        log_level="DEBUG",
        log_format="json",
    )
    async with running(settings) as service:
        [handler] = [one for one in logging.getLogger().handlers if one.get_name() == HANDLER_NAME]
        assert isinstance(handler, logging.StreamHandler)
        written = io.StringIO()
        handler.setStream(written)
        yield await documented(service), written


async def test_an_address_stands_in_no_ledger_and_no_log(database_url: str) -> None:
    """From being put, over a notice and a refusal that names it, until it is erased."""
    async with mail_server() as mails, listened_to(database_url, mails) as (client, log):
        mails.answer_rcpt(ADDRESS, f"550 5.1.1 <{ADDRESS}>: no such user {ADDRESS.upper()}")
        await client.ask("POST", "/api/v1/projects", key="admin", json={"name": "alpha",
                         "site": "site1", "external_id": "id/alpha"})  # fmt: skip
        one = f"{OWNERS}/{ADDRESS.replace('@', '%40')}"
        person = {"email": ADDRESS, "name": "Ada"}
        replies = [
            await client.ask("PUT", OWNERS, key="admin", json={"owners": [person]}),
            await client.ask("POST", OWNERS, key="admin", json={**person, "name": "Other"}),
            await client.ask("PATCH", one, key="admin", json={"language": "de"}),
            await client.ask("GET", f"{OWNERS}/x{ADDRESS}", key="admin"),
            await client.ask("GET", f"{OWNERS}/{ADDRESS}%3E", key="admin"),
            await client.ask("POST", OWNERS, key="admin", json={"email": f"<{ADDRESS}>"}),
            await client.ask("POST", "/api/v1/people/import", key="admin",
                             json={"people": [{"project": "no", "email": ADDRESS}]}),
            await client.ask("GET", f"/api/v1/people/{ADDRESS}", key=None),
        ]  # fmt: skip
        assert [reply.status for reply in replies] == [200, 409, 200, 404, 400, 400, 400, 401]
        await grant(client, "alpha", "10")
        hour = current_hour() - 2 * HOUR_SECONDS
        await push(client.service, [vcpu("alpha", hour, 0), vcpu("alpha", hour + HOUR_SECONDS, 9)])
        await _wait_for_refusal(client)
        held = holding(database_url, NEEDLE)
        exported = await client.get(f"/api/v1/people/{ADDRESS.upper()}", key="admin")
        erased = await client.ask("DELETE", f"/api/v1/people/{ADDRESS}", key="admin")
        kept = await client.get("/api/v1/projects/alpha/notices", key="admin")
        text = log.getvalue()

    assert set(held) == {"audit", "mail", "project_owner"}
    assert f"<{ADDRESS}>" in exported["mails"][0]["last_error"]
    assert erased.json == {
        "project_count": 1,
        "mail_count": len(exported["mails"]),
        "pending_count": 0,
        "login_count": 0,
        "organisation_count": 0,
    }
    assert len(kept["notices"]) == len(exported["mails"])
    assert holding(database_url, NEEDLE) == {}
    assert NEEDLE not in text.lower()
    assert "mail_refused" in text
    assert text.count("<address>") > len(replies)


async def _wait_for_refusal(client: Documented) -> None:
    """Wait until every notice's mail is refused."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            found = await client.get("/api/v1/projects/alpha/notices", key="admin")
            counts = [one["mails"] for one in found["notices"]]
            if counts and all(one["refused"] == 1 for one in counts):
                return
            await asyncio.sleep(0.05)


def test_the_ledger_has_no_column_for_people(program: Program) -> None:
    """What is only ever appended to must not be able to hold what has to be erasable."""
    with psycopg.connect(program.database_url) as conn:
        columns = conn.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name IN ('email', 'recipient')"
        ).fetchall()

    assert {row[0] for row in columns} == {"project_owner", "mail", "login", "manager"}
