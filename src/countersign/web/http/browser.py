"""The browser context of a request: cookies, network address, user agent and language."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from babel import Locale

from countersign.flows.accounts.context import BrowserContext
from countersign.messages.language.catalogue import Language, languages, negotiate
from countersign.web.http.cookies import DEVICE, FLOW, LANGUAGE, SESSION, secret_in

if TYPE_CHECKING:
    from countersign.web.http.proxies import Proxies
    from countersign.web.http.request import Request

MAX_AGENT: Final = 400
LANGUAGE_PAGE: Final = "/language"
MAX_BACK: Final = 2_000
"""Characters of an address that the page of languages leads back to."""
_MAX_LANGUAGES: Final = 400
_MAX_TAG: Final = 35  # RFC 5646, 4.4.1


def browser_of(req: Request, proxies: Proxies) -> BrowserContext:
    """Return the browser context. A malformed cookie counts as absent."""
    agent = req.get_header("User-Agent") or ""
    return BrowserContext(
        session=secret_in(req, SESSION),
        device=secret_in(req, DEVICE),
        flow=secret_in(req, FLOW),
        ip=proxies.client(req.scope),
        user_agent="".join(character for character in agent[:MAX_AGENT] if character.isprintable()),
        locale=preferred_tag(req),
    )


def preferred_tag(req: Request) -> str:
    """Return the tag of the language to answer in, or an empty string if none that is asked for is available.

    It is the language that the person chose here, else the first available one of Accept-Language (RFC 9110, 12.5.4) by weight.
    """
    chosen = secret_in(req, LANGUAGE)
    if chosen not in languages():
        return _accepted_tag(req, "")
    # de-AT of the browser says how a reader of the chosen German writes times.
    return _accepted_tag(req, chosen) or chosen


def _accepted_tag(req: Request, only: str) -> str:
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate((req.get_header("Accept-Language") or "")[:_MAX_LANGUAGES].split(",")):
        tag, _, weight = part.partition(";")
        try:
            wishes.append((-float(weight.strip().removeprefix("q=") or 1), place, tag.strip()))
        except ValueError:
            continue
    for rank, _, tag in sorted(wishes):
        ours = negotiate(tag).tag
        if rank < 0 and ours.split("-")[0] == tag.lower().split("-")[0] and only in {"", ours}:
            return tag[:_MAX_TAG]
    return ""


def language_of(req: Request) -> Language:
    """Return the language for a page, with the operator's words. Names from outside are kept apart from its sentences."""
    return req.page_words.applied(negotiate(preferred_tag(req)))


def language_page(req: Request) -> str:
    """Return the address of the page of languages, which leads back to this one; "" for that page itself."""
    if req.path == LANGUAGE_PAGE:
        return ""
    back = req.relative_uri if req.method == "GET" else req.path
    return f"{LANGUAGE_PAGE}?back={quote(back, safe='/')}" if len(back) <= MAX_BACK else LANGUAGE_PAGE


@cache
def own_name(tag: str) -> str:
    """Return the name of a language in itself."""
    name = Locale.parse(tag, sep="-").get_display_name() or tag
    return name[0].upper() + name[1:]
