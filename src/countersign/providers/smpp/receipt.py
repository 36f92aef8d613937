"""A delivery receipt in a deliver_sm: which message it is about, and what became of it, in all the usual spellings.

Source: SMPP Protocol Specification v3.4, 4.6.1 and 5.2.12 (where a receipt is said to be one), 5.2.28 (states), 5.3.2.31 (network
errors) and its appendix B (the text, which no two SMSCs write alike); 3GPP TS 29.002, 17.6.6 (what the GSM network says).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason, ReceiptState
from countersign.providers.smpp.pdu import (
    MESSAGE_PAYLOAD,
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    RECEIPTED_MESSAGE_ID,
    MalformedError,
    ShortMessage,
)

LONGEST_ID: Final = 64
"""Characters (5.2.23)."""

_KIND: Final = 0x3C
_RECEIPT: Final = 0x04
_ON_THE_WAY: Final = 0x20
_HEADED: Final = 0x40
_UCS_2: Final = 0x08
_OF_GSM: Final = 3

_ID: Final = re.compile(r"(?:^|[\s,;])(?:message[ _]?)?id\s*[:=]\s*([^\s,;]+)", re.IGNORECASE)
_STATE: Final = re.compile(r"(?:^|[\s,;])stat(?:us|e)?\s*[:=]\s*([a-z]+)", re.IGNORECASE)
_ERROR: Final = re.compile(r"(?:^|[\s,;])err(?:or)?\s*[:=]\s*([0-9a-z]{1,10})(?![0-9a-z])", re.IGNORECASE)

_REPEATED: Final = re.compile(r"(?:^|[\s,;])text\s*[:=]", re.IGNORECASE)

_STATES: Final = {
    "SCHED": 0, "ENROU": 1, "DELIV": 2, "EXPIR": 3, "DELET": 4, "UNDEL": 5, "ACCEP": 6, "UNKNO": 7, "REJEC": 8, "SKIPP": 9,
}  # fmt: skip
"""By the first five letters, for both DELIVRD and DELIVERED are written; the numbers are those of message_state."""

_ENDS: Final = {
    2: (ReceiptState.DELIVERED, None),
    3: (ReceiptState.UNDELIVERED, Reason.NO_SIGNAL),
    4: (ReceiptState.UNDELIVERED, Reason.REFUSED),
    5: (ReceiptState.UNDELIVERED, Reason.NO_SIGNAL),
    7: (ReceiptState.UNDELIVERED, Reason.NO_RECEIPT),
    8: (ReceiptState.UNDELIVERED, Reason.REFUSED),
}
"""What is not here is still on its way."""

_GSM: Final = {
    **dict.fromkeys((1, 5), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((6, 27, 31), Reason.NO_SIGNAL),
    **dict.fromkeys((9, 11, 12, 13, 21), Reason.BLOCKED),
    **dict.fromkeys((32, 33), Reason.MAILBOX_FULL),
    **dict.fromkeys((34, 35, 36), Reason.PROVIDER_ERROR),
}
"""MAP errors, believed where the network's own parameter gives them: `err:` of the text is each SMSC's own numbering."""


class SmppReceipt(msgspec.Struct, frozen=True):
    """What a receipt says of the message with that id; `state` None: it is still on its way. `error` is the SMSC's own code."""

    id: str
    state: ReceiptState | None
    reason: Reason | None = None
    error: str = ""


def parse_receipt(message: ShortMessage) -> SmppReceipt | None:
    """Return what a deliver_sm tells; None for one that is no receipt, but a message of a person. Raises MalformedError."""
    kind = message.esm_class & _KIND
    parameters = message.parameters
    if kind not in {_RECEIPT, _ON_THE_WAY} and not {RECEIPTED_MESSAGE_ID, MESSAGE_STATE} <= parameters.keys():
        return None
    text = _text(message)
    identifier = parameters.get(RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0 ").decode("ascii", "replace") or _found(
        _ID, text
    )
    if not 0 < len(identifier) <= LONGEST_ID or not (identifier.isascii() and identifier.isprintable()):
        raise MalformedError
    number = parameters.get(MESSAGE_STATE, b"")
    state = number[0] if len(number) == 1 else _STATES.get(_found(_STATE, text)[:5].upper())
    if state is None:
        raise MalformedError
    moved, reason = _ENDS.get(state, (None, None))
    if moved is ReceiptState.UNDELIVERED:
        reason = _network_reason(parameters.get(NETWORK_ERROR_CODE, b"")) or reason
    # The error is logged, and what a receipt repeats of our message may hold the code.
    return SmppReceipt(identifier, moved, reason, _found(_ERROR, _REPEATED.split(text, maxsplit=1)[0]))


def spellings(identifier: str, ids: str) -> tuple[str, ...]:
    """Return how the answer to our message may have written the id that a receipt writes as `identifier`, the likeliest first.

    `ids` says how the two differ: "same" but for case and leading zeros, "hex" (receipts have in hexadecimal what answers have in
    decimal) or "decimal" (the reverse).
    """
    digits = identifier.removeprefix("0x")
    if ids == "decimal" and identifier.isdigit():
        number = int(identifier)
        found = [f"{number:x}", f"{number:X}", f"{number:08x}", f"{number:08X}"]
    elif ids == "hex" and re.fullmatch(r"[0-9a-fA-F]{1,20}", digits):
        number = int(digits, 16)
        found = [str(number), f"{number:010d}"]
    else:
        found = [identifier, identifier.lower(), identifier.upper(), identifier.lstrip("0")]
    return tuple(dict.fromkeys(one for one in found if one))


def _text(message: ShortMessage) -> str:
    octets = message.text or message.parameters.get(MESSAGE_PAYLOAD, b"")
    if message.esm_class & _HEADED and octets:
        octets = octets[1 + octets[0] :]
    if message.data_coding == _UCS_2:
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def _found(pattern: re.Pattern[str], text: str) -> str:
    """Return a field of the text, the first where there are several: what is repeated of our own message stands last."""
    found = pattern.search(text)
    return found[1] if found else ""


def _network_reason(octets: bytes) -> Reason | None:
    if len(octets) != 3 or octets[0] != _OF_GSM:  # noqa: PLR2004 - the network's type, and two octets of its code
        return None
    return _GSM.get(int.from_bytes(octets[1:], "big"))
