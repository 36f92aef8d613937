"""Compression: files and pages go out as gzip where the browser takes it and nobody learns a secret from their length."""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

LEAST: Final = 256
"""Bytes below which the header costs more than it saves."""
_PAGE_LEVEL: Final = 6
_FILE_LEVEL: Final = 9
_OURS: Final = frozenset({"same-origin", "none"})
_NOT_WANTED: Final = re.compile(r"q=0(?:\.0{0,3})?", re.ASCII)


def takes_gzip(req: Request) -> bool:
    """Return True if the browser says that it takes gzip (RFC 9110, 12.5.3)."""
    said = (part.partition(";") for part in (req.get_header("Accept-Encoding") or "").lower().split(","))
    weights = {coding.strip(): "".join(weight.split()) for coding, _, weight in said}
    weight = weights.get("gzip", weights.get("*"))
    return weight is not None and _NOT_WANTED.fullmatch(weight) is None


def write_file(req: Request, resp: Response, content: bytes, media_type: str) -> None:
    """Respond with a file that holds no secret, compressed once for all readers."""
    packed = _packed(content)
    smaller = len(packed) < len(content)
    resp.write(packed if smaller and takes_gzip(req) else content, media_type)
    if smaller:
        resp.set_header("Vary", "Accept-Encoding")
        if resp.data is packed:
            resp.set_header("Content-Encoding", "gzip")


def compress_page(req: Request, resp: Response) -> None:
    """Compress the page that `resp` holds as text, unless another site brought the reader here.

    Another site could put guesses into the address, and read from the length how much of a secret they repeat (BREACH). A browser that
    does not say who leads it gets the page as it is.
    """
    text = resp.text
    if text is None or req.get_header("Sec-Fetch-Site") not in _OURS or not takes_gzip(req):
        return
    content = text.encode()
    if len(content) < LEAST:
        return
    resp.text = None
    resp.data = gzip.compress(content, _PAGE_LEVEL, mtime=0)
    resp.set_header("Content-Encoding", "gzip")


@lru_cache(maxsize=256)
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, _FILE_LEVEL, mtime=0)
