"""An area: where a telephone number belongs, coarse enough to be counted and kept in clear."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
import phonenumbers

PREFIX_DIGITS: Final = 3
"""Digits after the calling code that make a prefix: in most plans those of one network or town."""


class PhoneRegion(msgspec.Struct, frozen=True):
    """`country` is ISO 3166's two letters ("001" for codes of no country, "" if unknown); `prefix` such as +49170. Mail has neither."""

    country: str = ""
    prefix: str = ""


NO_REGION: Final = PhoneRegion()


def region_of(address: str) -> PhoneRegion:
    """Return the area of a canonical address; a mail address has none."""
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
    """Return the one country of a calling code, None where several share it."""
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
    """Return which of several countries with one calling code a number is of, by its first digits (+1: by its area code)."""
    number = phonenumbers.parse(beginning.ljust(length, "0"), None)
    regions: tuple[str, ...] = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[number.country_code or 0]
    found: str | None = phonenumbers.region_code_for_number(number)
    return found or regions[0]
