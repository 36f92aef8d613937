"""A contact: a mail address or telephone number in canonical form. Parses it, masks it, and rejects what must not be sent to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec
from email_validator import EmailNotValidError, EmailSyntaxError, ValidatedEmail, validate_email

from countersign.domain.shared.phone_number import (
    former_spellings,
    is_landline,
    parse_number,
    read_number,
    renumbered,
    spaced,
)
from countersign.domain.shared.typed_text import is_invisible
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

LANDLINE: Final = "landline"
"""Why a number gets no SMS: it is on a fixed line."""

MAX_LENGTH: Final = 320  # RFC 3696 erratum 1690: 64 + 1 + 255 octets is the longest mail address in practice
MAX_ADDRESS: Final = 254  # RFC 3696 erratum 1690: octets of an address that fits into an SMTP path
MAX_LOCAL: Final = 64  # RFC 5321, 4.5.3.1.1
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of writing. Inside a mail address they would show another one than is meant."""
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_NAMED: Final = re.compile(r"[^<>@]*<([^<>]+)>")
_MAILTO: Final = re.compile(r"mailto:", re.IGNORECASE)
_DOT_ATOM: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)


class Contact(msgspec.Struct, frozen=True):
    """A mail address or telephone number in canonical form. Its repr shows only the masked form."""

    kind: ContactKind
    address: str

    @property
    def masked(self) -> str:
        """Return the form for pages, API responses and logs: `a***@example.org`, `+1415***0123`."""
        return mask(self)

    @property
    def written(self) -> str:
        """Return the whole contact as people read it: `ada@example.org`, `+49 1512 3456789`. For its owner's eyes alone."""
        return self.address if self.kind is ContactKind.MAIL else spaced(self.address)

    @property
    def is_landline(self) -> bool:
        """Return True for a number on a fixed line alone."""
        return self.kind is ContactKind.PHONE and is_landline(self.address)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the channels by which it can be reached: a landline takes no SMS."""
        channels = CHANNELS_OF[self.kind]
        return tuple(channel for channel in channels if channel is not Channel.SMS) if self.is_landline else channels

    @property
    def former(self) -> tuple[Contact, ...]:
        """Return the spellings under which an earlier release may have stored this number; none for nearly every contact."""
        if self.kind is ContactKind.MAIL:
            return ()
        return tuple(Contact(self.kind, number) for number in former_spellings(self.address))

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
    return _mail(typed) if "@" in typed else Contact(ContactKind.PHONE, parse_number(typed))


def read_contact(typed: str, regions: Sequence[str] | None = None) -> Contact:
    """Return the contact that a person or a program means. All fields that take a contact are read by this function (semantics J3).

    Marks that nobody sees are left out: contacts are copied with them. Raises InputError as `parse_contact` does.

    Args:
        typed: what was typed or pasted.
        regions: where a number without a country code is at home; None for programs, whose numbers begin with `+` (see `read_number`).
    """
    if len(typed) > MAX_LENGTH:
        raise InputError("to", "malformed", "The destination is longer than any address.")
    if typed.isascii() and typed.isprintable():
        text = typed.strip()
    else:
        text = _without_edges(typed)
        if regions is not None:
            text = "".join(one for one in text if one in _TURNING or not is_invisible(one)).translate(_FULL_WIDTH)
    if "@" not in text:
        return Contact(ContactKind.PHONE, read_number(text, regions))
    if regions is None:
        return parse_contact(text)
    if named := _NAMED.fullmatch(text):
        text = named[1]
    return parse_contact(_MAILTO.sub("", text, count=1).rstrip(".,;"))


def stored_contact(address: str) -> Contact:
    """Return a contact that was stored in canonical form, by this release or an earlier one. Nothing is refused any more."""
    return Contact(ContactKind.MAIL, address) if "@" in address else Contact(ContactKind.PHONE, renumbered(address))


def _without_edges(typed: str) -> str:
    """Return a text without spaces and invisible marks around it."""
    kept = [place for place, one in enumerate(typed) if not one.isspace() and not is_invisible(one)]
    return typed[kept[0] : kept[-1] + 1] if kept else ""


def mask(contact: Contact) -> str:
    """Return the address with its identifying part hidden. The mask has the same length whatever it hides."""
    if contact.kind is ContactKind.MAIL:
        local, _, domain = contact.address.rpartition("@")
        return f"{local[0]}***@{domain}"
    digits = contact.address
    return f"{digits[:5]}***{digits[-4:]}" if len(digits) > 11 else f"{digits[:3]}***{digits[-2:]}"  # noqa: PLR2004


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
