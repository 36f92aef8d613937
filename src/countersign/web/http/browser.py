"""The browser context of a request: cookies, network address, user agent and language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.flows.accounts.context import BrowserContext
from countersign.messages.language.catalogue import Language, negotiate
from countersign.messages.language.timezones import known_timezone
from countersign.web.http.cookies import DEVICE, FLOW, SESSION, ZONE, secret_in

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
        flow=secret_in(req, FLOW),
        ip=proxies.client(req.scope),
        user_agent="".join(character for character in agent[:MAX_AGENT] if character.isprintable()),
        locale=preferred_tag(req),
        timezone=timezone_of(req),
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


def timezone_of(req: Request) -> str:
    """Return the time zone that a script of ours has read from the browser, or an empty string."""
    values = req.get_cookie_values(ZONE) or []
    return known_timezone(values[0]) if len(values) == 1 else ""


def language_of(req: Request) -> Language:
    """Return the language for the response, with the browser's time zone, else that of the account that is signed in."""
    return negotiate(preferred_tag(req)).in_zone(timezone_of(req) or req.account_timezone)
