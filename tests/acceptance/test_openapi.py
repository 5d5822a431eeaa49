"""The OpenAPI document says what the router does, and the page shows it without the network."""

import re
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from os_credits.app import create_app
from tests.acceptance.conftest import Service, settings_for

# Needs nothing, and says of an address and a password that nobody comes in by them.
LOG_IN = "post_api_v1_session"
METHODS = {"get", "post", "put", "patch", "delete"}


async def _document(service: Service) -> dict:  # type: ignore[type-arg]
    async with service.request("GET", "/openapi.json") as response:
        assert response.status == 200
        document: dict = await response.json()  # type: ignore[type-arg]
        return document


async def test_the_document_is_valid_openapi_3_1(service: Service) -> None:
    document = await _document(service)

    assert document["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_the_document_names_every_route_and_no_other(service: Service) -> None:
    document = await _document(service)
    router = create_app(settings_for("postgresql://nowhere/x")).router
    routed = {
        (route.method.lower(), route.resource.canonical)
        for route in router.routes()
        if route.resource is not None and route.method != "HEAD"
    }

    told = {
        (method, path)
        for path, operations in document["paths"].items()
        for method in METHODS & set(operations)
    }

    assert told == {one for one in routed if not one[1].startswith("/static/")}


async def test_operations_have_names_of_their_own_and_say_who_may(service: Service) -> None:
    document = await _document(service)
    operations = [operation for path in document["paths"].values() for operation in path.values()]

    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for operation in operations:
        assert operation["summary"], operation
        is_refusing = bool(operation["security"]) or operation["operationId"] == LOG_IN
        assert ("401" in operation["responses"]) == is_refusing, operation


@pytest.mark.parametrize("path", ["/api/doc", "/openapi.json"])
async def test_the_documentation_needs_no_key(service: Service, path: str) -> None:
    async with service.request("GET", path) as response:
        assert response.status == 200


async def test_the_page_loads_only_files_of_this_service(service: Service) -> None:
    async with service.request("GET", "/api/doc") as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "script-src" not in policy  # so that no inline script can run
    assert re.findall(r"<script(?![^>]*\ssrc=)", page) == []
    references = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(references) >= 4
    for reference in references:
        assert reference.startswith("../")
        async with service.request("GET", reference.removeprefix("..")) as response:
            assert response.status == 200, reference
            assert await response.read()


def test_the_vendored_files_name_no_other_host_to_load_from() -> None:
    start = Path("src/os_credits/web/static/doc/start.js").read_text(encoding="utf-8")

    assert "http" not in start
    assert "validatorUrl: null" in start


async def test_a_file_that_has_not_changed_is_not_sent_again(service: Service) -> None:
    path = "/static/vendor/swagger-ui/swagger-ui.css"
    async with service.request("GET", path) as response:
        content, version = await response.read(), response.headers["ETag"]
    async with service.request("GET", path, headers={"If-None-Match": version}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with service.request("GET", path, headers={"If-None-Match": '"older"'}) as response:
        assert (response.status, await response.read()) == (200, content)
    async with service.request("HEAD", path) as response:
        assert (response.status, await response.read()) == (200, b"")
        assert int(response.headers["Content-Length"]) == len(content)
