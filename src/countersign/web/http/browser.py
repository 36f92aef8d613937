"""The browser context of a request: cookies, network address, user agent and language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.flows.accounts.context import BrowserContext
from countersign.messages.language.catalogue import Language, negotiate
from countersign.web.http.cookies import DEVICE, SESSION, flows_in, secret_in

if TYPE_CHECKING:
    from countersign.web.http.proxies import Proxies
    from countersign.web.http.request import Request

MAX_AGENT: Final = 400
_MAX_LANGUAGES: Final = 400
_MAX_TAG: Final = 35  # RFC 5646, 4.4.1


def browser_of(req: Request, proxies: Proxies) -> BrowserContext:
    """Return the browser context. A malformed cookie counts as absent."""
    agent = req.get_header("User-Agent") or ""
    return BrowserContext(
        session=secret_in(req, SESSION),
        device=secret_in(req, DEVICE),
        flow=next(iter(flows_in(req)), ""),
        ip=proxies.client(req.scope),
        user_agent="".join(character for character in agent[:MAX_AGENT] if character.isprintable()),
        locale=preferred_tag(req),
    )


def preferred_tag(req: Request) -> str:
    """Return the first tag of Accept-Language (RFC 9110, 12.5.4), by weight, whose language is available, or an empty string."""
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate((req.get_header("Accept-Language") or "")[:_MAX_LANGUAGES].split(",")):
        tag, _, weight = part.partition(";")
        try:
            wishes.append((-float(weight.strip().removeprefix("q=") or 1), place, tag.strip()))
        except ValueError:
            continue
    for rank, _, tag in sorted(wishes):
        if rank < 0 and negotiate(tag).tag.split("-")[0] == tag.lower().split("-")[0]:
            return tag[:_MAX_TAG]
    return ""


def language_of(req: Request) -> Language:
    """Return the language for the response."""
    return negotiate(preferred_tag(req))
