"""The browser context of a request: cookies, network address, user agent and language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.shared.phone_number import MAX_REGIONS
from countersign.flows.accounts.context import BrowserContext
from countersign.messages.language.catalogue import Language, canonical_tag, negotiate, region_of
from countersign.messages.language.timezones import known_timezone
from countersign.web.http.cookies import DEVICE, FLOW, LANGUAGE, SESSION, ZONE, secret_in
from countersign.web.http.locales import MAX_TAG, first_available, is_available

if TYPE_CHECKING:
    from countersign.web.http.proxies import Proxies
    from countersign.web.http.request import Request

MAX_AGENT: Final = 400
_MAX_LANGUAGES: Final = 400


def browser_of(req: Request, proxies: Proxies, default_country: str = "") -> BrowserContext:
    """Return the browser context. A malformed cookie counts as absent. `default_country` comes before those of the languages."""
    agent = req.get_header("User-Agent") or ""
    return BrowserContext(
        session=secret_in(req, SESSION),
        device=secret_in(req, DEVICE),
        flow=secret_in(req, FLOW),
        ip=proxies.client(req.scope),
        user_agent="".join(character for character in agent[:MAX_AGENT] if character.isprintable()),
        locale=preferred_tag(req),
        regions=regions_of(req, default_country),
        timezone=timezone_of(req),
    )


def preferred_tag(req: Request) -> str:
    """Return the tag of the language to speak: that which an application asked for on this way, else that of the browser."""
    return first_available((secret_in(req, LANGUAGE),)) or next((tag for tag in _tags(req) if is_available(tag)), "")


def regions_of(req: Request, default_country: str) -> tuple[str, ...]:
    """Return the countries in which this person's telephone number may be at home, the likeliest first."""
    countries = [default_country, *(region_of(tag) for tag in _tags(req))]
    return tuple(dict.fromkeys(country for country in countries if country))[:MAX_REGIONS]


def _tags(req: Request) -> list[str]:
    """Return the tags of Accept-Language (RFC 9110, 12.5.4) in canonical form, by weight."""
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate((req.get_header("Accept-Language") or "")[:_MAX_LANGUAGES].split(",")):
        tag, _, weight = part.partition(";")
        try:
            wishes.append((-float(weight.strip().removeprefix("q=") or 1), place, tag.strip()))
        except ValueError:
            continue
    return [canonical_tag(tag)[:MAX_TAG] for rank, _, tag in sorted(wishes) if rank < 0]


def timezone_of(req: Request) -> str:
    """Return the time zone that a script of ours has read from the browser, or an empty string."""
    values = req.get_cookie_values(ZONE) or []
    return known_timezone(values[0]) if len(values) == 1 else ""


def language_of(req: Request) -> Language:
    """Return the language for the response, with the browser's time zone, else that of the account that is signed in."""
    return negotiate(preferred_tag(req)).in_zone(timezone_of(req) or req.account_timezone)
