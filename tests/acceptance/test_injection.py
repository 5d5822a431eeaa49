"""Nothing that a sender or a person stores can hurt a reader (I-13): payloads, fields, sinks."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
from typer.testing import CliRunner

from os_credits.cli import main
from os_credits.domain.text import legible
from os_credits.errors import Misconfigured
from os_credits.flows.meters import read_meter_file
from os_credits.notify.headers import one_line
from tests import database
from tests.acceptance import sinks
from tests.acceptance.hostile.fields import GATHERING, HARMLESS
from tests.acceptance.hostile.people import names_of_people, printable
from tests.acceptance.hostile.scene import Answer, Scene
from tests.acceptance.hostile.service import make_scene
from tests.acceptance.program import Program, program_on
from tests.payloads import PAYLOADS

# Two thousand requests and more before the first test, on machines that are shared.
pytestmark = pytest.mark.timeout(300)
# Payloads that act on a terminal or in rich's mark-up: for commands that show one name at a time.
# Pages that list what payloads may be stored as: they are as long as there is something of each.
LISTS = frozenset(
    {
        "/admin/addresses/{email}",
        "/admin/organisations/{number}",
        "/admin/people/{login_id}",
        "/organisations/{number}/lines",
        "/organisations/{organisation}/managers",
        "/projects/{project}/people",
    }
)
STEERING = ("rich", "angle", "log_line", "escape", "c1", "override", "isolates", "number")


@pytest.fixture(scope="module")
def scene(migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Store everything once; all tests look at what came of it."""
    folder = tmp_path_factory.mktemp("hostile")
    with database.database(database.server_url(), template=migrated_template) as url:
        yield asyncio.run(make_scene(database.as_service(url), folder))


@pytest.fixture
def hostile_program(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """Give the program on the same database."""
    monkeypatch.chdir(tmp_path)
    with program_on(scene.url) as program:
        yield program


def strings_of(value: Any) -> Iterator[str]:
    """Give every text within JSON, keys too."""
    match value:
        case str():
            yield value
        case dict():
            for key, one in value.items():
                yield key
                yield from strings_of(one)
        case list():
            for one in value:
                yield from strings_of(one)


def hits_in(answer: Answer, pages: dict[str, sinks.Page]) -> list[str]:
    """Judge an answer by what it says it is."""
    hits = sinks.in_headers(answer.headers)
    if dict(answer.headers).get("X-Content-Type-Options") != "nosniff":
        hits.append("may be sniffed")
    match answer.media_type:
        case "application/json":
            hits += sinks.in_json(answer.text)
        case "text/html":
            hits += sinks.in_page(answer.text, pages[answer.route], pages_of_lists(answer, pages))
        case "text/csv":
            hits += sinks.in_csv(answer.text)
        case "text/plain" if answer.route == "/metrics":
            hits += sinks.in_metrics(answer.text)
        case "text/plain":
            assert answer.text == "Pong"
        case "":
            assert not answer.text
        case other:
            hits.append(f"media type {other}")
    return hits


def pages_of_lists(answer: Answer, pages: dict[str, sinks.Page]) -> list[sinks.Page]:
    """Give the pages of whose elements a page may be made; none: it must have those it has."""
    return list(pages.values()) if answer.route in LISTS else []


def harmless_pages(answers: list[Answer]) -> dict[str, sinks.Page]:
    """Give for each route the page that is about nothing special."""
    return {
        one.route: sinks.Page(one.text)
        for one in answers
        if one.media_type == "text/html" and one.kind in (HARMLESS, "")
    }


def test_no_answer_lets_a_stored_text_act(scene: Scene) -> None:
    answers = [one for one in scene.answers if one.kind != GATHERING]
    pages = harmless_pages(answers)

    hits = {(one.route, one.kind): found for one in answers if (found := hits_in(one, pages))}

    assert hits == {}
    assert {one.status for one in answers if one.status >= 500} == set()


def test_every_stored_text_comes_back_exactly_as_it_came(scene: Scene) -> None:
    shown: Counter[str] = Counter()
    for answer in scene.answers:
        if answer.media_type == "application/json" and answer.status == 200:
            texts = set(strings_of(json.loads(answer.text)))
            shown.update(kind for kind, text in PAYLOADS.items() if text in texts)
        if answer.route == "/api/v1/projects/{project}" and answer.kind in PAYLOADS:
            project = json.loads(answer.text)
            fields = {project[name] for name in ("name", "site", "domain", "external_id")}
            assert fields == {PAYLOADS[answer.kind]}

    assert min(shown[kind] for kind in PAYLOADS) >= 10


@pytest.mark.parametrize(
    "route,fields",
    [
        ("/api/v1/meters", {"metric", "unit", "description", "identity"}),
        ("/api/v1/projects/{project}/unsettled", {"resource", "flavor", "unit"}),
        ("/api/v1/projects/{project}/exclusions", {"reason"}),
        ("/api/v1/projects/{project}/grants", {"reason"}),
        ("/api/v1/projects/{project}/transfers", {"reason", "name"}),
        ("/api/v1/projects/{project}/allowances", {"reason"}),
        ("/api/v1/projects/{project}/explain", {"resource", "flavor", "labels", "identity"}),
        ("/api/v1/organisations/{organisation}/budgets", {"reason"}),
        ("/api/v1/organisations/{organisation}/parent", {"reason"}),
        ("/api/v1/projects/{project}/thresholds", {"reason"}),
        ("/api/v1/projects/{project}/statement", {"flavor", "reason"}),
        ("/api/v1/projects/{project}/owners/{email}", {"name"}),
        ("/api/v1/prices", {"flavor"}),
        ("/api/v1/keys", {"name"}),
        ("/stats", {"unknown_metrics", "refused_examples"}),
    ],
)
def test_the_sinks_do_hold_the_payloads(scene: Scene, route: str, fields: set[str]) -> None:
    found: set[str] = set()
    held: set[str] = set()
    for answer in scene.answers:
        if answer.route == route and answer.status == 200:
            walk(json.loads(answer.text), fields, found, held)

    assert found == fields
    assert len(held) >= len(printable(name=True))


def walk(value: Any, fields: set[str], found: set[str], held: set[str]) -> None:
    """Note which fields of JSON hold payloads, and which payloads."""
    if isinstance(value, list):
        for one in value:
            walk(one, fields, found, held)
    if isinstance(value, dict):
        for name, one in value.items():
            if name in fields:
                texts = "\n".join(strings_of(one))
                inside = {kind for kind, text in PAYLOADS.items() if text[:40] in texts}
                held |= inside
                found |= {name} if inside else set()
            walk(one, fields, found, held)


def test_no_refusal_lets_what_it_repeats_act(scene: Scene) -> None:
    pages: dict[str, sinks.Page] = {}
    for one in scene.refusals:
        if one.media_type == "text/html" and one.kind == HARMLESS:
            pages[page_kind(one)] = sinks.Page(one.text)
    told = [
        Answer(page_kind(one), one.kind, one.status, one.headers, one.text)
        for one in scene.refusals
    ]

    hits = {(one.route, one.kind): found for one in told if (found := hits_in(one, pages))}

    assert hits == {}
    assert {one.status for one in told} <= {200, 204, 400, 404, 409, 422}
    assert len([one for one in told if one.status == 400]) > 5 * len(PAYLOADS)
    errors = [dict(one.headers)["X-Influxdb-Error"] for one in told if one.status == 400
              and "X-Influxdb-Error" in dict(one.headers)]  # fmt: skip
    assert len(errors) > len(PAYLOADS)


def page_kind(answer: Answer) -> str:
    """Name the page by its title: messages differ in nothing else."""
    return sinks.Page(answer.text).title if answer.media_type == "text/html" else answer.route


def test_no_raw_request_brings_a_header_of_its_own(scene: Scene) -> None:
    for kind, received in scene.raw.items():
        head = received.partition(b"\r\n\r\n")[0].decode("ascii")
        status, *lines = head.split("\r\n")

        assert re.fullmatch(r"HTTP/1\.[01] 40\d [ \w]+", status), kind
        parts = (line.partition(": ") for line in lines)
        assert sinks.in_headers((name, value) for name, _, value in parts) == []


@pytest.mark.parametrize(
    "log_format,judge", [("json", sinks.in_json_log), ("console", sinks.in_console_log)]
)
def test_one_event_is_one_line_of_the_log(
    scene: Scene, log_format: str, judge: Callable[[str], list[str]]
) -> None:
    log = scene.logs[log_format]

    assert judge(log) == []
    assert log.count("answered") > 4 * len(PAYLOADS)
    assert "Traceback" not in log


@pytest.mark.parametrize(
    "whose,kinds", [("owner", tuple(PAYLOADS)), ("login", tuple(names_of_people()))]
)
def test_mails_have_one_recipient_and_the_headers_of_any_other(
    scene: Scene, whose: str, kinds: tuple[str, ...]
) -> None:
    by_address = {to[0]: (to, mail) for to, mail in scene.mails if to[0].startswith(whose)}
    assert len(by_address) == len([to for to, _ in scene.mails if to[0].startswith(whose)])
    places = {kind: place for place, kind in enumerate(PAYLOADS)}
    mails = {kind: by_address[f"{whose}-{places[kind]}@example.org"] for kind in kinds}
    assert len(mails) == len(by_address)
    like = mails[HARMLESS][1]

    hits = {
        kind: found
        for kind, (recipients, mail) in mails.items()
        if (found := sinks.in_mail(mail, recipients, like))
    }

    assert hits == {}
    body = like.get_body(("plain",))
    assert body is not None
    assert one_line(PAYLOADS[HARMLESS]) in body.get_content()


@pytest.mark.parametrize("name", ["metric", "unit", "description", "project_id", "identity"])
def test_a_meter_file_holds_nothing_that_cannot_be_kept(tmp_path: Path, name: str) -> None:
    fields = {"name": "m", "metric": "m", "kind": "gauge", "unit": "u", "project_id": "p"}
    lines = [f'{key} = "{value}"' for key, value in fields.items() if key != name]
    text = '["a\\u0000b"]' if name == "identity" else '"a\\u0000b"'
    path = tmp_path / "meters.toml"
    path.write_text("\n".join(["[[meter]]", *lines, f"{name} = {text}"]))

    with pytest.raises(Misconfigured, match="NUL"):
        read_meter_file(path)


# --- Pages


def test_pages_show_the_names_legibly_and_in_their_titles(scene: Scene) -> None:
    for answer in scene.answers:
        if answer.route != "/credits_history/{project}" or answer.media_type != "text/html":
            continue
        name = legible(PAYLOADS.get(answer.kind, GATHERING))
        page = sinks.Page(answer.text)

        assert page.title == f"{name} · os_credits"
        assert page.words.count(name) >= (1 if answer.kind == GATHERING else 5)


# --- The program

# Commands that show what is stored, with what they need; None: shows nothing that was stored.
EVERYTHING_AT_ONCE: dict[str, tuple[str, ...] | None] = {
    "adjust": ("{project}", "1", "--reason", "more"),
    "allowance add": ("{project}", "1", "--reason", "more"),
    "allowance end": None,
    "allowance list": (GATHERING,),
    "audit": (),
    "bill": ("--project", GATHERING, "--by", "resource"),
    "demo": None,
    "doctor": (),
    "exclusion add": (GATHERING, "--reason", "x", "--from", "2001-01-01T00:00Z", "--until",
                      "2001-01-01T01:00Z", "--dry-run"),
    "exclusion lift": None,
    "exclusion list": (GATHERING,),
    "explain": (GATHERING, "{hour}", "--limit", "1000", "--each"),
    "flavor list": (),
    "flavor set": None,
    "forecast": ("{project}",),
    "grant": ("{project}", "1", "--reason", "more"),
    "grants": (GATHERING,),
    "import opening": None,
    "key add": None,
    "key list": (),
    "key revoke": None,
    "login add": None,
    "login administrator": None,
    "login disable": None,
    "login enable": None,
    "login end": None,
    "login link": None,
    "login list": (),
    "login password": None,
    "login sessions": ("#1",),
    "login show": ("#1",),
    "manager add": None,
    "manager list": (GATHERING,),
    "manager remove": None,
    "meter check": ("{file}",),
    "meter list": (),
    "meter load": ("{file}",),
    "meter revise": None,
    "migrate": None,
    "notices list": (GATHERING,),
    "notices preview": (),
    "notices thresholds": (GATHERING,),
    "notices mail": ("{notice}", "--html"),
    "organisation add": None,
    "organisation balance": (GATHERING,),
    "organisation budget give": (GATHERING, "1", "--reason", "more"),
    "organisation budget list": (GATHERING,),
    "organisation budget void": None,
    "organisation list": (),
    "organisation place": (GATHERING, "--nowhere", "--reason", "x"),
    "organisation places": (GATHERING,),
    "people erase": None,
    "people export": ("--email", "{email}"),
    "people import": None,
    "price list": (),
    "price set": None,
    "project add": None,
    "project close": None,
    "project list": (),
    "project owner add": None,
    "project owner list": ("{project}",),
    "project owner remove": None,
    "project place": ("{project}", "--nowhere", "--reason", "x"),
    "project places": (GATHERING,),
    "project reopen": None,
    "project show": ("{project}",),
    "project statement": (GATHERING,),
    "serve": None,
    "settle": (GATHERING, "suspect", "bill", "--from", "{hour}", "--until", "{end}", "--reason",
               "x", "--dry-run"),
    "top-up": None,
    "transfer": ("{project}", GATHERING, "1", "--reason", "more"),
    "transfers": (GATHERING,),
    "unsettled": (GATHERING,),
    "verify": (),
    "void": None,
}  # fmt: skip
# These show one project at a time: they are shown the worst names.
ONE_AT_A_TIME = {
    "forecast": ("escape", "override"),
    "grant": ("escape", "override"),
    "notices mail": STEERING,
    "people export": STEERING,
    "project owner list": ("escape", "rich"),
    "project place": ("escape", "override"),
    "project show": STEERING,
    "transfer": ("escape", "override"),
}


def commands_of(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(command, click.Group) or hasattr(command, "commands"):
        for name, one in command.commands.items():
            yield from commands_of(one, (*path, name))
    else:
        yield " ".join(path)


def words_of(scene: Scene, command: str, kind: str) -> list[str]:
    values = {
        "{project}": f"#{scene.numbers[kind]}",
        "{notice}": str(scene.notices[kind]),
        "{hour}": f"{scene.start:%Y-%m-%dT%H:%MZ}",
        "{end}": f"{scene.start.replace(hour=(scene.start.hour + 1) % 24):%Y-%m-%dT%H:%MZ}",
        "{file}": str(scene.meter_file),
        "{email}": f"owner-{list(PAYLOADS).index(kind)}@example.org",
    }
    words = EVERYTHING_AT_ONCE[command]
    assert words is not None
    return [*command.split(), *(values.get(word, word) for word in words)]


def test_every_command_is_known_to_this_test() -> None:
    assert set(EVERYTHING_AT_ONCE) == set(commands_of(typer.main.get_command(main)))


@pytest.mark.parametrize(
    "command", [name for name, words in EVERYTHING_AT_ONCE.items() if words is not None]
)
def test_no_command_lets_a_stored_text_act_on_the_terminal(
    scene: Scene, hostile_program: Program, command: str
) -> None:
    for kind in ONE_AT_A_TIME.get(command, (HARMLESS,)):
        shown = hostile_program(*words_of(scene, command, kind)).output

        assert sinks.in_terminal(shown) == [], kind
        if command == "project show":
            name = shown.splitlines()[0].removeprefix("project").strip()
            assert name == legible(PAYLOADS[kind])


@pytest.mark.parametrize("command", ["project list", "meter list", "explain", "key list"])
def test_json_for_programs_is_exact_and_harmless_on_a_terminal(
    scene: Scene, hostile_program: Program, command: str
) -> None:
    words = [*words_of(scene, command, HARMLESS), "--json"]

    shown = hostile_program(*words).stdout

    assert sinks.in_json(shown) == []
    texts = set(strings_of(json.loads(shown)))
    expected = set(printable(name=True).values() if command == "key list" else PAYLOADS.values())
    assert len(texts & expected) >= (
        len(expected) // 4 if command == "meter list" else len(expected)
    )


def test_an_output_that_cannot_write_a_name_ends_no_command(
    scene: Scene, hostile_program: Program
) -> None:
    del hostile_program  # for its folder
    environment = {"OS_CREDITS_DATABASE_URL": scene.url}

    for command in ("project list", "explain"):
        words = words_of(scene, command, HARMLESS)
        result = CliRunner(charset="iso-8859-1").invoke(main, words, env=environment)

        assert result.exit_code == 0, result.exception
        assert "\\u05e9" in result.stdout
