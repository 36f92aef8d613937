"""Sort the refusals of mail servers into reasons, by code, enhanced code and text."""

from __future__ import annotations

import re
import socket
from enum import StrEnum
from typing import Final

from aiosmtplib import SMTPServerDisconnected

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.http import tls

_ENHANCED: Final = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})(?!\d)", re.ASCII)  # RFC 3463, 2
_GREYLIST: Final = re.compile(r"gr[ea]y[ -]?list", re.IGNORECASE)
_THROTTLE: Final = re.compile(
    r"too many|too fast|throttl|\brate\b|limit|slow down|busy|quota of connections", re.IGNORECASE
)
_BLOCK: Final = re.compile(
    r"block|spam|black ?list|deny ?list|\blisted (?:at|by|on)\b|reputation|\bbanned\b|dnsbl|spamhaus", re.IGNORECASE
)
_RELAY: Final = re.compile(r"relay|authenticat|authoriz|authoris|log ?in", re.IGNORECASE)

_THROTTLED_CODES: Final = frozenset({421, 450, 451})
_UNKNOWN_CODES: Final = frozenset({550, 551, 553})
_CREDENTIAL_CODES: Final = frozenset({530, 534, 535, 538})  # RFC 4954, 6
_ABOUT_SENDER: Final = frozenset({(1, 7), (1, 8)})  # X.1.7 and X.1.8: the sender's address (RFC 3463, 3.2)
_DISABLED: Final = (2, 1)  # X.2.1: the mailbox takes no messages (RFC 3463, 3.3)
_NOT_THERE: Final = frozenset(
    {(1, 1), (1, 2), (1, 10)}
)  # no such mailbox, no such system (RFC 3463, 3.2), null MX (RFC 7505)
_ABOUT_SIZE: Final = frozenset({(2, 3), (3, 4)})  # X.2.3 and X.3.4: longer than is allowed (RFC 3463, 3.3 and 3.4)


class Stage(StrEnum):
    """The command that was refused."""

    CONNECT = "connecting"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"


def failure_of_reply(stage: Stage, code: int, text: str) -> DeliveryFailedError:
    """Return the failure that the reply of a mail server stands for.

    The text is read but not passed on, since servers like to repeat the address in it. Codes: RFC 5321, 4.2.3; enhanced codes:
    RFC 3463 and the registry that RFC 5248 began.

    Arguments:
        stage: the command that was refused.
        code: the code of the reply, such as 550.
        text: the rest of the reply, such as "5.1.1 no such user".

    """
    found = _ENHANCED.match(text)
    detail = (int(found[2]), int(found[3])) if found and int(found[1]) == code // 100 else None
    permanent = code // 100 == 5  # noqa: PLR2004
    if permanent:
        reason = _permanent(stage, code, detail, text)
    elif code // 100 == 4:  # noqa: PLR2004
        reason = _temporary(code, detail, text)
    else:
        reason = Reason.PROVIDER_ERROR  # neither a temporary nor a permanent refusal
    shown = f"{code} {code // 100}.{detail[0]}.{detail[1]}" if detail else str(code)
    return DeliveryFailedError(
        reason,
        f"The mail server answered {shown} at {stage.value}." + _REMEDY.get(reason, ""),
        permanent=permanent,
        # A bare 550 may mean anything; only an enhanced code that says there is no such mailbox is believed.
        lasting=reason is Reason.UNKNOWN_RECIPIENT and detail in _NOT_THERE,
    )


_REMEDY: Final = {
    Reason.MISCONFIGURED: " Check user name, password, sender address and whether this server relays for you.",
    Reason.BLOCKED: " It refuses mail from here; check the reputation of the sending address and domain.",
}


def _temporary(code: int, detail: tuple[int, int] | None, text: str) -> Reason:
    if code in _THROTTLED_CODES and _GREYLIST.search(text):
        return Reason.GREYLISTED
    if detail == (2, 2) or (code == 452 and (detail is None or detail[0] == 2)):  # noqa: PLR2004
        return Reason.MAILBOX_FULL
    if code in _THROTTLED_CODES and (_THROTTLE.search(text) or (code == 421 and detail and detail[0] == 7)):  # noqa: PLR2004
        return Reason.THROTTLED
    return Reason.UNREACHABLE if code == 421 else Reason.PROVIDER_ERROR  # noqa: PLR2004


def _permanent(stage: Stage, code: int, detail: tuple[int, int] | None, text: str) -> Reason:
    if stage is Stage.AUTH or code in _CREDENTIAL_CODES:
        return Reason.MISCONFIGURED
    if stage is Stage.CONNECT:
        return Reason.BLOCKED
    if detail in _ABOUT_SIZE:
        return Reason.REFUSED
    if detail == (2, 2) or (code == 552 and detail is None):  # noqa: PLR2004
        return Reason.MAILBOX_FULL
    subject = detail[0] if detail else None
    if subject == 7 or (code == 554 and subject not in {1, 2}):  # noqa: PLR2004
        if _RELAY.search(text):
            return Reason.MISCONFIGURED
        return Reason.BLOCKED if _BLOCK.search(text) else Reason.REFUSED
    if subject != 1 and _BLOCK.search(text):
        return Reason.BLOCKED
    return _about_address(stage, code, detail)


def _about_address(stage: Stage, code: int, detail: tuple[int, int] | None) -> Reason:
    # A fault of the sender must not be taken for one of the recipient: that would end the message on every route.
    if stage is Stage.MAIL or detail in _ABOUT_SENDER:
        return Reason.MISCONFIGURED
    if detail is not None and (detail[0] == 1 or detail == _DISABLED):
        return Reason.UNKNOWN_RECIPIENT
    return Reason.UNKNOWN_RECIPIENT if stage is Stage.RCPT and code in _UNKNOWN_CODES else Reason.REFUSED


def why_unreachable(error: Exception) -> str:
    """Return why a server could not be reached, as far as the error tells."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    if any(isinstance(one, socket.gaierror) for one in causes):
        return "its host has no address (DNS)"
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return "nobody listens there (connection refused)"
    if tls.is_tls_failure(error):
        return "TLS failed on its side"
    if any(isinstance(one, ConnectionResetError | SMTPServerDisconnected) for one in causes):
        return "it closed the connection"
    return "it could not be reached, or closed the connection" if isinstance(error, OSError) else type(error).__name__
