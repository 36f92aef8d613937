"""Rendering: fills a template and sets the headers of a page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final

import jinja2
import markupsafe
from jinja2.ext import Extension

from countersign.flows.accounts.login_flow import flow_mark
from countersign.messages.content.site_links import labelled_links
from countersign.web.http.browser import language_of, language_page, own_name
from countersign.web.http.compression import compress_page
from countersign.web.http.timestamps import instant
from countersign.web.pages.shared.asking_application import asking_application
from countersign.web.pages.shared.assets import address
from countersign.web.pages.shared.look import PLAIN, PageLook, look_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

OK: Final = 200
POLICY: Final = "; ".join(  # noqa: FLY002 - one directive a line is what can be read
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Nothing from other hosts, nothing inline, no framing, and no string becomes markup."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Only the origin: our forms send it, and nobody learns what an address contains.
    "Referrer-Policy": "strict-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}

FOUND_BY_SEARCH: Final = frozenset({"/sign-in", "/sign-up", "/recover", "/is-this-us"})
"""The pages that search engines may list. Whoever lost an address looks for them there."""


_INDENTATION: Final = re.compile(r"^[ \t]+", re.MULTILINE)
_ADDRESS: Final = re.compile(r"(https?://[^\s<>\"]*[\w/=-])")


def show(web: WebContext, req: Request, resp: Response, template: str, **values: object) -> None:
    """Show a page in the reader's language.

    Args:
        web: knows the names of the site.
        req: says which language the reader wants.
        resp: gets the page.
        template: the template's file name.
        values: what it is filled with, besides the site's names and `say` and `count`, which speak the language. `form_action`
            among them is an origin beside ours that the page's forms may lead to in the end, by a redirect. `site` may be
            the name of the application that asks, and `application` its id, which chooses the theme.
    """
    language, settings = language_of(req), web.settings
    theme = settings.themes.theme_for(str(values.get("application") or asking_application(req, values)))
    resp.set_header("Vary", "Accept-Language, Cookie")
    frame: dict[str, object] = {
        "lang": language.tag,
        "direction": language.direction,
        "site": settings.site,
        "own_host": settings.host,
        "say": language.say,
        "count": language.count,
        "flow_mark": flow_mark(web.accounts, web.browser(req)),
        "look": look_of(theme),
        "site_links": labelled_links(theme.links, language),
        "language_name": own_name(language.tag),
        "language_page": language_page(req),
    }
    render(resp, template, **{**frame, **values})
    compress_page(req, resp)
    if req.path in FOUND_BY_SEARCH and not req.query_string and resp.status_code == OK:
        resp.delete_header("X-Robots-Tag")


def render(resp: Response, template: str, **values: object) -> None:
    """Write the filled `template`. `lang` and `direction` are those of the page's language, `look` is that of its theme."""
    values = {"lang": "en", "direction": "ltr", "look": look_of(PLAIN), **values}
    resp.content_type = "text/html; charset=utf-8"
    resp.set_headers(HEADERS)
    resp.set_header("Content-Security-Policy", policy(values))
    resp.delete_header("Content-Encoding")  # of a page that this one replaces
    resp.text = filled(template, values)


def filled(template: str, values: Mapping[str, object]) -> str:
    """Return the filled `template`."""
    return environment().get_template(template).render(values)


def policy(values: Mapping[str, object]) -> str:
    """Return the content security policy of a page that is filled with `values`."""
    allowed = POLICY
    if beside := values.get("form_action"):
        allowed = allowed.replace("form-action 'self'", f"form-action 'self' {beside}")
    look = values.get("look")
    # The font of a theme stands in its style sheet.
    return f"{allowed}; font-src data:" if isinstance(look, PageLook) and look.has_font else allowed


def clock_time(at: int) -> str:
    """Return `at` (ms) as `16:32:05 UTC`."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%H:%M:%S UTC")


def links(text: str) -> markupsafe.Markup:
    """Return a text as markup in which web addresses, and nothing else, are links that open in a new tab."""
    parts = _ADDRESS.split(text)
    link = markupsafe.Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>')
    return markupsafe.Markup("").join(link.format(part) if place % 2 else part for place, part in enumerate(parts))


class _Compact(Extension):
    """Leaves out the indentation of templates, which is for those who write them; what they are filled with stays as it is."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 - jinja's
        return _INDENTATION.sub("", source)


@cache
def environment() -> jinja2.Environment:
    """Return the environment in which pages are filled."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("countersign.web.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Compact],
    )
    made.globals["asset"] = address
    made.filters["instant"] = instant
    made.filters["clock_time"] = clock_time
    made.filters["links"] = links
    return made
