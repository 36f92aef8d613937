"""The page at /is-this-us: a person pastes a message, a link or a sender, and learns whether it is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from countersign.domain.accounts.phishing_check import (
    MAX_CHARACTERS,
    LookalikeTrick,
    OwnAddresses,
    PhishingVerdict,
    check_text,
)
from countersign.messages.language.catalogue import Language, mark
from countersign.store.tables import applications
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from countersign.domain.accounts.phishing_check import CheckedAddress
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

VERDICTS: Final = {
    PhishingVerdict.OURS: ("good", mark("This is ours")),
    PhishingVerdict.LOOKS_LIKE: ("bad", mark("This is not ours, and tries to look like it")),
    PhishingVerdict.FOREIGN: ("warn", mark("This is not ours")),
}
TRICKS: Final = {
    LookalikeTrick.LETTERS: mark("Some letters only look like ours."),
    LookalikeTrick.INSIDE: mark("Our name stands in it, but another domain decides."),
    LookalikeTrick.BEFORE_THE_AT: mark("What stands before the @ does not count; the domain behind it decides."),
    LookalikeTrick.UNENCRYPTED: mark(
        "The domain is ours, but we never lead you to an address that begins with http:// alone."
    ),
    LookalikeTrick.NEARLY: mark("It differs from ours by one letter."),
    LookalikeTrick.UNKNOWN_SENDER: mark("The domain is ours, but we do not send from this address."),
}


class PhishingCheckPage:
    """GET shows the form, POST judges the text. Nothing of it is stored, fetched or made a link."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Show the form."""
        await self._show(req, resp, "", asked=False)

    async def post(self, req: Request, resp: Response) -> None:
        """Judge the text."""
        fields = await fields_of(req)
        await self._show(req, resp, fields.get("text", "")[:MAX_CHARACTERS], asked=True)

    async def _show(self, req: Request, resp: Response, text: str, *, asked: bool) -> None:
        language = language_of(req)
        show(
            self._web,
            req,
            resp,
            "is_this_us.html",
            text=text,
            asked=asked,
            most=MAX_CHARACTERS,
            found=[_shown(one, language) for one in check_text(text, await self._ours())] if asked else [],
        )

    async def _ours(self) -> OwnAddresses:
        """Return our own addresses: our host, the hosts of registered applications, and the senders of our mail."""
        settings = self._web.settings
        public = urlsplit(settings.public_url)
        hosts = {settings.host, public.hostname or ""}
        for one in await self._web.database.read(applications.list_all):
            if one.removed_at is None:
                hosts |= {one.host, *(urlsplit(address).hostname or "" for address in one.redirect_uris)}
        senders = {getattr(provider.settings, "from_address", "").lower() for provider in settings.providers.values()}
        return OwnAddresses(tuple(sorted(hosts - {""})), tuple(sorted(senders - {""})), public.scheme == "https")


def _shown(judged: CheckedAddress, language: Language) -> dict[str, str]:
    tone, title = VERDICTS[judged.verdict]
    return {
        "found": judged.written,
        "counts": judged.compared,
        "tone": tone,
        "title": language.say(title),
        "why": language.say(TRICKS[judged.trick]) if judged.trick is not None else "",
    }
