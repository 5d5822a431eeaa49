"""Projects whose names were made to break paths, pages or logs are reached like any other."""

from urllib.parse import quote

import pytest

from tests.acceptance.conftest import Service

PATHS = (
    "/api/v1/projects/{}",
    "/api/v1/projects/{}/entries",
    "/credits_history/{}",
    "/api/current_credits/{}",
)


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
        "☃ ü",
    ],
)
async def test_a_project_is_found_by_its_name(service: Service, name: str) -> None:
    async with service.request(
        "POST", "/api/v1/projects", key="admin", json={"name": name}
    ) as reply:
        assert reply.status == 201, await reply.text()

    for path in PATHS:
        url = path.format(quote(name, safe=""))
        async with service.request("GET", url, key="admin") as reply:
            assert reply.status == 200, (path, await reply.text())


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
