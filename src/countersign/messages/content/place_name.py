"""The name of a place for people: the city and the country in their language, never an address of our own network."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language

_PRIVATE: Final = [ipaddress.ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
"""RFC 1918 and RFC 4193: addresses that say nothing of where somebody is."""
_LABEL: Final = re.compile(r"(?:(?P<city>.+), )?(?P<country>[A-Z]{2})")


def place_name(label: str, ip: str, language: Language) -> str:
    """Return a place such as `Zürich, Schweiz`, from its label (`Zürich, CH`).

    Without a label it is the network address `ip`, as far as that says anything; else an empty string.
    """
    if label:
        return _in_words(label, language)
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    is_ours = address.is_loopback or address.is_link_local or any(address in one for one in _PRIVATE)
    return "" if is_ours else ip


def _in_words(label: str, language: Language) -> str:
    found = _LABEL.fullmatch(label)
    if found is None:
        return label
    country = language.locale.territories.get(found["country"], found["country"])
    return f"{found['city']}, {country}" if found["city"] else str(country)
