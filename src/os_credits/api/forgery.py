"""Refuses what a foreign site makes a browser send in the name of whoever has logged in.

A browser names the page's site in `Origin` and `Sec-Fetch-Site`, and adds the session's cookie
by itself; a foreign page cannot know the session's token for forms. Keys are never added by a
browser itself, so requests with one need none of this.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from os_credits.api.context import ACCESS, VISIT, context_of
from os_credits.api.forwarded import Arrival
from os_credits.api.routes import Gate, Route
from os_credits.errors import Forbidden, InvalidInput, TooLarge, UnsupportedMedia

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
FORM_TYPE = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 256 * 1024
FORM_FIELDS_MAX = 2000
FORM = web.RequestKey("FORM", MultiDictProxy[str])


async def refuse_forgery(request: web.Request, route: Route, arrival: Arrival) -> None:
    """Raise Forbidden for a change that a foreign page wants; reads the form of a page."""
    visit = request[VISIT]
    if route.is_page:
        request[FORM] = await _read_form(request)
    if not visit.is_person and route.gate is not Gate.VISITOR:
        return
    _refuse_foreign_origin(request, arrival)
    if not visit.is_person or route.gate is Gate.VISITOR:
        return
    told = request.headers.get(CSRF_HEADER, "")
    if route.is_page and not told:
        told = request[FORM].get(CSRF_FIELD, "")
    if not hmac.compare_digest(told.encode(), visit.csrf.encode()):
        raise Forbidden(
            f"the session's token is missing or wrong: send it as {CSRF_HEADER}, or load the "
            "page again"
        )


def form_of(request: web.Request) -> MultiDictProxy[str]:
    """Give the fields of the form that came to a page."""
    return request[FORM]


def _refuse_foreign_origin(request: web.Request, arrival: Arrival) -> None:
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("same-origin", "none"):
        raise Forbidden("this was sent by the page of another site")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() not in arrival.hosts:
        raise Forbidden("this was sent by the page of another site")


async def _read_form(request: web.Request) -> MultiDictProxy[str]:
    """Read a form of a page, within bounds."""
    if request.content_type != FORM_TYPE:
        raise UnsupportedMedia(f"send {FORM_TYPE}", where="Content-Type")
    if (request.content_length or 0) > FORM_BYTES_MAX:
        raise TooLarge(f"a form holds at most {FORM_BYTES_MAX} bytes")
    bodies = context_of(request).bodies
    with bodies.lease(request[ACCESS]) as lease:
        body = await bodies.read(request, lease)
    if len(body) > FORM_BYTES_MAX:
        raise TooLarge(f"a form holds at most {FORM_BYTES_MAX} bytes")
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise InvalidInput("this is no form that can be read", where="body") from None
    if any("\0" in text for field in fields for text in field):
        raise InvalidInput("the character NUL cannot be kept", where="body")
    return MultiDictProxy(MultiDict(fields))
