"""Who gets a page and who gets JSON, where both live under one address."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiohttp import web

_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")


def wants_page(request: web.Request) -> bool:
    """Tell whether HTML is preferred: browsers name it, machines that take anything do not.

    A page's own script, which exchanges parts of it, asks for anything and means HTML.
    """
    if request.headers.get("HX-Request") == "true":
        return True
    weights = {"text/html": 0.0, "application/json": 0.0}
    for part in request.headers.get("Accept", "").lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type in weights:
            weights[media_type] = _weight(parameters)
    return weights["text/html"] > weights["application/json"]


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if _WEIGHT.fullmatch(value) else 0.0
    return 1.0
