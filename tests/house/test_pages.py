"""What a page can do, a machine can do by the same right: every page names its JSON routes."""

import pytest

from os_credits.api.routes import ALL_ROUTES, Gate, Route
from os_credits.app import create_app
from os_credits.settings import Settings
from os_credits.web import pages
from os_credits.web.room import PageRoute

# Forms that only lead to others; what they lead to names its routes.
WITHOUT = {"/login", "/password", "/password/{token}"}
PAGES = [one for one in pages.routes() if one.gate != "open"]


@pytest.fixture(scope="module")
def routes() -> dict[str, Route]:
    """Give all routes by method and path."""
    app = create_app(Settings(_env_file=None, allow_unsafe_database=True))
    return {f"{route.method} {route.path}": route for route in app[ALL_ROUTES]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
def test_a_page_names_the_routes_that_do_the_same_by_the_same_right(
    page: PageRoute, routes: dict[str, Route]
) -> None:
    assert page.api or (page.method == "GET" and page.path in WITHOUT), "names no route"
    for name in page.api:
        assert name in routes, name
        assert not routes[name].is_page
        if page.method != "GET" and not name.startswith("GET "):
            assert routes[name].gate is Gate(page.gate), name


def test_every_route_is_declared_once() -> None:
    named = [(one.method, one.path) for one in pages.routes()]
    assert len(set(named)) == len(named)
