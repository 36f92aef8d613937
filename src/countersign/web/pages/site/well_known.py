"""Addresses that other programs know beforehand: where a password is changed, and what a search engine may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

PASSWORD: Final = "/account/password"  # noqa: S105 - an address
_CLOSED: Final = "User-agent: *\nDisallow: /\n"
# What a crawler may not fetch, it cannot see the `noindex` of. Only what has no page is closed to it.
_OPEN: Final = "User-agent: *\nDisallow: /v1/\nDisallow: /oauth/\n"


async def change_password(_: Request, resp: Response) -> None:
    """GET /.well-known/change-password: lead to the form (W3C: A Well-Known URL for Changing Passwords)."""
    resp.redirect(PASSWORD)


class Robots:
    """GET /robots.txt (RFC 9309). Nothing of development is for search engines."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, _: Request, resp: Response) -> None:
        """Return the file."""
        resp.content_type = "text/plain; charset=utf-8"
        resp.text = _CLOSED if self._web.settings.development else _OPEN
