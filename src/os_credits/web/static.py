"""The files that pages use, each under a path of its own: nothing else can be asked for."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

STATIC_FOLDER = Path(__file__).resolve().parent / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# Pages name no versions of their files, so browsers ask again; unchanged ones cost a 304.
_CACHE = "no-cache"

STATIC_FILES = {
    f"/static/{path.relative_to(STATIC_FOLDER).as_posix()}": path
    for path in sorted(STATIC_FOLDER.rglob("*"))
    if path.suffix in _MEDIA_TYPES
}


async def static_file(request: web.Request) -> web.FileResponse:
    """Answer with the file that belongs to exactly this path."""
    path = STATIC_FILES[request.path]
    headers = {
        "Content-Type": _MEDIA_TYPES[path.suffix],
        "Cache-Control": _CACHE,
        "X-Content-Type-Options": "nosniff",
    }
    return web.FileResponse(path, headers=headers)
