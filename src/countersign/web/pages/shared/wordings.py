"""Sentences that several pages say in places of their own; whole pages that say one thing are in `word_pages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.password import PasswordFault
from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.verifications.code import Alphabet
from countersign.messages.language.catalogue import mark

if TYPE_CHECKING:
    from countersign.domain.verifications.code import CodeShape
    from countersign.messages.language.catalogue import Language

DELIVERY_STATES: Final = {
    DeliveryState.QUEUED: mark("Waiting to be sent"),
    DeliveryState.SENDING: mark("Sending"),
    DeliveryState.ACCEPTED: mark("Sent"),
    DeliveryState.DELIVERED: mark("Delivered"),
    DeliveryState.UNDELIVERED: mark("Not delivered"),
    DeliveryState.FAILED: mark("Not sent"),
    DeliveryState.DROPPED: mark("Not sent"),
}
"""How far a message is."""
HELD_STATES: Final = {
    DeliveryState.QUEUED: mark("Waiting to be sent with other notices"),
    DeliveryState.DROPPED: mark("Not sent, because there were too many"),
}
"""How far a notice is that was not sent by itself."""

PASSWORD_FAULTS: Final = {
    PasswordFault.TOO_SHORT.value: mark("Use at least {least} characters."),
    PasswordFault.TOO_LONG.value: mark("Use 256 characters or fewer."),
    PasswordFault.COMMON.value: mark("This password is one of the first that people guess. Choose another one."),
    PasswordFault.BREACHED.value: mark("This password has appeared in a data breach elsewhere. Choose another one."),
    PasswordFault.MADE_OF_NAMES.value: mark("This password is made of your name or ours. Choose another one."),
}
"""What is wrong with a password."""

_CONTACTS: Final = {
    "malformed": mark("Enter an email address, or a mobile number that begins with + and its country code."),
    "landline": mark(
        "This is a landline number, which cannot get text messages. Use a mobile number or an email address."
    ),
    "impossible_number": mark(
        "This number has too many or too few digits. Check it, and begin with + and the country code."
    ),
    "short_number": mark(
        "This number has too many or too few digits. Check it, and begin with + and the country code."
    ),
}
_UNUSABLE: Final = mark("We cannot send codes there. Use another email address or mobile number.")


def fault_of_contact(reason: str, language: Language) -> str:
    """Return what is wrong with an address or number that was typed, in words."""
    return language.say(_CONTACTS.get(reason, _UNUSABLE))


def fault_of_code(shape: CodeShape, language: Language) -> str:
    """Return what a code looks like, for a person who typed something that cannot be one."""
    length = str(shape.length)
    if shape.alphabet is Alphabet.DIGITS:
        return language.say("The code has {length} digits.", length=length)
    return language.say("The code has {length} letters and digits.", length=length)
