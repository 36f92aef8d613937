"""Read single values as people write them, such as addresses, networks, limits and amounts.

Each function raises ValueError for a text that makes no sense.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

import idna
import msgspec
from phonenumbers import SUPPORTED_REGIONS

from countersign.domain.verifications.rate_limit import RateLimit

Network: TypeAlias = IPv4Network | IPv6Network
Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65_535)]

MICROS: Final = 1_000_000
"""Parts of a currency unit that money is counted in."""

MIN_TOKEN: Final = 16
"""Characters of the token that opens /metrics."""

MAX_SITE: Final = 60
"""Characters of the name of a site."""

_LIMIT: Final = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,6})([smhd])")
_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PORTS: Final = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SCOPE: Final = re.compile(r"[a-z][a-z0-9_.:-]{0,39}")
_LIST: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_AMOUNT: Final = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6}))?")
_AREA: Final = re.compile(r"\+[1-9][0-9]{0,14}|[A-Z]{2}|001")


def read_path(text: str) -> Path:
    """Return the path that a text names, relative to the working folder."""
    return Path(text)


def read_optional_path(text: str) -> Path | None:
    """Return the path that a text names; None for an empty text."""
    return Path(text) if text else None


def read_public_url(text: str) -> str:
    """Return an http(s) address that has a host and nothing behind it, spelled as browsers spell an origin (RFC 6454, 6.2).

    Scheme and host become lower case, an international host its ASCII form. The port of the scheme, a dot at the end of the host and
    slashes at the end go. Any other spelling would refuse our own pages as those of another site.
    """
    url = text.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.port == 0 or "@" in parts.netloc:
        raise ValueError("public_url")
    if parts.path or parts.query or parts.fragment or url.endswith(("?", "#", ":")) or "\\" in url:
        raise ValueError("public_url")
    host = _read_host_or_address(parts.hostname, parts.netloc)
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _read_host_or_address(host: str, netloc: str) -> str:
    if netloc.startswith("["):
        return f"[{ip_address(host).compressed}]"
    name = read_host(host.replace("_", "-")) and _lower_ascii(host)  # a name of a local network may have underscores
    if name.rpartition(".")[2].isdigit():
        return str(ip_address(name))  # browsers read a host that ends in a number as an IPv4 address, or not at all
    return name


def read_database_url(text: str) -> str:
    """Return the address of a PostgreSQL database, or of an SQLite file (one in memory would be lost with its connection)."""
    on_disk = text.startswith("sqlite:///") and text.removeprefix("sqlite:///") not in {"", ":memory:"}
    if not on_disk and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("database_url")
    return text


def read_site(text: str) -> str:
    """Return the name of a site: printable, not blank, at most MAX_SITE characters."""
    if not text.strip() or len(text) > MAX_SITE or not text.isprintable():
        raise ValueError("site")
    return text


def read_host(text: str) -> str:
    """Return a domain in lower case, an international one in its ASCII form: `Bücher.example` becomes `xn--bcher-kva.example`."""
    host = _lower_ascii(text)
    if not _HOST.fullmatch(host) or ".." in host:
        raise ValueError("host")
    return host


def _lower_ascii(host: str) -> str:
    """Return a host as browsers write it: in lower case and ASCII (IDNA 2008 with the mapping of UTS 46), without a dot at its end."""
    try:
        ascii_host = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError("host") from error
    return ascii_host.removesuffix(".")


def read_country(text: str) -> str:
    """Return a country (ISO 3166, two letters) in upper case; an empty text stands for none."""
    country = text.upper()
    if country and country not in SUPPORTED_REGIONS:
        raise ValueError("country")
    return country


def read_bind(text: str) -> str:
    """Return an IP address without brackets; `localhost` stands for 127.0.0.1."""
    return str(ip_address("127.0.0.1" if text == "localhost" else text.strip("[]")))


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return networks such as 10.0.0.0/8; an address alone is a network of one."""
    return tuple(ip_network(text) for text in texts)


def read_scopes(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the names of scopes: at least one, none twice, each in lower case and at most 40 characters long."""
    scopes = tuple(texts)
    if not scopes or len(set(scopes)) != len(scopes) or not all(_SCOPE.fullmatch(name) for name in scopes):
        raise ValueError("scopes")
    return scopes


def read_limits(name: str, texts: Sequence[str]) -> tuple[RateLimit, ...]:
    """Return rate limits: `10/10m` is ten in ten minutes. The first is called `name`, the others `name_day`, `name_2h`, ..."""
    limits: list[RateLimit] = []
    for text in texts:
        match = _LIMIT.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError(name)
        burst, count, unit = match.groups()
        own = name if not limits else f"{name}_{'day' if count + unit == '1d' else count + unit}"
        limits.append(RateLimit(own, int(burst), int(count) * _UNITS[unit]))
    if len({limit.name for limit in limits}) != len(limits):
        raise ValueError(name)
    return tuple(limits)


def read_destination_limits(texts: Sequence[str]) -> tuple[RateLimit, ...]:
    """Return the limits of messages to one contact; see `read_limits`."""
    return read_limits("destination", texts)


def read_requester_limits(texts: Sequence[str]) -> tuple[RateLimit, ...]:
    """Return the limits of messages that one network address asks for; see `read_limits`."""
    return read_limits("requester", texts)


def read_application_limits(texts: Sequence[str]) -> tuple[RateLimit, ...]:
    """Return the limits of messages of one application; see `read_limits`."""
    return read_limits("application", texts)


def read_token(text: str) -> str:
    """Return a bearer token of at least MIN_TOKEN characters; an empty text stands for none."""
    if text and len(text) < MIN_TOKEN:
        raise ValueError("token")
    return text


def read_lists(texts: Sequence[str]) -> dict[str, Path]:
    """Return files by the names of their lists, from texts such as `tor=/var/lib/countersign/tor.txt`."""
    lists: dict[str, Path] = {}
    for text in texts:
        name, _, path = (part.strip() for part in text.partition("="))
        if not _LIST.fullmatch(name) or not path or name in lists:
            raise ValueError("lists")
        lists[name] = Path(path)
    return lists


def read_amount(text: str) -> int:
    """Return an amount of money such as 0.05 in micros."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError("amount")
    units, parts = match.groups()
    return int(units) * MICROS + int((parts or "0").ljust(6, "0"))


def read_prices(texts: Sequence[str]) -> dict[str, int]:
    """Return prices in micros by country or by the beginning of a number, from texts such as `DE=0.07` and `+4917=0.08`."""
    prices: dict[str, int] = {}
    for text in texts:
        area, _, amount = (part.strip() for part in text.partition("="))
        if not _AREA.fullmatch(area) or area in prices:
            raise ValueError("prices")
        prices[area] = read_amount(amount)
    return prices
