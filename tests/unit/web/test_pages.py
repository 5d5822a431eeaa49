"""Who gets a page, and who gets JSON."""

import pytest
from aiohttp.test_utils import make_mocked_request

from os_credits.web.pages import routes, wants_page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    "accept,page",
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML; Q=0.9, application/json;q=0.5", True),
        ("*/*", False),
        (None, False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("application/json, text/html;q=0.1", False),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
        ("text/html;q=1e9", False),
        ("image/png", False),
    ],
)
def test_a_page_is_for_those_who_prefer_html(accept: str | None, page: bool) -> None:
    headers = {} if accept is None else {"Accept": accept}

    assert wants_page(make_mocked_request("GET", "/", headers)) is page


def test_only_files_are_open_to_everyone() -> None:
    gates = {route.path: route.gate for route in routes() if route.method == "GET"}

    assert {path.startswith("/static/") for path, gate in gates.items() if gate == "open"} == {True}
    assert gates["/"] == gates["/credits_history/{project}"] == "read"
