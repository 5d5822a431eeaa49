"""What a browser is shown where a machine gets an error in JSON."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from os_credits.web.language import N_
from os_credits.web.room import message_page, see_other

_TITLES = {
    400: N_("This address has a mistake"),
    403: N_("This is not for you"),
    404: N_("No such page"),
    405: N_("This cannot be done here"),
    409: N_("Which one?"),
    413: N_("That is too much"),
    429: N_("Too many attempts"),
    503: N_("Not available right now"),
}
_OURS = N_("Something went wrong")
# What the web server says by itself, in words for people.
_REASONS = {
    "Not Found": N_("There is nothing at this address."),
    "Method Not Allowed": N_("This address takes other requests."),
}


def error_page(
    request: web.Request, status: int, message: str, candidates: Sequence[dict[str, str]] = ()
) -> web.Response:
    """Answer with a page, or send whoever has to log in first to where that is done."""
    if status == 401:  # noqa: PLR2004 - HTTP's own number
        if "HX-Request" in request.headers:
            # The whole page is to be loaded again, which then leads to the login.
            return web.Response(status=status, headers={"HX-Refresh": "true"})
        asked = request.rel_url.raw_path_qs if request.method == "GET" else "/"
        return see_other(request, "/login", **({} if asked == "/" else {"next": asked}))
    title = _TITLES.get(status, _OURS)
    return message_page(request, status, title, _REASONS.get(message, message), candidates)
