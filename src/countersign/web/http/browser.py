"""The browser context of a request: cookies, network address, user agent and language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.flows.accounts.context import BrowserContext
from countersign.messages.language.catalogue import Language, negotiate
from countersign.web.http.cookies import DEVICE, FLOW, LANGUAGE, SESSION, secret_in
from countersign.web.http.locales import MAX_TAG, first_available, is_available

if TYPE_CHECKING:
    from countersign.web.http.proxies import Proxies
    from countersign.web.http.request import Request

MAX_AGENT: Final = 400
_MAX_LANGUAGES: Final = 400


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
    """Return the tag of the language to speak: that which an application asked for on this way, else that of the browser."""
    return first_available((secret_in(req, LANGUAGE),)) or _browsers_tag(req)


def _browsers_tag(req: Request) -> str:
    """Return the first tag of Accept-Language (RFC 9110, 12.5.4), by weight, whose language is available, or an empty string."""
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate((req.get_header("Accept-Language") or "")[:_MAX_LANGUAGES].split(",")):
        tag, _, weight = part.partition(";")
        try:
            wishes.append((-float(weight.strip().removeprefix("q=") or 1), place, tag.strip()))
        except ValueError:
            continue
    for rank, _, tag in sorted(wishes):
        if rank < 0 and is_available(tag):
            return tag[:MAX_TAG]
    return ""


def language_of(req: Request) -> Language:
    """Return the language for the response."""
    return negotiate(preferred_tag(req))
