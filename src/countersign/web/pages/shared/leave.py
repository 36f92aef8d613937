"""Leaving this site: the browser goes on to an application, from a form of ours too (decision 0049)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from countersign.web.http.browser import language_of
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


def leave_for(web: WebContext, req: Request, resp: Response, location: str) -> None:
    """Send the browser to an address of an application.

    Chromium holds every redirect after a form against the `form-action` of the form's page, those of the application too. So a browser
    that comes here from a page of ours gets a page that navigates on, which ends that chain. Any other one is redirected.
    """
    if _comes_from_our_page(req):
        language = language_of(req)
        show(web, req, resp, "leave.html", title=language.say("One moment"), address=location)
    else:
        resp.redirect(location)


def origin_of(address: str) -> str:
    """Return the origin of an absolute address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _comes_from_our_page(req: Request) -> bool:
    """Return True if a page of ours made the browser open this one, by a form or by the redirects after it (Fetch Metadata)."""
    return req.get_header("Sec-Fetch-Site") == "same-origin" and req.get_header("Sec-Fetch-Mode") == "navigate"
