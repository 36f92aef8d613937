"""A contact: a mail address or telephone number in canonical form. Parses it, masks it, and rejects what must not be sent to."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, EmailSyntaxError, ValidatedEmail, validate_email
from phonenumbers import PhoneNumberType

from countersign.errors import InputError


class Channel(StrEnum):
    """A way to send a message to a person."""

    EMAIL = "email"
    SMS = "sms"
    VOICE = "voice"
    WHATSAPP = "whatsapp"


class ContactKind(StrEnum):
    """The kind of an address: a mailbox or a telephone number."""

    MAIL = "mail"
    PHONE = "phone"


CHANNELS_OF: Final = {
    ContactKind.MAIL: (Channel.EMAIL,),
    ContactKind.PHONE: (Channel.SMS, Channel.VOICE, Channel.WHATSAPP),
}

CODES_ONLY: Final = frozenset({Channel.WHATSAPP})
"""Channels that carry a code and nothing else: no notice, and not the name of the act that a code approves (semantics P4).

WhatsApp takes codes in authentication templates alone. It writes their text itself, so the code is all that we can fill in.
"""

# Lower-case Cyrillic and Greek letters that are drawn like Latin ones (Unicode UTS 39, confusables.txt). `apple` can be written in them.
LATIN_LOOKALIKES: Final = dict(
    zip("асԁеһіјӏоорԗԛѕԝхуүѵгпьѡтк" + "αικνορτυχγ", "acdehijlooppqswxyyvrnbwtk" + "aikvoptuxy", strict=True)
)
"""The Latin letter that each of them resembles."""

MAX_LENGTH: Final = 320  # RFC 3696 erratum 1690: 64 + 1 + 255 octets is the longest mail address in practice
MAX_ADDRESS: Final = 254  # RFC 3696 erratum 1690: octets of an address that fits into an SMTP path
MAX_LOCAL: Final = 64  # RFC 5321, 4.5.3.1.1
_DOT_ATOM: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_REFUSED_TYPES: Final = {
    PhoneNumberType.PREMIUM_RATE: "premium_number",
    PhoneNumberType.SHARED_COST: "premium_number",
    PhoneNumberType.TOLL_FREE: "not_a_mobile_number",
    PhoneNumberType.UAN: "not_a_mobile_number",
    PhoneNumberType.VOICEMAIL: "not_a_mobile_number",
    PhoneNumberType.PAGER: "not_a_mobile_number",
}
_SATELLITE_AND_NETWORKS: Final = frozenset({870, 878, 881, 882, 883, 888, 979})  # ITU-T E.164, list of assigned codes


class Contact(msgspec.Struct, frozen=True):
    """A mail address or telephone number in canonical form. Its repr shows only the masked form."""

    kind: ContactKind
    address: str

    @property
    def masked(self) -> str:
        """Return the form for pages, API responses and logs: `a***@example.org`, `+1415***0123`."""
        return mask(self)

    def __repr__(self) -> str:
        """Show only the masked form."""
        return f"Contact({self.kind.value}, {self.masked})"

    __str__ = __repr__


def parse_contact(typed: str) -> Contact:
    """Return the contact that `typed` names, in canonical form.

    A telephone number must begin with `+` and becomes E.164. A mail address becomes lower case, its domain Unicode (IDNA 2008). Raises
    InputError with reason `malformed`, `premium_number`, `satellite_number`, `short_number`, `not_a_mobile_number`, `impossible_number`,
    `mixed_scripts` or `look_alike`.

        >>> parse_contact("+1 415 555 0123").address
        '+14155550123'
    """
    if len(typed) > MAX_LENGTH:
        raise InputError("to", "malformed", "The destination is longer than any address.")
    plain = typed.isascii() and typed.isprintable()  # true of nearly every address, and then no character needs a look
    if not plain and any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in typed):
        raise InputError(
            "to", "malformed", "The destination holds control or invisible characters; send it without them."
        )
    typed = typed.strip()
    return _mail(typed) if "@" in typed else _phone(typed)


def mask(contact: Contact) -> str:
    """Return the address with its identifying part hidden. The mask has the same length whatever it hides."""
    if contact.kind is ContactKind.MAIL:
        local, _, domain = contact.address.rpartition("@")
        return f"{local[0]}***@{domain}"
    digits = contact.address
    return f"{digits[:5]}***{digits[-4:]}" if len(digits) > 11 else f"{digits[:3]}***{digits[-2:]}"  # noqa: PLR2004


def _phone(typed: str) -> Contact:
    if not typed.startswith(("+", "\uff0b")):
        raise InputError(
            "to",
            "malformed",
            "Write a mail address, or a telephone number with its country code, such as +14155550123.",
        )
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException as error:
        raise InputError("to", "malformed", "This is not a telephone number; write it like +14155550123.") from error
    if number.extension:
        raise InputError(
            "to", "malformed", "A number with an extension cannot receive a message; leave the extension out."
        )
    if number.country_code in _SATELLITE_AND_NETWORKS:
        raise InputError(
            "to", "satellite_number", "We send no messages to satellite and international network numbers."
        )
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
    return Contact(ContactKind.PHONE, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _mail(typed: str) -> Contact:
    local_typed, _, domain_typed = typed.rpartition("@")
    try:
        if _is_plain(local_typed, domain_typed):
            local, domain = local_typed, _plain_domain(domain_typed)
        else:
            found = _validated(typed)
            local, domain = found.local_part, found.domain
    except (EmailSyntaxError, EmailNotValidError) as error:
        raise InputError("to", "malformed", "This is not a mail address; write it like ada@example.org.") from error
    local = unicodedata.normalize("NFC", local).lower()
    # The local part is compared without regard to case: no provider of note keeps two mailboxes that differ only in it.
    if not local or not local_typed:
        raise InputError("to", "malformed", "This is not a mail address; write it like ada@example.org.")
    for label in [*domain.split("."), local]:
        if _mixes_scripts(label):
            raise InputError(
                "to",
                "mixed_scripts",
                "The address mixes letters of several scripts that look alike; type it in one script.",
            )
    if unicodedata.normalize("NFKC", local) != local:
        # Full-width, superscript or joined letters look like plain ones, and some servers treat them as equal.
        raise InputError(
            "to", "mixed_scripts", "The address has letters in a form that looks like others; type it in plain ones."
        )
    if any(_passes_for_latin(label) for label in domain.split(".")) and domain.rpartition(".")[2].isascii():
        raise InputError(
            "to",
            "look_alike",
            "The domain is written in letters that pass for Latin ones; check that it is the one you mean.",
        )
    return Contact(ContactKind.MAIL, f"{local}@{domain.lower()}")


def _validated(address: str) -> ValidatedEmail:
    """Return the parts of a mail address in canonical form. Raises EmailNotValidError."""
    return validate_email(
        address,
        check_deliverability=False,
        allow_smtputf8=True,
        allow_quoted_local=False,
        allow_domain_literal=False,
        test_environment=True,
        strict=True,
    )


def _is_plain(local: str, domain: str) -> bool:
    """Return True if only the domain needs the library: an ASCII local part of RFC 5322's dot-atom form, within RFC 5321's lengths.

    Domains repeat, local parts do not. With the domain remembered, reading an address costs a tenth.
    """
    return (
        _DOT_ATOM.fullmatch(local) is not None
        and len(local) <= MAX_LOCAL
        and len(local) + 1 + len(domain) <= MAX_ADDRESS
        and domain.isascii()
        and "xn--" not in domain.lower()
    )


@lru_cache(maxsize=4_096)
def _plain_domain(domain: str) -> str:
    """Return an ASCII domain in canonical form. Raises EmailNotValidError."""
    found: str = _validated(f"x@{domain}").domain
    return found


def _mixes_scripts(label: str) -> bool:
    """Return True if a label mixes Latin, Greek and Cyrillic letters (UTS 39, 5.2: the confusable trio)."""
    if label.isascii():
        return False
    scripts = {
        name
        for character in label
        if character.isalpha()
        for name in ("LATIN", "GREEK", "CYRILLIC")
        if unicodedata.name(character, "").startswith(name)
    }
    return len(scripts) > 1


def _passes_for_latin(label: str) -> bool:
    """Return True if a label is not ASCII but consists only of ASCII and of letters that look like Latin ones."""
    return not label.isascii() and all(character.isascii() or character in LATIN_LOOKALIKES for character in label)
