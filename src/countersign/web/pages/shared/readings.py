"""How a contact that was typed was read: shown to the person who typed it, before or as soon as something is sent to it (semantics J3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.shared.contact import Contact, ContactKind, read_contact, stored_contact
from countersign.domain.shared.mail_slips import suggest_address
from countersign.errors import InputError
from countersign.web.pages.shared.wordings import fault_of_contact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.messages.language.catalogue import Language


def suggestion_of(address: str, language: Language) -> str:
    """Return a question that offers the address which was probably meant; empty if nothing looks like a slip.

    `address` is what was typed in this very browser, in canonical form. The answer depends on nothing else (semantics R1).
    """
    return _suggestion(stored_contact(address), language) if address else ""


def reading_of(typed: str, regions: Sequence[str], language: Language) -> str:
    """Return what was understood of a contact that did not lead on, or why nothing was; empty if that says nothing new."""
    try:
        contact = read_contact(typed, regions)
    except InputError as error:
        return fault_of_contact(error.reason, language)
    if contact.kind is ContactKind.PHONE and not typed.lstrip().startswith("+"):
        return language.say("We read this as {number}.", number=f"\u2066{contact.written}\u2069")
    return _suggestion(contact, language)


def _suggestion(contact: Contact, language: Language) -> str:
    meant = suggest_address(contact.address) if contact.kind is ContactKind.MAIL else ""
    return language.say("Did you mean {address}?", address=f"\u2066{meant}\u2069") if meant else ""
