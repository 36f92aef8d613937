"""The page on which a person chooses the language of pages and messages. A cookie remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.messages.language.catalogue import languages, negotiate
from countersign.web.http.browser import MAX_BACK, own_name
from countersign.web.http.cookies import DEVICE_KEPT, LANGUAGE, keep
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

START: Final = "/account"
"""Where the page leads if it does not know where the person came from."""


class LanguagePage:
    """GET shows the languages, each in its own words; POST keeps the chosen one and leads back."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Show the languages."""
        offered = [(tag, own_name(tag), negotiate(tag).direction) for tag in languages()]
        show(
            self._web,
            req,
            resp,
            "language.html",
            languages=sorted(offered, key=lambda one: one[1].casefold()),
            back=back_of(req.get_param("back") or ""),
        )

    async def post(self, req: Request, resp: Response) -> None:
        """Keep the language, if it is one of ours, and go back."""
        fields = await fields_of(req)
        if fields.get("language", "") in languages():
            keep(resp, LANGUAGE, fields["language"], DEVICE_KEPT)
        resp.redirect(back_of(fields.get("back", "")))


def back_of(wanted: str) -> str:
    """Return where to go back: a path of ours, or the account for anything else."""
    if not 0 < len(wanted) <= MAX_BACK or not wanted.isascii() or not wanted.isprintable() or "\\" in wanted:
        return START
    return wanted if wanted.startswith("/") and not wanted.startswith("//") else START
