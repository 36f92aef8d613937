"""Assets: the style sheet, modules and pictures of the pages, read once and named after what is in them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For whoever opens a picture by itself: its own style applies, and nothing else happens."""


async def asset(_: Request, resp: Response, version: str, name: str) -> None:
    """GET /static/{version}/{name}: a version that is not today's is served all the same, but may not be kept."""
    found = contents().get(name)
    if found is None:
        raise ProblemError("not_found")
    resp.write(found, TYPES[name[name.rindex(".") :]])
    resp.set_header("Cache-Control", _FOREVER if version == digest() else "no-store")
    resp.set_header("Content-Security-Policy", _POLICY)
    resp.set_header("Cross-Origin-Resource-Policy", "same-origin")


def address(name: str) -> str:
    """Return the path of an asset, which changes whenever any asset does; raises KeyError for one that does not exist."""
    if name not in contents():
        raise KeyError(name)
    return f"/static/{digest()}/{name}"


@cache
def contents() -> dict[str, bytes]:
    """Return the bytes of every asset by its name."""
    folder = files("countersign.web.pages") / "static"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(tuple(TYPES))}


@cache
def digest() -> str:
    """Return a short hash over all assets, so that modules which import each other change their address together."""
    whole = hashlib.sha256()
    for name, content in sorted(contents().items()):
        whole.update(b"%d %b %d " % (len(name), name.encode(), len(content)))
        whole.update(content)
    return whole.hexdigest()[:12]
