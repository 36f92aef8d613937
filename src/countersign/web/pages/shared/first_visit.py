"""A browser gets its cookie with the form, and not with the answer to it.

So two presses come from one browser, and one that keeps no cookies is known before any message is sent (semantics J1, J4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.web.http.cookies import DEVICE, DEVICE_KEPT, keep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

FIELD: Final = "page"
"""The hidden field of a form that was sent with a cookie. A program that sends a form without it needs no cookie."""


def name_browser(web: WebContext, req: Request, resp: Response) -> None:
    """Give a browser its cookie, if it has none."""
    if not web.browser(req).device:
        keep(resp, DEVICE, web.accounts.secret(), DEVICE_KEPT)


def drops_cookies(web: WebContext, req: Request, fields: Mapping[str, str]) -> bool:
    """Return True if a form comes from a page of ours, and without the cookie that came with that page."""
    return FIELD in fields and not web.browser(req).device
