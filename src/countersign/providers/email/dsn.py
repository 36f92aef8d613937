"""Read bounces: delivery status notifications of mail servers about a message that they could not deliver (RFC 3464).

Anybody can write one, so nothing in it is trusted here: `flows/delivery/bounces.py` checks at which of our addresses it arrived. Only
the outermost level of MIME is parsed, so neither nesting nor a broken inner part costs anything.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import quopri
import re
from email.errors import MessageError
from email.message import Message as Headers
from email.parser import BytesHeaderParser
from email.policy import compat32
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason
from countersign.providers.email.smtp_replies import Stage, failure_of_reply

MAX_BYTES: Final = 256 * 1024
"""Bytes of a mail that is read; our messages are small, so a longer mail is no bounce of one."""

_MAX_PARTS: Final = 16
_MAX_RECIPIENTS: Final = 50
_MAX_ADDRESSES: Final = 20
_MAX_TEXT: Final = 998  # RFC 5322, 2.1.1: the longest line
_STATUS_TYPES: Final = frozenset(
    {"message/delivery-status", "message/global-delivery-status"}  # the latter: RFC 6533
)
_ARRIVED_AT: Final = ("to", "delivered-to", "x-original-to", "x-delivered-to", "envelope-to", "original-recipient")
_ADDRESS: Final = re.compile(r"[^\s<>\"(),;:\[\]]{1,64}@[^\s<>\"(),;:\[\]@]{1,255}")
_STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])", re.ASCII)  # RFC 3463, 2
_REPLY: Final = re.compile(r"\b([245]\d\d)(?:[ -]|$)", re.ASCII)
_FIELD: Final = re.compile(r"([!-9;-~]{1,60})[ \t]*:(.*)", re.ASCII | re.DOTALL)  # RFC 5322, 2.2
_KEY: Final = re.compile(r"(?<![0-9a-z_])([a-z]{3}_[0-9a-z]{26}\.\d{1,3}\.\d{1,3})(?![0-9a-z.])", re.ASCII)
_NO_DETAIL: Final = frozenset({(0, 0), (1, 0)})
_POLICY: Final = 7  # X.7.X: security or policy (RFC 3463, 3.8)
_PERMANENT: Final = 5
_FULL: Final = re.compile(r"over ?quota|mailbox (?:is )?full|quota exceeded|exceeded .{0,20}quota", re.IGNORECASE)


class DsnAction(StrEnum):
    """What became of the message for one recipient (RFC 3464, 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class FailedRecipient(msgspec.Struct, frozen=True):
    """What a bounce says of one recipient.

    `addresses` are the names it goes by, in lower case. `reason` is None unless the failure is final.
    """

    addresses: tuple[str, ...]
    action: DsnAction
    reason: Reason | None

    def __repr__(self) -> str:
        """Hide the addresses."""
        return f"FailedRecipient({self.action.value}, {self.reason})"


class Bounce(msgspec.Struct, frozen=True):
    """A bounce: the addresses at which it seems to have arrived, in lower case, and what it says of each recipient.

    `keys` are what look like keys of our messages: in the envelope id that servers return, and in the returned Message-ID.
    """

    arrived_at: tuple[str, ...]
    recipients: tuple[FailedRecipient, ...]
    keys: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Hide the addresses."""
        return f"Bounce({len(self.recipients)} recipients)"


def parse_bounce(raw: bytes) -> Bounce | None:
    """Return the bounce in a mail, given as raw bytes; None if it is no bounce, however broken it is. It never raises."""
    if len(raw) > MAX_BYTES:
        return None
    try:
        headers, body = _split(raw)
        if headers.get_content_maintype() != "multipart":
            return None
        boundary = headers.get_boundary()
        status = _status_part(body, boundary.encode("utf-8", "surrogateescape")) if boundary else None
        if status is None:
            return None
        recipients = tuple(one for one in map(_parse_recipient, _blocks(status)[1:]) if one is not None)
        if not recipients:
            return None
        return Bounce(
            _arrived_at(headers), recipients[:_MAX_RECIPIENTS], _keys(body.decode("ascii", "replace").lower())
        )
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        # The standard library raises each of these for broken headers.
        return None


def reason_of(status: str, diagnostic: str) -> Reason | None:
    """Return why a message was finally sent back; None if the failure is temporary. The rules are those of `smtp_replies.py`.

    Arguments:
        status: an enhanced code such as 5.1.1. Some servers put the detail into the reply and 5.0.0 here.
        diagnostic: the reply of the last server.

    """
    status_match = _STATUS.search(status)
    replied = _STATUS.search(diagnostic)
    found = (
        replied
        if replied and (status_match is None or (int(status_match[2]), int(status_match[3])) in _NO_DETAIL)
        else status_match
    )
    reply = _REPLY.search(diagnostic)
    class_ = (
        int(status_match[1]) if status_match else int(found[1]) if found else int(reply[1][0]) if reply else _PERMANENT
    )
    if class_ != _PERMANENT:
        return None
    detail = (int(found[2]), int(found[3])) if found else (0, 0)
    if detail == (2, 2) or (detail in _NO_DETAIL and _FULL.search(diagnostic)):
        return Reason.MAILBOX_FULL
    if detail[0] == _POLICY:
        return Reason.BLOCKED
    code = int(reply[1]) if reply and reply[1][0] == "5" else 550
    text = diagnostic if detail in _NO_DETAIL else f"5.{detail[0]}.{detail[1]} "
    # As after DATA: at RCPT a bare 550 means an unknown mailbox, which would be too little to suppress an address.
    reason = failure_of_reply(Stage.DATA, code, text).reason
    return Reason(reason) if reason in {Reason.UNKNOWN_RECIPIENT, Reason.BLOCKED} else Reason.REFUSED


def _split(raw: bytes) -> tuple[Headers, bytes]:
    """Return the headers and the body of a mail or a part, with lines that end with LF."""
    text = raw.replace(b"\r\n", b"\n")
    if text.startswith(b"From "):  # an mbox line, which some programs pipe before the mail
        text = text.partition(b"\n")[2]
    if text.startswith(b"\n"):
        return Headers(), text[1:]
    head, _, body = text.partition(b"\n\n")
    return BytesHeaderParser(policy=compat32).parsebytes(head + b"\n\n"), body


def _status_part(body: bytes, boundary: bytes) -> str | None:
    """Return the text of the part that holds the status; None if there is none."""
    parts = re.split(rb"(?m)^--" + re.escape(boundary) + rb"(?:--)?[ \t]*$\n?", body, maxsplit=_MAX_PARTS)
    for part in parts[1:]:
        headers, content = _split(part)
        if headers.get_content_type() in _STATUS_TYPES:
            return _decoded(content, str(headers.get("content-transfer-encoding", ""))).decode("utf-8", "replace")
    return None


def _decoded(content: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "base64":
            try:
                return base64.b64decode(content).replace(b"\r\n", b"\n")
            except binascii.Error:
                return b""
        case "quoted-printable":
            return quopri.decodestring(content).replace(b"\r\n", b"\n")
        case _:
            return content


def _blocks(text: str) -> list[dict[str, str]]:
    """Return the groups of fields, the first one about the message. The first field of a name counts."""
    found: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*\n", text.strip("\n"), maxsplit=_MAX_RECIPIENTS + 1)[: _MAX_RECIPIENTS + 1]:
        fields: dict[str, str] = {}
        for line in re.sub(r"\n[ \t]+", " ", block).split("\n"):
            field = _FIELD.fullmatch(line[:_MAX_TEXT])
            if field is not None:
                fields.setdefault(field[1].lower(), field[2].strip())
        found.append(fields)
    if found and "final-recipient" in found[0]:  # the group about the message is missing, or no empty line ends it
        found.insert(0, {})
    return found


def _parse_recipient(fields: dict[str, str]) -> FailedRecipient | None:
    word = re.match(r"[a-z]+", fields.get("action", "").lower())
    if word is None or word[0] not in set(DsnAction):
        return None
    action = DsnAction(word[0])
    named = f"{fields.get('final-recipient', '')} {fields.get('original-recipient', '')}"
    addresses = tuple(address.lower() for address in _ADDRESS.findall(named.replace(";", " ")))
    reason = (
        reason_of(fields.get("status", ""), fields.get("diagnostic-code", "")) if action is DsnAction.FAILED else None
    )
    return FailedRecipient(addresses, action, reason)


def _keys(text: str) -> tuple[str, ...]:
    """Return the keys of messages that a bounce names, each once."""
    return tuple(dict.fromkeys(found[1] for found in itertools.islice(_KEY.finditer(text), _MAX_RECIPIENTS)))


def _arrived_at(headers: Headers) -> tuple[str, ...]:
    found: list[str] = []
    for name in _ARRIVED_AT:
        for value in (headers.get_all(name) or ())[:_MAX_ADDRESSES]:
            found += _ADDRESS.findall(str(value)[:_MAX_TEXT].replace(";", " "))
    return tuple(dict.fromkeys(address.lower() for address in found[:_MAX_ADDRESSES]))
