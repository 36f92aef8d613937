"""The name of a place for people: the city and the country in their language, never an address of our own network."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.messages.language.catalogue import Language

_LABEL: Final = re.compile(r"(?:(?P<city>.+), )?(?P<country>[A-Z]{2})")


def place_name(label: str, ip: str, language: Language) -> str:
    """Return a place such as `Zürich, Schweiz`, from its label (`Zürich, CH`).

    Without a label it is the network address `ip`, as far as that says anything; else an empty string.
    """
    if label:
        return _in_words(label, language)
    try:
        return ip if ipaddress.ip_address(ip).is_global else ""
    except ValueError:
        return ""


def _in_words(label: str, language: Language) -> str:
    found = _LABEL.fullmatch(label)
    if found is None:
        return label
    country = language.locale.territories.get(found["country"], found["country"])
    return f"{found['city']}, {country}" if found["city"] else str(country)
