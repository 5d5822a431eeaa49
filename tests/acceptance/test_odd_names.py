"""Projects whose names were made to break paths, pages or logs are reached like any other."""

from urllib.parse import quote

import pytest

from os_credits.decode.remote_write_encode import encode_v1
from os_credits.domain.access import Scope
from tests.acceptance.conftest import Service
from tests.acceptance.senders import V1, now_ms

PATHS = (
    "/api/v1/projects/{}",
    "/api/v1/projects/{}/entries",
    "/credits_history/{}",
    "/api/current_credits/{}",
)


async def push(service: Service, name: str) -> None:
    """Let samples name a project: they may say what people may not."""
    labels = {"__name__": "project_vcpu_usage", "project_name": name}
    body = encode_v1([(tuple(sorted(labels.items())), [(now_ms(), 1.0)])])
    async with service.request(
        "POST", "/api/v1/write", key="ingest", headers=V1, data=body
    ) as reply:
        assert reply.status == 204, await reply.text()
    await service.rated()


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "{{7*7}}",
        "{project}",
        "%2F",
        "#5",
        "<script>alert(1)</script>",
        "a\r\nb",
        " ",
        "\u202e",
        "☃ ü",
    ],
)
async def test_a_project_is_found_by_its_name(service: Service, name: str) -> None:
    await push(service, name)

    for path in PATHS:
        url = path.format(quote(name, safe=""))
        async with service.request("GET", url, key="admin") as reply:
            assert reply.status == 200, (path, await reply.text())


UNREADABLE = (
    ("name", ""),
    ("name", "  "),
    ("name", "\u3164\u2800"),
    ("name", "a\r\nb"),
    ("name", "a\x1b[31m"),
    ("name", "a\u202eb"),
    ("name", "a\u200bb"),
    ("site", "a\nb"),
    ("site", " "),
    ("domain", "\u2028"),
    ("external_id", "a\x7f"),
)


async def test_a_person_names_no_project_that_nobody_could_read(service: Service) -> None:
    for place, text in UNREADABLE:
        project = {"name": "alpha", place: text}
        async with service.request("POST", "/api/v1/projects", key="admin", json=project) as reply:
            assert reply.status == 400, project
            assert (await reply.json())["message"].startswith(f"{place}: ")
    async with service.request("GET", "/api/v1/projects", key="admin") as reply:
        assert (await reply.json())["projects"] == []


async def test_no_sender_takes_the_number_of_a_project_by_its_name(service: Service) -> None:
    """Else who grants credits to `#1`, as the list of candidates says, gives them to a thief."""
    await push(service, "alpha")
    async with service.request("GET", "/api/v1/projects/alpha", key="admin") as reply:
        number = (await reply.json())["id"]
    await push(service, f"#{number}")
    limited = await service.new_key(Scope.READ, projects=(f"#{number}",))

    async with service.request("GET", f"/api/v1/projects/%23{number}", key="admin") as reply:
        assert (await reply.json())["name"] == "alpha"
    async with service.request("GET", "/api/v1/projects", key=limited) as reply:
        assert [one["name"] for one in (await reply.json())["projects"]] == ["alpha"]
    grant = {"amount": "5", "reason": "for alpha"}
    async with service.request(
        "POST", f"/api/v1/projects/%23{number}/grants", key="admin", json=grant
    ) as reply:
        assert reply.status == 201
    async with service.request("GET", "/api/v1/projects/alpha", key="admin") as reply:
        assert (await reply.json())["balance"]["granted"] == "5.000000"


async def test_a_packed_json_body_is_refused_by_its_encoding(service: Service) -> None:
    async with service.request(
        "POST",
        "/cost_per_hour",
        key="read",
        data=b"\x1f\x8b",
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ) as reply:
        assert reply.status == 415
        assert "Content-Encoding" in (await reply.json())["message"]


async def test_a_body_that_cannot_be_read_counts_as_one_refused(service: Service) -> None:
    async with service.request(
        "POST", "/write", key="ingest", data=b"no gzip", headers={"Content-Encoding": "gzip"}
    ) as reply:
        assert reply.status == 400

    async with service.request("GET", "/stats", key="admin") as reply:
        assert (await reply.json())["refused_samples"] == {"body": 1}
