"""The files that pages use, each under a path of its own: nothing else can be asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from hashlib import sha256
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

PIECE_BYTES = 16 * 1024

STATIC_FILES = {
    f"/static/{path.relative_to(STATIC_FOLDER).as_posix()}": path
    for path in sorted(STATIC_FOLDER.rglob("*"))
    if path.suffix in _MEDIA_TYPES
}


async def static_file(request: web.Request) -> web.Response:
    """Answer with the file that belongs to exactly this path.

    Piece by piece from memory, not by `sendfile`: where a connection is cut amid that, asyncio
    may take the next one, which gets the same number of the system, for the one that is gone.
    """
    path = STATIC_FILES[request.path]
    content, version = _read(path)
    headers = {
        "Content-Type": _MEDIA_TYPES[path.suffix],
        "Cache-Control": _CACHE,
        "ETag": f'"{version}"',
        "X-Content-Type-Options": "nosniff",
    }
    if any(known.value in (version, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    headers["Content-Length"] = str(len(content))
    return web.Response(body=_pieces(content), headers=headers)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """Cut a file, so that not all of it waits in memory for a browser that reads slowly."""
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


@cache
def _read(path: Path) -> tuple[bytes, str]:
    """Give the content of a file, and what changes with it."""
    content = path.read_bytes()
    return content, sha256(content).hexdigest()[:32]
