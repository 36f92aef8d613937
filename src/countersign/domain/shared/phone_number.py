"""Telephone numbers as people write them: at home, from abroad, as they were before a country renumbered, and with marks around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from countersign.domain.shared.typed_text import tidy
from countersign.errors import InputError

MAX_REGIONS: Final = 4
"""Countries in which a number without a country code is looked for."""

_REFUSED_TYPES: Final = {
    PhoneNumberType.PREMIUM_RATE: "premium_number",
    PhoneNumberType.SHARED_COST: "premium_number",
    PhoneNumberType.TOLL_FREE: "not_a_mobile_number",
    PhoneNumberType.UAN: "not_a_mobile_number",
    PhoneNumberType.VOICEMAIL: "not_a_mobile_number",
    PhoneNumberType.PAGER: "not_a_mobile_number",
}
_SATELLITE_AND_NETWORKS: Final = frozenset({870, 878, 881, 882, 883, 888, 979})  # ITU-T E.164, list of assigned codes

_ARGENTINA: Final = (("11", 8), (r"[23]\d{2}", 7), (r"[23]\d{3}", 6))
"""Area codes, and digits of a subscriber's number behind them."""
_VIETNAM: Final = {
    **{f"16{one}": f"3{one}" for one in range(2, 10)},
    "120": "70",
    "121": "79",
    "122": "77",
    "126": "76",
    "128": "78",
    "123": "83",
    "124": "84",
    "125": "85",
    "127": "81",
    "129": "82",
    "186": "56",
    "188": "58",
    "199": "59",
}
_RENUMBERED: Final = (
    # Mexico, 2019: mobile numbers lost the 1 after the country code, and the prefixes 01, 044 and 045 went.
    (re.compile(r"\+52(?:1|01|044|045)(\d{10})"), r"+52\1"),
    # Argentina: mobile numbers have a 9 after the country code. No subscriber's number is given out twice, with and without it.
    (re.compile(r"\+54([123]\d{9})"), r"+549\1"),
    *((re.compile(rf"\+549({area})15(\d{{{rest}}})"), r"+549\1\2") for area, rest in _ARGENTINA),
    # Brazil, 2012 to 2016: mobile numbers got a ninth digit.
    (re.compile(r"\+55([1-9][1-9])([6-9]\d{7})"), r"+55\g<1>9\2"),
    # Benin, 2024: every number got 01 before it.
    (re.compile(r"\+229(\d{8})"), r"+22901\1"),
    # Vietnam, 2018: mobile numbers of eleven digits lost one.
    *((re.compile(rf"\+84{old}(\d{{7}})"), rf"+84{new}\1") for old, new in _VIETNAM.items()),
)
"""What became of numbers in a new plan (national notices to the ITU, E.129): how they were written, and how they are now."""
_FORMER: Final = (
    (re.compile(r"\+549([123]\d{9})"), r"+54\1"),
    (re.compile(r"\+55([1-9][1-9])9([6-9]\d{7})"), r"+55\1\2"),
    (re.compile(r"\+22901(\d{8})"), r"+229\1"),
    *((re.compile(rf"\+84{new}(\d{{7}})"), rf"+84{old}\1") for old, new in _VIETNAM.items()),
)
_MEXICAN_TRUNK: Final = re.compile(r"(?:01|044|045)(\d{10})")
_URI: Final = re.compile(r"tel:", re.IGNORECASE)
_ABROAD: Final = re.compile(r"[(\s]*00[)\s-]*(?=[1-9(])")
_PLUS_ZEROS: Final = re.compile(r"(\+)[\s(]*0+[)\s-]*(?=[1-9])")
_DIGIT: Final = re.compile(r"[0-9]")


def parse_number(typed: str) -> str:
    """Return a number that begins with `+` as E.164. Raises InputError with the reasons of `parse_contact`."""
    if not typed.startswith(("+", "\uff0b")):
        raise InputError(
            "to",
            "malformed",
            "Write a mail address, or a telephone number with its country code, such as +14155550123.",
        )
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException as error:
        raise _not_a_number() from error
    return _usable(number)


def read_number(typed: str, regions: Sequence[str] | None) -> str:
    """Return the number that a person meant, as E.164. Raises InputError with the reasons of `parse_contact`.

    Args:
        typed: what was typed or pasted: `+49 (0)151 ...`, `0049 151 ...`, `0151 ...`, in digits of any script, with marks around it.
        regions: the countries (ISO 3166) in which a number without a country code is looked for, the likeliest first; None takes only
            numbers that begin with `+`, as programs send them.
    """
    text = tidy(typed).replace("\n", " ").strip()
    if regions is None:
        return parse_number(text)
    text = _PLUS_ZEROS.sub(r"\1", _URI.sub("", text).strip(), count=1)
    if text.startswith("+") or not _DIGIT.search(text):
        return parse_number(text)
    found: InputError | None = None
    for candidate in _candidates(text, regions):
        try:
            return _usable(candidate)
        except InputError as error:
            found = found or error
    raise found or _not_a_number()


def is_landline(number: str) -> bool:
    """Return True if an E.164 number is on a fixed line alone, where no SMS arrives."""
    return _type_of(number) == PhoneNumberType.FIXED_LINE


def spaced(number: str) -> str:
    """Return an E.164 number as people read it: `+49 1512 3456789`."""
    try:
        return str(phonenumbers.format_number(phonenumbers.parse(number, None), PhoneNumberFormat.INTERNATIONAL))
    except phonenumbers.NumberParseException:
        return number


def renumbered(number: str) -> str:
    """Return an E.164 number by the plan of today."""
    for before, now in _RENUMBERED:
        if before.fullmatch(number):
            changed = before.sub(now, number)
            return changed if _is_valid(changed) else number
    return number


def former_spellings(number: str) -> tuple[str, ...]:
    """Return how an earlier release may have stored an E.164 number, before its country's renumbering was known."""
    return tuple(now.sub(before, number) for now, before in _FORMER if now.fullmatch(number))


def _candidates(text: str, regions: Sequence[str]) -> list[PhoneNumber]:
    """Return what the text may mean: what takes an SMS first, then other valid numbers, then those that have only the right length."""
    texts: list[tuple[str, str | None]] = []
    if _ABROAD.match(text):
        texts.append((_ABROAD.sub("+", text, count=1), None))
    for region in regions[:MAX_REGIONS]:
        texts.append((_without_old_trunk(text, region), region))
        if re.sub(r"[^0-9]", "", text).startswith(str(phonenumbers.country_code_for_region(region))):
            texts.append((f"+{text}", None))  # the plus was left out
    read: list[PhoneNumber] = []
    for one, home in texts:
        try:
            read.append(phonenumbers.parse(one, home))
        except phonenumbers.NumberParseException:
            continue
    return sorted(read, key=lambda number: _rank(renumbered(_e164(number))))


def _rank(number: str) -> int:
    kind = _type_of(number)
    if kind in {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}:
        return 0
    return 2 if kind == PhoneNumberType.UNKNOWN else 1


def _without_old_trunk(text: str, region: str) -> str:
    if region == "MX" and (old := _MEXICAN_TRUNK.fullmatch(re.sub(r"[^0-9]", "", text))):
        return old[1]
    return text


def _usable(number: PhoneNumber) -> str:
    """Return a number as E.164 if a message may be sent to it."""
    if number.extension:
        raise InputError(
            "to", "malformed", "A number with an extension cannot receive a message; leave the extension out."
        )
    if number.country_code in _SATELLITE_AND_NETWORKS:
        raise InputError(
            "to", "satellite_number", "We send no messages to satellite and international network numbers."
        )
    written = _e164(number)
    now = renumbered(written)
    if now != written:
        return now  # valid, and of a kind that every renumbering leaves
    if not phonenumbers.is_possible_number(number):
        short = phonenumbers.is_possible_number_with_reason(number) in {
            phonenumbers.ValidationResult.TOO_SHORT,
            phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY,
        }
        reason = "short_number" if short else "impossible_number"
        raise InputError(
            "to", reason, "No telephone number of that country has this length; check it for a missing or extra digit."
        )
    if phonenumbers.is_valid_short_number(number) and not phonenumbers.is_valid_number(number):
        raise InputError(
            "to", "short_number", "We send no messages to short numbers (services, emergencies); give a mobile number."
        )
    refused = _REFUSED_TYPES.get(phonenumbers.number_type(number))
    if refused is not None:
        raise InputError(
            "to", refused, "We send no messages to premium, toll-free and service numbers; give a mobile number."
        )
    return written


def _e164(number: PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _is_valid(number: str) -> bool:
    return _type_of(number) != PhoneNumberType.UNKNOWN


@lru_cache(maxsize=1_024)
def _type_of(number: str) -> int:
    """Return the type of an E.164 number; a number that is not valid has none."""
    try:
        return int(phonenumbers.number_type(phonenumbers.parse(number, None)))
    except phonenumbers.NumberParseException:
        return int(PhoneNumberType.UNKNOWN)


def _not_a_number() -> InputError:
    return InputError("to", "malformed", "This is not a telephone number; write it like +14155550123.")
