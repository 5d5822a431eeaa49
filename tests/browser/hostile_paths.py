"""Addresses of pages that show texts which were made to act, or repeat such a text."""

import re
from urllib.parse import quote

from tests.acceptance.conftest import Service
from tests.acceptance.hostile.mistakes import mistaken_paths
from tests.acceptance.hostile.reads import filled, values_for
from tests.acceptance.hostile.scene import Scene
from tests.browser.test_every_page import page_routes
from tests.payloads import PAYLOADS

# What acts in pages; the others act elsewhere.
ACTING = (
    "script", "end_of_script", "attribute", "single_quoted", "image", "iframe", "javascript_url",
    "foreign_url", "angle", "entities",
)  # fmt: skip
# Leaves whatever it is written into: a quoted value, a long field, a title.
TYPED = PAYLOADS["attribute"] + "'></textarea></title></select>" + PAYLOADS["script"]
_NAMES = re.compile(r"{(\w+)}")
_OF_A_KIND = {"project", "organisation", "flavor", "email", "login_id", "number"}
# What a page shows only when its address asks for it.
_QUERIES: dict[str, tuple[str, ...]] = {
    "/": ("", "?search={project}", "?organisation={organisation}"),
    "/bill": ("", "?project={project}&by=resource", "?organisation={organisation}"),
    "/calculator": ("?flavor={flavor}&count=2&project={project}",),
    "/admin/audit": ("", "?project={project}"),
    "/admin/prices/new": ("?meter={meter}&flavor={flavor}",),
    "/admin/prices/of/{meter}": ("?flavor={flavor}",),
    "/projects/{project}/people/change": ("?email={email}",),
    "/projects/{project}/spent/{when}": ("", "T{hour}"),
}
_REPEATING = (
    "/?search={}", "/?show={}", "/?organisation={}", "/?lang={}", "/bill?project={}",
    "/bill?project=gathering&range={}", "/bill?project=gathering&by=resource&resource={}",
    "/calculator?flavor={0}&count={0}&hours={0}&project={0}", "/login?next={0}&done={0}",
    "/password/{}", "/projects/gathering/spent/{}", "/projects/gathering/resources?sort={}",
    "/admin/people?q={}", "/admin/addresses?email={}", "/admin/addresses/{}",
    "/admin/managers?organisation={}", "/admin/audit?project={0}&actor={0}&what={0}",
    "/admin/hosts?by={}", "/admin/prices/of/{}", "/admin/grants?project={0}&reason={0}",
    "/admin/prices/new?meter={0}&flavor={0}&credits_per_unit={0}",
)  # fmt: skip
# Links that differ in other fields lead to the same page, sorted or cut otherwise.
_TELLING = {"flavor", "meter", "organisation", "print", "project", "resource", "search", "series"}


async def paths_of(route: str, scene: Scene, service: Service, kind: str) -> list[str]:
    """Give the addresses of a route that show what has a payload as its name."""
    values = await values_for(scene, service, kind, route)
    values |= {"when": f"{scene.start:%Y-%m-%d}", "hour": f"{scene.start:%H}"}
    return [
        filled(route + query, set(_NAMES.findall(route + query)), values)
        for query in _QUERIES.get(route, ("",))
    ]


def routes_of_names() -> list[str]:
    """Give the routes whose address names something that has a payload as its name."""
    shown = {route: " ".join((route, *_QUERIES.get(route, ()))) for route in page_routes()}
    return [route for route, all_ in shown.items() if _OF_A_KIND & set(_NAMES.findall(all_))]


def invitation_of(scene: Scene, kind: str) -> str:
    """Give where somebody whose name is a payload chooses a password, as the mail told them."""
    address = f"login-{list(PAYLOADS).index(kind)}@example.org"
    mail = next(mail for to, mail in scene.mails if to == [address])
    body = mail.get_body(("plain",))
    found = re.search(r"/password/[\w-]+", body.get_content() if body else "")
    assert found
    return found[0]


def repeating_paths() -> list[str]:
    """Give addresses that hold a payload, which their pages or refusals repeat."""
    return [*(path.format(quote(TYPED, safe="")) for path in _REPEATING), *mistaken_paths(TYPED)]


def shape_of(path: str) -> str:
    """Tell what kind of address this is: links that differ by names or numbers are of one."""
    steps, _, query = path.partition("?")
    telling = _TELLING & {one.partition("=")[0] for one in query.split("&")}
    steps = re.sub(r"gathering|[^/]*[%\d][^/]*", "*", steps)
    return f"{steps}?{'&'.join(sorted(telling))}"
