"""Write mail (RFC 5322): a message with its envelope, in which nothing that somebody typed can become a header."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import idna
import msgspec

from countersign.domain.delivery.delivery import Message, Reason
from countersign.errors import DeliveryFailedError

_KEY: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)  # dot-atom-text of RFC 5322, 3.2.3, and less
_LANGUAGE: Final = re.compile(
    r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", re.ASCII
)  # RFC 5646, 2.1, the part that is used here
_BREAKS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that some program takes for a line end, or that cannot be encoded: CR, LF, NUL, U+0085, U+2028, surrogates."""
_HEADERS: Final = frozenset(
    {
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "content-language",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }
)
_ENCODED_WORD: Final = "=?"
_LINE: Final = 70
_WORD_BYTES: Final = 42  # 56 characters in base64: with `From: ` and its frame a line stays within 76 (RFC 2047, 2)


class MailMessage(msgspec.Struct, frozen=True):
    """A mail as it is sent: the envelope and the bytes. Only the local part of an international recipient is not ASCII."""

    sender: str
    recipient: str
    international: bool
    message_id: str
    content: bytes

    def __repr__(self) -> str:
        """Hide the recipient and what is said."""
        return f"MailMessage({self.message_id})"


def write_message(message: Message, from_address: str, now: int) -> MailMessage:
    """Return a message as mail.

    Arguments:
        message: what to send; its key alone makes the Message-ID, so that a repetition can be recognised.
        from_address: the sender.
        now: the date, in milliseconds since the epoch.

    Raises DeliveryFailedError, REFUSED and permanent, if something in it would break a header or cannot be addressed.

    """
    _refuse_breaks(message)
    sender = ascii_domain(from_address)
    recipient = ascii_domain(message.to)
    message_id = f"<{message.key}@{sender.rpartition('@')[2]}>"
    international = not recipient.isascii()
    rules = (policy.SMTPUTF8 if international else policy.SMTP).clone(cte_type="7bit")
    try:
        content = _from_line(sender, _plain(message.sender_name))
        content += _head(message, recipient, message_id, now, rules).as_bytes(policy=rules)
        content = content.removesuffix(b"\r\n") + _body(message)
    except (ValueError, MessageError):
        content = b""
    if not _has_only_our_headers(content):
        raise _refused("the message cannot be written as mail")
    return MailMessage(sender, recipient, international, message_id, content)


def ascii_domain(address: str) -> str:
    """Return `address` with its domain in ASCII (IDNA 2008 with the mapping of UTS 46).

    Raises DeliveryFailedError, REFUSED and permanent, if there is no such form.
    """
    local, at, domain = address.rpartition("@")
    try:
        encoded = idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:  # idna.IDNAError is one
        encoded = ""
    if not (local and at and encoded) or any(character in '<>()[]:;,\\" ' for character in local):
        raise _refused("the destination is no mail address that can be written in an envelope")
    return f"{local}@{encoded}"


def _from_line(sender: str, name: str) -> bytes:
    """Return the header From.

    It is written here: the standard library loses the space between two encoded words, and the quotes of a long name that it folds.
    """
    address = f"<{sender}>" if name else sender
    if name.isascii():
        pieces = _folded(_quoted_string(name)) if name else []
    else:
        pieces = [f"=?utf-8?b?{base64.b64encode(piece.encode()).decode()}?=" for piece in _pieces(name)]
    return ("From: " + "\r\n ".join([*pieces, address]) + "\r\n").encode("ascii")


def _quoted_string(text: str) -> str:
    """Return an ASCII text as a quoted string (RFC 5322, 3.2.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _folded(text: str) -> list[str]:
    """Return a text in lines; the space at which it is folded stays one, as it begins the next line."""
    lines = [""]
    for place, word in enumerate(text.split(" ")):
        if lines[-1] and word and len(lines[-1]) + len(word) >= _LINE:
            lines.append(word)
        else:
            lines[-1] += word if place == 0 else f" {word}"
    return lines


def _pieces(text: str) -> list[str]:
    """Return a text in pieces of at most _WORD_BYTES octets, each for one encoded word.

    What stands between two encoded words is not shown (RFC 2047, 6.2), so each space is inside one: at the beginning of the next.
    """
    pieces = [""]
    for word in re.findall(r" *[^ ]+| +$", text):
        if pieces[-1] and len((pieces[-1] + word).encode()) > _WORD_BYTES:
            pieces.append("")
        for character in word:
            if len((pieces[-1] + character).encode()) > _WORD_BYTES:
                pieces.append("")
            pieces[-1] += character
    return pieces


def _head(
    message: Message, recipient: str, message_id: str, now: int, rules: policy.EmailPolicy[EmailMessage]
) -> EmailMessage:
    mail = EmailMessage(policy=rules)
    mail["To"] = _address(recipient)
    mail["Subject"] = _plain(message.subject)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5: asks for no out-of-office replies
    mail["MIME-Version"] = "1.0"
    language = message.locale.replace("_", "-")
    if _LANGUAGE.fullmatch(language):
        mail["Content-Language"] = language
    return mail


def _body(message: Message) -> bytes:
    """Return the body with its headers: the text alone, or text and HTML as parts, in quoted-printable.

    The library would take two milliseconds for this.
    """
    if not message.html:
        return _part(b"plain", message.text)
    boundary = _boundary(message)
    first, next_ = b"--" + boundary + b"\r\n", b"\r\n--" + boundary + b"\r\n"
    parts = first + _part(b"plain", message.text) + next_ + _part(b"html", message.html)
    head = b'Content-Type: multipart/alternative; boundary="' + boundary + b'"\r\n\r\n'
    return head + parts + b"\r\n--" + boundary + b"--\r\n"


def _part(kind: bytes, text: str) -> bytes:
    head = b"Content-Type: text/" + kind + b'; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    return head + _quoted(text)


def _boundary(message: Message) -> bytes:
    """Return a boundary; quoted-printable never has `=_` (RFC 2045, 6.7), so no text can hold it."""
    return b"=_" + hashlib.sha256(message.key.encode()).hexdigest()[:24].encode()


def _quoted(text: str) -> bytes:
    """Return a text in quoted-printable; every line ends with CRLF, the last one too."""
    lines = text.encode().replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").replace(b"\n", b"\r\n")
    return binascii.b2a_qp(lines + b"\r\n")


def _address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)


def _plain(text: str) -> str:
    """Return `text` without encoded words.

    The standard library and every mail client decode them: `=?utf-8?q?=0D=0ABcc:...?=` in a name would become a line break.
    """
    return text.replace(_ENCODED_WORD, "= ?")


def _refuse_breaks(message: Message) -> None:
    for name, value in (
        ("key", message.key),
        ("to", message.to),
        ("locale", message.locale),
        ("subject", message.subject),
        ("sender_name", message.sender_name),
    ):
        if any(unicodedata.category(character) in _BREAKS for character in value):
            raise _refused(f"{name} holds a line break or a control character, which must not reach a header")
    if not _KEY.fullmatch(message.key):
        raise _refused("key cannot be part of a Message-ID; use letters, digits, `_`, `-` and single dots")
    if _ENCODED_WORD in message.to:  # valid in a local part, but many programs decode it
        raise _refused("the destination holds an encoded word")


def _has_only_our_headers(content: bytes) -> bool:
    """Return True if a mail has none but our headers, each once: the last check against injection."""
    head = content.partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")
    if any(breaking in line for line in lines for breaking in (b"\r", b"\n", b"\0")):
        return False
    names = [line.partition(b":")[0].decode("latin-1").lower() for line in lines if line[:1] not in {b" ", b"\t"}]
    return len(names) == len(set(names)) and set(names) <= _HEADERS


def _refused(text: str) -> DeliveryFailedError:
    return DeliveryFailedError(Reason.REFUSED, f"No mail was sent: {text}.", permanent=True)
