"""A sheet: one page as it leaves, a template that was filled and the headers that every page bears."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final

import jinja2
import markupsafe

from countersign.web.http.assets import address

if TYPE_CHECKING:
    from falcon.asgi import Response

POLICY: Final = "; ".join(  # noqa: FLY002 - one directive a line is what can be read
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Nothing from elsewhere, nothing inline, in nobody's frame, and no string becomes markup."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # The origin alone: forms of ours still send theirs, and what stands in an address is told to nobody.
    "Referrer-Policy": "strict-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}


_ADDRESS: Final = re.compile(r"(https?://[^\s<>\"]*[\w/=-])")


def show(resp: Response, template: str, *, lang: str = "en", direction: str = "ltr", **values: object) -> None:
    """Answer with `template`, filled; `lang` and `direction` are what the page is written in.

    `form_action` among the values is an origin beside ours that the page's forms may lead to in the end, by a redirect.
    """
    resp.content_type = "text/html; charset=utf-8"
    for name, value in HEADERS.items():
        resp.set_header(name, value)
    if beside := values.get("form_action"):
        resp.set_header("Content-Security-Policy", POLICY.replace("form-action 'self'", f"form-action 'self' {beside}"))
    resp.text = _templates().get_template(template).render(lang=lang, direction=direction, **values)


def instant(at: int) -> str:
    """Return `at` (ms) as `2026-11-23T16:32:05Z` (RFC 3339), for programs and `datetime` attributes."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock_time(at: int) -> str:
    """Return `at` (ms) as `16:32:05 UTC`."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%H:%M:%S UTC")


def links(text: str) -> markupsafe.Markup:
    """Return a text as markup in which web addresses, and nothing else, are links that open beside."""
    parts = _ADDRESS.split(text)
    link = markupsafe.Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>')
    return markupsafe.Markup("").join(link.format(part) if place % 2 else part for place, part in enumerate(parts))


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("countersign.web.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["asset"] = address
    made.filters["instant"] = instant
    made.filters["clock_time"] = clock_time
    made.filters["links"] = links
    return made
