"""The region of a telephone number: its country and number prefix. It is coarse enough to be counted and stored in clear."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
import phonenumbers

PREFIX_DIGITS: Final = 3
"""Digits after the calling code that belong to a prefix. In most numbering plans they identify a network or a town."""


class PhoneRegion(msgspec.Struct, frozen=True):
    """A country and a number prefix. A mail address has neither.

    `country` is two letters of ISO 3166, "001" for a calling code of no country, or "" if unknown. `prefix` is, for example, "+49170".
    """

    country: str = ""
    prefix: str = ""


NO_REGION: Final = PhoneRegion()


def region_of(address: str) -> PhoneRegion:
    """Return the region of an address in canonical form: NO_REGION for a mail address."""
    if not address.startswith("+"):
        return NO_REGION
    prefix = prefix_of(address)
    return PhoneRegion(_country(prefix, address), prefix)


def prefix_of(number: str) -> str:
    """Return a number's calling code and the three digits after it."""
    for width in (1, 2, 3):
        code = number[1 : 1 + width]
        if code.isdigit() and int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return number[: 1 + width + PREFIX_DIGITS]
    return number[: 1 + PREFIX_DIGITS]


@lru_cache(maxsize=16_384)
def _country_by_prefix(prefix: str) -> str | None:
    """Return the country of a calling code, "" if there is none, or None if several countries share the code."""
    for width in (1, 2, 3):
        code = prefix[1 : 1 + width]
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code)) if code.isdigit() else None
        if regions is not None:
            return regions[0] if len(regions) == 1 else None
    return ""


def _country(prefix: str, number: str) -> str:
    found = _country_by_prefix(prefix)
    return _country_of_shared(number[: len(prefix) + 4], len(number)) if found is None else found


@lru_cache(maxsize=16_384)
def _country_of_shared(beginning: str, length: int) -> str:
    """Return the country of a number whose calling code several countries share. Its first digits decide (for +1, the area code)."""
    number = phonenumbers.parse(beginning.ljust(length, "0"), None)
    regions: tuple[str, ...] = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[number.country_code or 0]
    found: str | None = phonenumbers.region_code_for_number(number)
    return found or regions[0]
