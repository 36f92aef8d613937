"""The browser context of a request: cookies, network address, user agent and language."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from babel import Locale

from countersign.domain.shared.phone_number import MAX_REGIONS
from countersign.flows.accounts.context import BrowserContext
from countersign.messages.language.catalogue import Language, canonical_tag, languages, negotiate, region_of
from countersign.messages.language.timezones import known_timezone
from countersign.web.http.cookies import ASKED_LANGUAGE, DEVICE, LANGUAGE, SESSION, ZONE, flows_in, secret_in
from countersign.web.http.locales import MAX_TAG, first_available, is_available

if TYPE_CHECKING:
    from countersign.web.http.proxies import Proxies
    from countersign.web.http.request import Request

MAX_AGENT: Final = 400
LANGUAGE_PAGE: Final = "/language"
MAX_BACK: Final = 2_000
"""Characters of an address that the page of languages leads back to."""
_MAX_LANGUAGES: Final = 400


def browser_of(req: Request, proxies: Proxies, default_country: str = "") -> BrowserContext:
    """Return the browser context. A malformed cookie counts as absent. `default_country` comes before those of the languages."""
    agent = req.get_header("User-Agent") or ""
    return BrowserContext(
        session=secret_in(req, SESSION),
        device=secret_in(req, DEVICE),
        flow=next(iter(flows_in(req)), ""),
        ip=proxies.client(req.scope),
        user_agent="".join(character for character in agent[:MAX_AGENT] if character.isprintable()),
        locale=preferred_tag(req),
        regions=regions_of(req, default_country),
        timezone=timezone_of(req),
    )


def preferred_tag(req: Request) -> str:
    """Return the tag of the language to answer in, or an empty string if none that is asked for is available.

    It is the language that the person chose here, else that which an application asked for on this way, else the first available one of
    Accept-Language.
    """
    chosen = secret_in(req, LANGUAGE)
    accepted = [tag for tag in _tags(req) if is_available(tag)]
    if chosen in languages():
        # de-AT of the browser says how a reader of the chosen German writes times.
        return next((tag for tag in accepted if negotiate(tag).tag == chosen), chosen)
    return first_available((secret_in(req, ASKED_LANGUAGE),)) or next(iter(accepted), "")


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
    """Return the language for a page, with the operator's words. Names from outside are kept apart from its sentences.

    Its times are of the browser's time zone, else of that of the account that is signed in.
    """
    language = negotiate(preferred_tag(req)).in_zone(timezone_of(req) or req.account_timezone)
    return req.page_words.applied(language)


def language_page(req: Request) -> str:
    """Return the address of the page of languages, which leads back to this one; "" for that page itself.

    A page at an address of nobody's repeats nothing of it.
    """
    if req.path == LANGUAGE_PAGE:
        return ""
    if req.uri_template is None:
        return LANGUAGE_PAGE
    back = req.relative_uri if req.method == "GET" else req.path
    return f"{LANGUAGE_PAGE}?back={quote(back, safe='/')}" if len(back) <= MAX_BACK else LANGUAGE_PAGE


@cache
def own_name(tag: str) -> str:
    """Return the name of a language in itself."""
    name = Locale.parse(tag, sep="-").get_display_name() or tag
    return name[0].upper() + name[1:]
