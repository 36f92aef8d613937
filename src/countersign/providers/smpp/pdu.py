"""Encode and decode PDUs of SMPP 3.4: the header, the bodies in use here, and optional parameters.

Source: SMPP Protocol Specification v3.4, Issue 1.2: 3.2 (layout), 4 (each PDU), 5.1.2.1 (ids), 5.3.2 (tags).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

HEADER: Final = 16
"""Octets of a header: length, command id, status and sequence number, four octets each."""
MAX_PDU: Final = 64 * 1024
"""Octets of the longest PDU that is read; nothing that is requested here needs a longer one, which ends the session."""
MAX_SEQUENCE: Final = 0x7FFFFFFF
MAX_SHORT_MESSAGE: Final = 254
RESPONSE: Final = 0x80000000
"""The bit that is set in the command id of a response."""

RECEIPTED_MESSAGE_ID: Final = 0x001E
MESSAGE_PAYLOAD: Final = 0x0424
NETWORK_ERROR_CODE: Final = 0x0423
MESSAGE_STATE: Final = 0x0427


class CommandId(IntEnum):
    """The command ids in use here (5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    ALERT_NOTIFICATION = 0x00000102


class MalformedError(ValueError):
    """What was received is no PDU, or not the one that its command id says."""


class Pdu(msgspec.Struct, frozen=True):
    """A PDU: `command` may be an unknown id; `body` is what follows the header."""

    command: int
    sequence: int
    status: int = 0
    body: bytes = b""

    def __repr__(self) -> str:
        """Hide the body, which may hold a password or a text."""
        return f"Pdu({self.command:#x}, {self.sequence}, {self.status:#x}, {len(self.body)} octets)"

    @property
    def is_response(self) -> bool:
        """Return True for a response."""
        return bool(self.command & RESPONSE)

    def encode(self) -> bytes:
        """Return the octets of the PDU."""
        words = (HEADER + len(self.body), self.command, self.status, self.sequence)
        return b"".join(word.to_bytes(4, "big") for word in words) + self.body


def body_length(header: bytes) -> int:
    """Return how many octets follow a header; raises MalformedError if that is negative or above MAX_PDU."""
    length = int.from_bytes(header[:4], "big")
    if not HEADER <= length <= MAX_PDU:
        raise MalformedError
    return length - HEADER


def decode(header: bytes, body: bytes) -> Pdu:
    """Return the PDU of a header (16 octets) and its body."""
    command, status, sequence = (int.from_bytes(header[at : at + 4], "big") for at in (4, 8, 12))
    return Pdu(command, sequence, status, body)


class Address(msgspec.Struct, frozen=True):
    """A number or a name, with its type (`ton`, 5.2.5) and numbering plan (`npi`, 5.2.6)."""

    ton: int
    npi: int
    text: str

    def __repr__(self) -> str:
        """Hide the number."""
        return f"Address({self.ton}, {self.npi})"


class ShortMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The body of submit_sm and deliver_sm (4.4.1, 4.6.1); `parameters` has the optional parameters by tag."""

    source: Address
    destination: Address
    text: bytes
    service_type: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    scheduled: str = ""
    validity: str = ""
    registered_delivery: int = 0
    replace: int = 0
    data_coding: int = 0
    default_message: int = 0
    parameters: dict[int, bytes] = {}

    def __repr__(self) -> str:
        """Hide the text and the numbers."""
        return f"ShortMessage(esm_class {self.esm_class:#x}, {len(self.text)} octets)"

    def encode(self) -> bytes:
        """Return the octets of the body; raises ValueError if a field cannot be written."""
        if len(self.text) > MAX_SHORT_MESSAGE:
            raise ValueError("short_message")
        return b"".join(
            (
                encode_c_octets(self.service_type),
                _address(self.source),
                _address(self.destination),
                bytes((self.esm_class, self.protocol_id, self.priority)),
                encode_c_octets(self.scheduled),
                encode_c_octets(self.validity),
                bytes((self.registered_delivery, self.replace, self.data_coding, self.default_message)),
                bytes((len(self.text),)),
                self.text,
                *(
                    tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
                    for tag, value in self.parameters.items()
                ),
            )
        )


def decode_short_message(body: bytes) -> ShortMessage:
    """Return the content of the body of a submit_sm or deliver_sm; raises MalformedError."""
    reading = _BodyReader(body)
    service_type = reading.c_octets()
    source, destination = reading.address(), reading.address()
    esm_class, protocol_id, priority = reading.octets(3)
    scheduled, validity = reading.c_octets(), reading.c_octets()
    registered, replace, data_coding, default_message, length = reading.octets(5)
    text = reading.octets(length)
    return ShortMessage(
        service_type=service_type,
        source=source,
        destination=destination,
        esm_class=esm_class,
        protocol_id=protocol_id,
        priority=priority,
        scheduled=scheduled,
        validity=validity,
        registered_delivery=registered,
        replace=replace,
        data_coding=data_coding,
        default_message=default_message,
        text=text,
        parameters=reading.parameters(),
    )


def decode_message_id(body: bytes) -> str:
    """Return the message id in the body of a submit_sm_resp; raises MalformedError if it cannot be stored."""
    found = _BodyReader(body).c_octets().strip(" ")
    if not found.isprintable():
        raise MalformedError
    return found


def encode_bind(system_id: str, password: str, system_type: str) -> bytes:
    """Return the body of a bind_transceiver (4.1.5): version 3.4, any address."""
    words = (
        encode_c_octets(system_id),
        encode_c_octets(password),
        encode_c_octets(system_type),
        bytes((0x34, 0, 0)),
        encode_c_octets(""),
    )
    return b"".join(words)


def encode_c_octets(text: str) -> bytes:
    """Return a C-Octet String; raises ValueError for what is not ASCII or has a NUL in it."""
    if "\0" in text:
        raise ValueError("NUL")
    return text.encode("ascii") + b"\0"


def _address(address: Address) -> bytes:
    return bytes((address.ton, address.npi)) + encode_c_octets(address.text)


class _BodyReader:
    """Reads a body field by field."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def octets(self, count: int) -> bytes:
        found = self._body[self._at : self._at + count]
        if len(found) < count:
            raise MalformedError
        self._at += count
        return found

    def c_octets(self) -> str:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise MalformedError
        found = self._body[self._at : end]
        self._at = end + 1
        if not found.isascii():
            raise MalformedError
        return found.decode("ascii")

    def address(self) -> Address:
        ton, npi = self.octets(2)
        return Address(ton, npi, self.c_octets())

    def parameters(self) -> dict[int, bytes]:
        """Return the optional parameters in the rest of the body, by tag; the first one of a tag counts."""
        found: dict[int, bytes] = {}
        while self._at < len(self._body):
            tag, length = (int.from_bytes(self.octets(2), "big") for _ in range(2))
            found.setdefault(tag, self.octets(length))
        return found
