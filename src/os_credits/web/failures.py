"""What a browser is shown where a machine gets an error in JSON."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from os_credits.web.room import message_page, see_other

_TITLES = {
    400: "This address has a mistake",
    403: "This is not for you",
    404: "No such page",
    405: "This cannot be done here",
    409: "Which one?",
    413: "That is too much",
    429: "Too many attempts",
    503: "Not available right now",
}
_OURS = "Something went wrong"


def error_page(
    request: web.Request, status: int, message: str, candidates: Sequence[dict[str, str]] = ()
) -> web.Response:
    """Answer with a page, or send whoever has to log in first to where that is done."""
    if status == 401:  # noqa: PLR2004 - HTTP's own number
        asked = request.rel_url.raw_path_qs if request.method == "GET" else "/"
        return see_other(request, "/login", **({} if asked == "/" else {"next": asked}))
    title = _TITLES.get(status, _OURS)
    return message_page(request, status, title, message, candidates)
