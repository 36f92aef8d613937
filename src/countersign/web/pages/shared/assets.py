"""Assets: style sheets, scripts and pictures, read once. Their address holds a hash of their content."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from countersign.web.http.compression import write_file
from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_COMMENT: Final = re.compile(rb"/\*.*?\*/", re.DOTALL)
_SPACE: Final = re.compile(rb"\s+")
_AROUND: Final = re.compile(rb" ?([{};,]) ?")
_JOINED: Final = {"sign_in.js": ("fields.js", "passkey.js")}
"""Modules that one page needs together. A request brings them both, each in a block of its own."""
FOREVER: Final = "public, max-age=31536000, immutable"
ALONE: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For a picture that is opened by itself: its own styles apply, and nothing else runs."""


async def asset(req: Request, resp: Response, version: str, name: str) -> None:
    """GET /static/{version}/{name}. An old version is served too, but must not be cached."""
    found = contents().get(name)
    if found is None:
        raise ProblemError("not_found")
    write_file(req, resp, found, TYPES[name[name.rindex(".") :]])
    resp.set_header("Cache-Control", FOREVER if version == digest() else "no-store")
    resp.set_header("Content-Security-Policy", ALONE)
    resp.set_header("Cross-Origin-Resource-Policy", "same-origin")


def address(name: str) -> str:
    """Return the path of an asset, which changes with any asset. Raises KeyError for an unknown name."""
    if name not in contents():
        raise KeyError(name)
    return f"/static/{digest()}/{name}"


@cache
def contents() -> dict[str, bytes]:
    """Return the content of every asset by name."""
    folder = files("countersign.web.pages") / "static"
    found = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(tuple(TYPES))}
    joined = {name: b"".join(b"{\n%b}\n" % found[part] for part in parts) for name, parts in _JOINED.items()}
    return {name: _compact(content) if name.endswith(".css") else content for name, content in (found | joined).items()}


def _compact(sheet: bytes) -> bytes:
    """Return a style sheet without comments and without the space around braces, semicolons and commas."""
    return _AROUND.sub(rb"\1", _SPACE.sub(b" ", _COMMENT.sub(b"", sheet))).strip()


@cache
def digest() -> str:
    """Return a short hash of all assets, so that scripts which import each other change their address together."""
    whole = hashlib.sha256()
    for name, content in sorted(contents().items()):
        whole.update(b"%d %b %d " % (len(name), name.encode(), len(content)))
        whole.update(content)
    return whole.hexdigest()[:12]
