"""The origin of a request: whether a page of ours sent it, or a page of somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import falcon

if TYPE_CHECKING:
    from falcon.asgi import Request


def refuse_foreign(req: Request, public_url: str) -> None:
    """Raise HTTPForbidden if another origin's page sent the request.

    Browsers tell by Sec-Fetch-Site, older ones by Origin alone. A program sends neither, and holds no cookie that could be misused.
    """
    if is_foreign(req.get_header("Sec-Fetch-Site"), req.get_header("Origin"), req.get_header("Host"), public_url):
        raise falcon.HTTPForbidden(
            title="Sent from another site",
            description="This can only be done from our own page. Open it in this browser, and press the button there.",
        )


def is_foreign(fetch_site: str | None, origin: str | None, host: str | None, public_url: str) -> bool:
    """Say whether these headers are those of another origin's page; `none` is a person who typed the address."""
    if fetch_site is not None:
        return fetch_site not in {"same-origin", "none"}
    if origin is None:
        return False
    if host is not None and urlsplit(origin).netloc == host:
        return False
    return _origin_of(public_url) != origin


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
