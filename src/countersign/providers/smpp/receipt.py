"""Parse the delivery receipt in a deliver_sm: which message it is about, and what became of it, in all usual spellings.

Source: SMPP Protocol Specification v3.4, 4.6.1 and 5.2.12 (how a receipt is marked), 5.2.28 (states), 5.3.2.31 (network
errors) and its appendix B (the text, which every SMSC writes differently); 3GPP TS 29.002, 17.6.6 (errors of the GSM network).
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
_LONGEST_NUMBER: Final = 20
"""Digits of the longest number in use, one of 64 bits, to which ids are filled up with zeros."""

_KIND: Final = 0x3C
_RECEIPT: Final = 0x04
_ON_THE_WAY: Final = 0x20
_HEADED: Final = 0x40
_UCS_2: Final = 0x08
_OF_GSM: Final = 3

_ID: Final = re.compile(r"(?:^|[\s,;])(?:message[ _]?)?id\s*[:=]\s*([^\s,;]+)", re.IGNORECASE)
_STATE: Final = re.compile(r"(?:^|[\s,;])stat(?:us|e)?\s*[:=]\s*([a-z]+|[0-9]+)", re.IGNORECASE)
_ERROR: Final = re.compile(r"(?:^|[\s,;])err(?:or)?\s*[:=]\s*([0-9a-z]{1,10})(?![0-9a-z])", re.IGNORECASE)

_REPEATED: Final = re.compile(r"(?:^|[\s,;])text\s*[:=]", re.IGNORECASE)

_STATES: Final = {
    "SCHED": 0, "ENROU": 1, "DELIV": 2, "EXPIR": 3, "DELET": 4, "UNDEL": 5, "ACCEP": 6, "UNKNO": 7, "REJEC": 8, "SKIPP": 9,
    "BUFFE": 1, "BUFFR": 1, "PENDI": 1, "QUEUE": 1, "SENT": 1, "SUBMI": 1, "ACKED": 6, "ACK": 6,
    "DELRD": 2, "DLVRD": 2, "READ": 2, "SEEN": 2, "SUCCE": 2,
    "EXPRD": 3, "TIMEO": 3, "CANCE": 4, "DELTD": 4,
    "ABSEN": 5, "ERROR": 5, "FAIL": 5, "FAILE": 5, "FAILU": 5, "NDELI": 5, "NODEL": 5, "NOTDE": 5, "UNDLV": 5, "UNREA": 5,
    "UNKNW": 7, "UNKWN": 7, "BLOCK": 8, "DENIE": 8, "NACK": 8, "REFUS": 8, "REJCT": 8, "REJD": 8, "REJTD": 8,
}  # fmt: skip
"""By the first five letters, since both DELIVRD and DELIVERED occur; the numbers are those of message_state.

The first row has the words of the specification, the others those that gateways write in their place.
"""

_LAST_STATE: Final = 9
_STATE_DIGITS: Final = 3

_ENDS: Final = {
    2: (ReceiptState.DELIVERED, None),
    3: (ReceiptState.UNDELIVERED, Reason.NO_SIGNAL),
    4: (ReceiptState.UNDELIVERED, Reason.REFUSED),
    5: (ReceiptState.UNDELIVERED, Reason.NO_SIGNAL),
    7: (ReceiptState.UNDELIVERED, Reason.NO_RECEIPT),
    8: (ReceiptState.UNDELIVERED, Reason.REFUSED),
}
"""Messages in any other state are still on their way."""

_GSM: Final = {
    **dict.fromkeys((1, 5), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((6, 27, 31), Reason.NO_SIGNAL),
    **dict.fromkeys((9, 11, 12, 13, 21), Reason.BLOCKED),
    **dict.fromkeys((32, 33), Reason.MAILBOX_FULL),
    **dict.fromkeys((34, 35, 36), Reason.PROVIDER_ERROR),
}
"""MAP errors, used only if the network's own parameter gives them: the `err:` of the text has another meaning at each SMSC."""


class SmppReceipt(msgspec.Struct, frozen=True):
    """What became of the message `id`; `state` is None while it is on its way. `error` is the SMSC's own code."""

    id: str
    state: ReceiptState | None
    reason: Reason | None = None
    error: str = ""


def parse_receipt(message: ShortMessage) -> SmppReceipt | None:
    """Return the receipt in a deliver_sm; None if it is a message of a person. Raises MalformedError if it cannot be understood."""
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
    state = number[0] if len(number) == 1 else _state_of(_found(_STATE, text))
    if state is None:
        raise MalformedError
    outcome, reason = _ENDS.get(state, (None, None))
    if outcome is ReceiptState.UNDELIVERED:
        reason = _network_reason(parameters.get(NETWORK_ERROR_CODE, b"")) or reason
    # The error is logged, so it is not taken from the repeated text of our message, which may hold the code.
    return SmppReceipt(identifier, outcome, reason, _found(_ERROR, _REPEATED.split(text, maxsplit=1)[0]))


def _state_of(word: str) -> int | None:
    """Return the number of a state that the text writes, as a word or as that number."""
    if word.isdigit():
        return int(word) if len(word) <= _STATE_DIGITS and int(word) <= _LAST_STATE else None
    return _STATES.get(word[:5].upper())


def spellings(identifier: str, ids: str) -> tuple[str, ...]:
    """Return how the response to our message may have written an id, the likeliest first.

    Arguments:
        identifier: the id as the receipt writes it.
        ids: how the two differ: "same" except for case and leading zeros, "hex" (hexadecimal in receipts, decimal in responses) or
            "decimal" (the reverse).

    >>> spellings("1f", "hex")
    ('31', '0000000031')

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


def zero_padded(identifier: str, ids: str) -> tuple[str, ...]:
    """Return the spellings of an id that the response may have written with other leading zeros than the receipt, shortest first.

    The arguments are those of `spellings`. A name with other marks than letters and digits is no number, and gets no zeros.

    >>> zero_padded("23", "same")[:2]
    ('023', '0023')

    """
    known = spellings(identifier, ids)
    bare = dict.fromkeys(name.lstrip("0") or "0" for name in known if name.isascii() and name.isalnum())
    found = [name.zfill(width) for width in range(1, _LONGEST_NUMBER + 1) for name in bare if width >= len(name)]
    return tuple(dict.fromkeys(name for name in found if name not in known))


def _text(message: ShortMessage) -> str:
    octets = message.text or message.parameters.get(MESSAGE_PAYLOAD, b"")
    if message.esm_class & _HEADED and octets:
        octets = octets[1 + octets[0] :]
    if message.data_coding == _UCS_2:
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def _found(pattern: re.Pattern[str], text: str) -> str:
    """Return a field of the text, the first one if it occurs several times: the repeated text of our message comes last."""
    found = pattern.search(text)
    return found[1] if found else ""


def _network_reason(octets: bytes) -> Reason | None:
    if len(octets) != 3 or octets[0] != _OF_GSM:  # noqa: PLR2004 - the type of the network, and its code in two octets
        return None
    return _GSM.get(int.from_bytes(octets[1:], "big"))
