"""Pages of people, keys, sources, health and the audit log, in every role."""

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.logged_in import Visitor
from tests.acceptance.rights.scene import MARKS, MINE, OURS, THEIRS, Scene, make_scene

ADMINISTRATION = (
    "/admin/health", "/admin/people", "/admin/people/1", "/admin/keys", "/admin/keys/1/revoke",
    "/admin/sources", "/admin/audit", "/admin/addresses/owner%40example.org",
)  # fmt: skip
PEOPLE = f"/projects/{MINE}/people"
LINES = f"/projects/{MINE}/lines"
WAIT_SECONDS_MAX = 30
FAILING = {
    "name": "seal", "running": True, "failures_in_a_row": 2, "failures": 2, "runs": 2, "done": 0,
    "last_error": "<i>no</i>", "last_seconds": 0.1, "last_ended_at": None, "interval_seconds": 30,
}  # fmt: skip


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    """Give a service with people of every role, three projects and two organisations."""
    async with running(settings_for(database_url)) as service:
        yield await make_scene(service)


def administrator(scene: Scene) -> Visitor:
    return scene.visitors["administrator"]


def words(page: str) -> str:
    """Give what stands on a page, without its markup."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page)))


async def owners(service: Service, project: str = MINE) -> dict[str, dict[str, object]]:
    async with service.request("GET", f"/api/v1/projects/{project}/owners", key="admin") as reply:
        return {one["email"]: one for one in (await reply.json())["owners"]}


@pytest.mark.parametrize("role", ["administrator", "manager", "owner", "member", "stranger"])
async def test_administration_is_for_administrators(scene: Scene, role: str) -> None:
    found = {path: (await scene.visitors[role].get(path))[0] for path in ADMINISTRATION}

    assert dict.fromkeys(ADMINISTRATION, 200 if role == "administrator" else 403) == found


async def test_who_manages_a_project_sees_addresses_and_others_names_only(scene: Scene) -> None:
    shown = {}
    for role in ("administrator", "manager", "owner", "member"):
        status, page = await scene.visitors[role].get(PEOPLE)
        assert status == 200
        shown[role] = ("owner@example.org" in page, f"{MARKS[MINE]}-owner" in page)

    managing = dict.fromkeys(("administrator", "manager", "owner"), (True, True))
    assert {**managing, "member": (False, True)} == shown


async def test_a_foreign_project_is_as_unknown_as_one_that_is_not_there(scene: Scene) -> None:
    owner, answers = scene.visitors["owner"], []
    for name in (THEIRS, "nobodys"):
        path = f"/projects/{name}/people"
        found = [await owner.get(path), await owner.get(f"{path}/change?email=x@example.org")]
        for more in ("people", "people/remove", "people/change", "people/invite", "lines"):
            found += [await owner.post(f"/projects/{name}/{more}", email="x@example.org")]
        answers += [(status, text.replace(name, "it")) for status, text in found]

    assert {404} == {status for status, _ in answers}
    assert _without_tokens(answers[:7]) == _without_tokens(answers[7:])


def _without_tokens(answers: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(status, re.sub(r"[0-9a-f]{64}", "", text)) for status, text in answers]


async def test_members_and_strangers_change_nothing(scene: Scene) -> None:
    before = await owners(scene.service)
    tried = {
        PEOPLE: {"email": "new@example.org", "role": "owner", "language": ""},
        f"{PEOPLE}/remove": {"email": "owner@example.org"},
        f"{PEOPLE}/change": {"email": "member@example.org", "role": "owner"},
        f"{LINES}/put": {"percents": "10", "reason": "x"},
        "/organisations/north/managers": {"email": "member@example.org", "name": ""},
    }
    found = {
        role: {(await scene.visitors[role].post(path, **form))[0] for path, form in tried.items()}
        for role in ("member", "stranger")
    }

    assert {"member": {403}, "stranger": {404}} == found
    assert before == await owners(scene.service)


@pytest.mark.parametrize("role", ["administrator", "manager", "owner"])
async def test_people_are_added_changed_and_removed(scene: Scene, role: str) -> None:
    visitor = scene.visitors[role]
    new = {"email": "new@example.org", "name": "New One", "role": "member", "language": "de"}

    status, target = await visitor.post(PEOPLE, **new)
    assert (303, True) == (status, target.endswith("?done=added"))
    assert "member" == (await owners(scene.service))["new@example.org"]["role"]

    change = {**new, "role": "owner", "hears": "some", "kinds": "burn", "digest": "on"}
    await visitor.post(f"{PEOPLE}/change", **change)
    changed = (await owners(scene.service))["new@example.org"]
    assert ("owner", ["burn"], True) == (changed["role"], changed["wants"], changed["digest"])

    await visitor.post(f"{PEOPLE}/remove", email="NEW@example.org")
    assert "new@example.org" not in await owners(scene.service)

    _, page = await visitor.get(PEOPLE)
    assert "added new@example.org as a member" in words(page)
    assert "removed new@example.org from the project" in words(page)


async def test_a_form_that_is_wrong_is_shown_again_with_what_was_typed(scene: Scene) -> None:
    owner = scene.visitors["owner"]
    wrong = {"email": "no address", "name": "Typed", "role": "member", "language": ""}

    status, page = await owner.post(PEOPLE, **wrong)
    assert (422, True, True) == (status, 'value="Typed"' in page, 'id="email-error"' in page)

    status, page = await owner.post(LINES, percents="much", reason="typed")
    assert (422, True, True) == (status, 'value="much"' in page, 'id="percents-error"' in page)


async def test_without_the_token_of_the_session_nothing_is_done(scene: Scene) -> None:
    status, _ = await scene.visitors["owner"].post(
        PEOPLE, csrf="forged", email="new@example.org", name="", role="owner", language=""
    )

    assert status == 403
    assert "new@example.org" not in await owners(scene.service)


async def test_who_removes_himself_is_led_away(scene: Scene) -> None:
    answer = await scene.visitors["owner"].post(f"{PEOPLE}/remove", email="owner@example.org")

    assert (303, "/") == answer
    assert (await scene.visitors["owner"].get(PEOPLE))[0] == 404


async def test_lines_are_tried_before_they_hold(scene: Scene) -> None:
    owner = scene.visitors["owner"]
    lines = {"percents": "90 12,5", "credits": "none", "reason": "earlier"}

    status, page = await owner.post(LINES, **lines)
    assert (200, True) == (status, "would have been written" in words(page))
    assert "<bdi>this project</bdi>" not in page

    status, target = await owner.post(f"{LINES}/put", **lines)
    assert (303, True) == (status, target.endswith("?done=lines"))
    path = f"/api/v1/projects/{MINE}/thresholds"
    async with scene.service.request("GET", path, key="admin") as reply:
        found = await reply.json()
    assert ["12.5", "90"] == found["lines"]["percents"]
    assert [] == found["lines"]["credits"]
    assert "owner (login" in found["rules"][0]["author"]


async def test_the_preview_of_lines_is_there_for_programs_too(scene: Scene) -> None:
    path = f"/api/v1/projects/{MINE}/thresholds/preview"
    found, preview = {}, {}
    for role in ("owner", "member", "stranger", "key_admin", "key_read"):
        body = {"rule": {"percents": ["100"]}, "days": 30}
        async with scene.ask(role, "POST", path, json=body) as reply:
            found[role] = reply.status
            if role == "owner":
                preview = await reply.json()

    expected = {"owner": 200, "member": 403, "stranger": 404, "key_admin": 200, "key_read": 403}
    assert expected == found
    assert 1 == preview["projects"]


async def test_names_of_people_are_for_who_is_in_the_project(scene: Scene) -> None:
    found, people = {}, []
    for role in ("owner", "member", "stranger", "key_read", "key_admin", "nobody"):
        path = f"/api/v1/projects/{MINE}/people"
        async with scene.ask(role, "GET", path) as reply:
            found[role] = reply.status
            if role == "member":
                people = (await reply.json())["people"]

    expected = {"owner": 200, "member": 200, "stranger": 404}
    assert {**expected, "key_read": 401, "key_admin": 401, "nobody": 401} == found
    assert {"name": f"{MARKS[MINE]}-owner", "role": "owner"} in people
    assert "member" == people[-1]["role"]
    assert "@" not in str(people)


async def test_a_person_is_invited_made_administrator_and_disabled(scene: Scene) -> None:
    admin = administrator(scene)
    wish = {"email": "ada@example.org", "name": "Ada", "language": "en", "way": "link"}

    status, page = await admin.post("/admin/people", **wish)
    assert status == 200
    [link] = re.findall(r"<code>(http[^<]+/password/[\w-]{43})</code>", page)
    async with scene.service.session.get(link, headers={"Accept": "text/html"}) as reply:
        assert reply.status == 200

    _, page = await admin.get("/admin/people?q=ada%40")
    [number] = re.findall(r'href="/admin/people/(\d+)"', page)
    for change, expected in (
        ("promote", "administer everything"),
        ("demote", "what projects and organisations say"),
        ("disable", "not log in since"),
        ("enable", "what projects and organisations say"),
    ):
        assert (await admin.post(f"/admin/people/{number}", change=change))[0] == 303
        assert expected in words((await admin.get(f"/admin/people/{number}"))[1])


async def test_a_mail_that_nobody_would_send_is_refused(scene: Scene) -> None:
    wish = {"email": "ada@example.org", "name": "", "language": "", "way": "mail"}

    status, page = await administrator(scene).post("/admin/people", **wish)

    assert (422, True) == (status, "OS_CREDITS_MAIL_HOST" in page)


async def test_sessions_are_ended(scene: Scene) -> None:
    member = scene.visitors["member"]
    [(number,)] = _rows(scene, "SELECT id FROM login WHERE email = 'member@example.org'")
    assert (await member.get("/me"))[0] == 200

    await administrator(scene).post(f"/admin/people/{number}/sessions")

    assert (await member.get("/me"))[0] == 303


def _rows(scene: Scene, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(scene.service.settings.database_url) as conn:
        return conn.execute(statement.encode()).fetchall()


async def test_an_address_is_erased_once_it_was_typed_again(scene: Scene) -> None:
    admin, path = administrator(scene), "/admin/addresses/member%40example.org"

    status, page = await admin.post(f"{path}/erase", typed="other@example.org")
    assert (422, True) == (status, 'id="typed-error"' in page)
    assert "member@example.org" in await owners(scene.service)

    status, _ = await admin.post(f"{path}/erase", typed="Member@example.org")
    assert status == 303
    assert "member@example.org" not in await owners(scene.service)
    assert "Nothing is stored" in words((await admin.get(path))[1])


async def test_managers_name_others_beneath_them_only(scene: Scene) -> None:
    path, wish = "/organisations/north/managers", {"email": "m@example.org", "name": "M"}

    found = {role: (await visitor.get(path))[0] for role, visitor in scene.visitors.items()}
    assert {
        "administrator": 200, "manager": 200, "owner": 403, "member": 403, "stranger": 404,
    } == found  # fmt: skip
    assert (await scene.visitors["manager"].post(path, **wish))[0] == 403
    assert (await administrator(scene).post(path, **wish))[0] == 303
    assert "m@example.org" in (await scene.visitors["manager"].get(path))[1]
    assert (await administrator(scene).post(f"{path}/remove", email="M@example.org"))[0] == 303
    assert "m@example.org" not in (await scene.visitors["manager"].get(path))[1]


async def test_a_key_is_shown_once_works_and_is_revoked(scene: Scene) -> None:
    admin = administrator(scene)
    status, page = await admin.post("/admin/keys", name="reader", scopes="read", projects=MINE)
    assert status == 200
    [key] = re.findall(r'class="secret"><code>([^<]+)</code>', page)
    async with scene.service.request("GET", f"/api/v1/projects/{MINE}", key=key) as reply:
        assert reply.status == 200

    _, page = await admin.get("/admin/keys")
    assert key not in page
    [number] = re.findall(r"reader</bdi> <small[^>]*>key (\d+)", page)
    assert "reader" in (await admin.get(f"/admin/keys/{number}/revoke"))[1]
    status, target = await admin.post(f"/admin/keys/{number}/revoke")
    assert (303, "/admin/keys?done=revoked") == (status, target)
    async with scene.service.request("GET", f"/api/v1/projects/{MINE}", key=key) as reply:
        assert reply.status == 401


async def test_a_key_that_could_not_be_is_told_beside_its_field(scene: Scene) -> None:
    status, page = await administrator(scene).post("/admin/keys", name="x")
    assert (422, True) == (status, 'id="scopes-error"' in page)

    status, page = await administrator(scene).post(
        "/admin/keys", name="x", scopes="ingest", projects=MINE
    )
    assert (422, True) == (status, 'id="projects-error"' in page)


async def test_the_audit_log_says_in_words_who_did_what(scene: Scene) -> None:
    admin = administrator(scene)
    price = {
        "meter": "project_vcpu_usage", "flavor": "m1.large", "credits_per_unit": "1.5",
        "valid_from": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    async with admin.request("POST", "/api/v1/prices", json=price) as reply:
        assert reply.status < 300, await reply.text()

    said = words((await admin.get("/admin/audit?subject=price&actor=administrator"))[1])

    assert "set the price of project_vcpu_usage / m1.large to 1.5 credits from 1 Jan 2027" in said
    assert "administrator (login" in said
    _, page = await admin.get(f"/admin/audit?project={MINE}")
    assert f"granted 100 credits: {MARKS[MINE]}" in words(page)
    assert MARKS[THEIRS] not in page


async def test_the_audit_log_is_read_page_by_page(scene: Scene) -> None:
    seen: list[str] = []
    path = "/admin/audit"
    with psycopg.connect(scene.service.settings.database_url) as conn:
        for number in range(120):
            conn.execute("INSERT INTO organisation (name) VALUES (%s)", [f"page {number}"])
    while path:
        _, page = await administrator(scene).get(path)
        seen += re.findall(r"made organisation (page \d+)", page)
        found = re.findall(r'href="([^"]+)" rel="next"', page)
        path = html.unescape(found[0]) if found else ""

    assert [f"page {number}" for number in reversed(range(120))] == seen


async def test_a_filter_that_is_wrong_is_told(scene: Scene) -> None:
    admin = administrator(scene)
    for query, field in (
        ("project=nobodys", "project"),
        ("since=x", "since"),
        ("login=x", "login"),
    ):
        status, page = await admin.get(f"/admin/audit?{query}")
        assert (400, True) == (status, f'id="{field}-error"' in page)


async def test_a_source_appears_and_what_it_got_wrong(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os_credits.jobs.REPORT_SECONDS", 0.2)
    async with running(settings_for(database_url)) as service:
        scene = await make_scene(service)
        async with service.request("POST", "/api/v2/write", key="ingest", data="<b>bad</b>") as one:
            assert one.status == 400
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while len(_doors(found := await sources(service))) < 2:
                await asyncio.sleep(0.1)
        _, page = await administrator(scene).get("/admin/sources")
        _, keys = await administrator(scene).get("/admin/keys")

    # One push names three sites, the other could not be read.
    accepted = {one["site"]: one["accepted"] for one in found if one["door"] == "line_protocol_1"}
    assert {MARKS[one]: 30 for one in (MINE, OURS, THEIRS)} == {
        site: count for site, count in accepted.items() if site is not None
    }
    [refused] = [one for one in found if one["door"] == "line_protocol_2"]
    assert (None, {"unreadable": 1}) == (refused["site"], refused["refused"])
    assert "InfluxDB lines, version 2" in page
    assert "<b>bad" not in page
    assert "never" in words(keys)
    assert re.search(r"\d\d:\d\d", words(keys))


def _doors(found: list[dict[str, object]]) -> set[object]:
    return {one["door"] for one in found}


async def sources(service: Service) -> list[dict[str, object]]:
    async with service.request("GET", "/api/v1/sources", key="admin") as reply:
        found: list[dict[str, object]] = (await reply.json())["sources"]
        return found


async def test_health_says_what_is_wrong_and_what_to_do(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy with another version runs, one of whose jobs fails; a source has gone silent."""
    monkeypatch.setattr("os_credits.jobs.REPORT_SECONDS", 0.2)
    async with running(settings_for(database_url)) as service:
        scene = await make_scene(service)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while len(await sources(service)) < 3:
                await asyncio.sleep(0.1)
        with psycopg.connect(database_url) as conn:
            conn.execute(
                "UPDATE source SET last_push_at = now() - interval '15 minutes', push_count = 9,"
                " usual_ms = 30000 WHERE site = %s",
                [MARKS[MINE]],
            )
            conn.execute(
                "INSERT INTO service_copy"
                " (id, host, process_id, version, started_at, seen_at, jobs)"
                " VALUES (gen_random_uuid(), 'elsewhere', 7, '0.0.1', now(), now(), %s)",
                [json.dumps([FAILING])],
            )
        async with service.request("GET", "/api/v1/health-report", key="admin") as reply:
            report = await reply.json()
        status, page = await administrator(scene).get("/admin/health")

    found = {one["check"]: one for one in report["findings"] if one["state"] == "warning"}
    assert {"copies", "jobs", "sources"} <= set(found)
    assert "warning" == report["state"]
    assert f"for {MARKS[MINE]}: nothing for 15 min, used to send every 30 s" in words(page)
    assert "does that program run, and reach the service?" in words(page)
    assert "seal: &lt;i&gt;no&lt;/i&gt;" in page
    assert status == 200


async def test_pages_are_german_for_those_who_read_german(scene: Scene) -> None:
    headers = {"Accept": "text/html", "Accept-Language": "de"}
    found = {}
    for path in (*ADMINISTRATION, PEOPLE):
        async with administrator(scene).request("GET", path, headers=headers) as reply:
            found[path] = words(await reply.text())

    assert "All is well" not in found["/admin/health"]
    assert "alle geschlossenen Stunden sind gebucht" in found["/admin/health"]
    assert "hat 100 Credits zugeteilt" in found["/admin/audit"]
    assert "verantwortlich" in found[PEOPLE]
