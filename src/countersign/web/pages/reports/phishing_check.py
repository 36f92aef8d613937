"""The page at /is-this-us: a person pastes a message, a link or a sender, and learns whether it is ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from countersign.domain.accounts.phishing_check import (
    CHECKS_PER_NETWORK,
    MAX_CHARACTERS,
    CheckedText,
    LookalikeTrick,
    OwnAddresses,
    PhishingVerdict,
    check_whole_text,
)
from countersign.flows.sign_in.network_limit import count_by_network
from countersign.messages.language.catalogue import Language, mark
from countersign.store.tables import applications
from countersign.web.http.browser import language_of
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.support import support_of
from countersign.web.pages.shared.word_pages import HOME, show_word, too_many_requests

if TYPE_CHECKING:
    from countersign.domain.accounts.phishing_check import CheckedAddress
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

VERDICTS: Final = {
    PhishingVerdict.OURS: ("good", mark("This is ours")),
    PhishingVerdict.LOOKS_LIKE: ("bad", mark("This is not ours, but is made to look like it")),
    PhishingVerdict.FOREIGN: ("warn", mark("This is not ours")),
}
TRICKS: Final = {
    LookalikeTrick.LETTERS: mark("Some letters only look like ours."),
    LookalikeTrick.INSIDE: mark("It contains our name, but belongs to another domain."),
    LookalikeTrick.BEFORE_THE_AT: mark("Only the domain after the @ counts, not what comes before it."),
    LookalikeTrick.UNENCRYPTED: mark(
        "The domain is ours, but we never send you to an address that begins with http:// instead of https://."
    ),
    LookalikeTrick.NEARLY: mark("It differs from ours by one letter."),
    LookalikeTrick.UNKNOWN_SENDER: mark("The domain is ours, but we do not send messages from this address."),
}
OURS_KEPT: Final = 10.0
"""Seconds for which our own addresses are not read again."""


class PhishingCheckPage:
    """GET shows the form, POST judges the text. Nothing of it is stored, fetched or made a link."""

    def __init__(self, web: WebContext) -> None:
        self._web = web
        self._own: OwnAddresses | None = None
        self._own_read_at = 0.0

    async def get(self, req: Request, resp: Response) -> None:
        """Show the form."""
        self._show(req, resp, "", None)

    async def post(self, req: Request, resp: Response) -> None:
        """Judge the text, unless too many came from the same network (semantics L5)."""
        text = (await fields_of(req)).get("text", "")
        browser = self._web.browser(req)
        if refused := await count_by_network(self._web.accounts, browser, CHECKS_PER_NETWORK):
            language = language_of(req)
            sentence = language.say("Too many messages were checked from your network. Try again in a few minutes.")
            home = (HOME, language.say("Go to your account"))
            show_word(self._web, req, resp, "warn", language.say("You need to wait a moment"), sentence, home)
            too_many_requests(resp, refused)
            return
        self._show(req, resp, text[:MAX_CHARACTERS], check_whole_text(text, await self._ours()))

    def _show(self, req: Request, resp: Response, text: str, checked: CheckedText | None) -> None:
        language = language_of(req)
        show(
            self._web,
            req,
            resp,
            "is_this_us.html",
            text=text,
            asked=checked is not None,
            most=MAX_CHARACTERS,
            found=[_shown(one, language) for one in checked.addresses] if checked is not None else [],
            not_ours=checked is not None and any(one.verdict is not PhishingVerdict.OURS for one in checked.addresses),
            support=support_of(self._web),
            cut=checked is not None and not checked.is_whole,
        )

    async def _ours(self) -> OwnAddresses:
        """Return our own addresses: our host, the hosts of registered applications, and the senders of our mail."""
        if self._own is None or time.monotonic() - self._own_read_at > OURS_KEPT:
            self._own, self._own_read_at = await self._read_ours(), time.monotonic()
        return self._own

    async def _read_ours(self) -> OwnAddresses:
        settings = self._web.settings
        public = urlsplit(settings.public_url)
        first = [settings.host, public.hostname or ""]
        hosts = set[str]()
        for one in await self._web.database.read(applications.list_all):
            if one.removed_at is None:
                hosts |= {one.host, *(urlsplit(address).hostname or "" for address in one.redirect_uris)}
        senders = {getattr(provider.settings, "from_address", "").lower() for provider in settings.providers.values()}
        # Our own names stand first: only so many are compared letter by letter.
        ordered = [host for host in dict.fromkeys([*first, *sorted(hosts)]) if host]
        return OwnAddresses(tuple(ordered), tuple(sorted(senders - {""})), public.scheme == "https")


def _shown(judged: CheckedAddress, language: Language) -> dict[str, str]:
    tone, title = VERDICTS[judged.verdict]
    return {
        "found": judged.written,
        "counts": judged.compared,
        "tone": tone,
        "title": language.say(title),
        "why": language.say(TRICKS[judged.trick]) if judged.trick is not None else "",
    }
