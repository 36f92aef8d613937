"""Sort the command_status of an SMSC into reasons.

Source: SMPP Protocol Specification v3.4, 5.1.3; from 0x100 on v5.0, 4.7.6, which some SMSCs use with 3.4 too.
"""

from __future__ import annotations

from typing import Final

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError

OK: Final = 0x00
UNKNOWN_COMMAND: Final = 0x03
"""ESME_RINVCMDID."""
TRY_LATER: Final = 0x64
"""ESME_RX_T_APPN: it cannot be accepted now, and should be sent again."""
NOT_UNDERSTOOD: Final = 0x65
"""ESME_RX_P_APPN: it will never be accepted."""

_MISCONFIGURED: Final = {
    0x02: "a PDU of another length; does it speak SMPP 3.4?",
    0x03: "no such command; may this account submit?",
    0x06: "the priority is not allowed.",
    0x07: "no receipts are given; set receipts to no.",
    0x0A: "the sender is not allowed; check sender.",
    0x0E: "the password is wrong; check password.",
    0x0F: "the system_id is unknown; check system_id.",
    0x15: "the service type is not allowed.",
    0x43: "messages of several parts are not allowed.",
    0x48: "the sender's type is not allowed; check sender.",
    0x49: "the sender's plan is not allowed; check sender.",
    0x50: "numbers in international form are not taken.",
    0x51: "numbers of the telephone plan are not taken.",
    0x53: "the system_type is unknown; check system_type.",
    0x61: "no time of delivery is allowed.",
    0x62: "the validity is not allowed.",
    0x100: "the service is not allowed to this account.",
    0x103: "the service is denied to this account.",
}
_REFUSED: Final = frozenset({0x01, 0x0B, 0x65, 0x66, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xFE, 0x104})
"""Refusals of this message, which another provider may accept. ESME_RINVDSTADR (0x0B) too: most send it for a network they do not reach."""
_BLOCKED: Final = frozenset({0x101})
_THROTTLED: Final = frozenset({0x14, 0x58})
"""ESME_RMSGQFUL, ESME_RTHROTTLED."""
_TOO_MANY_SESSIONS: Final = frozenset({0x05, 0x0D})
"""ESME_RALYBND, ESME_RBINDFAIL: sent for too many sessions, and while the SMSC has not noticed that the last one ended."""


def failure_of_status(status: int) -> DeliveryFailedError:
    """Return the failure that a status other than ESME_ROK stands for; one that is not in the specification is temporary."""
    shown = f"The SMSC answered {status:#06x}"
    if status in _MISCONFIGURED:
        return DeliveryFailedError(Reason.MISCONFIGURED, f"{shown}: {_MISCONFIGURED[status]}", permanent=True)
    if status in _REFUSED:
        return DeliveryFailedError(Reason.REFUSED, f"{shown}.", permanent=True)
    if status in _BLOCKED:
        return DeliveryFailedError(Reason.BLOCKED, f"{shown}.", permanent=True)
    if status in _THROTTLED:
        return DeliveryFailedError(Reason.THROTTLED, f"{shown}: too much at once.", permanent=False)
    if status in _TOO_MANY_SESSIONS:
        return DeliveryFailedError(
            Reason.MISCONFIGURED,
            f"{shown}: it accepts no further session; count connections of every process, and check the account.",
            permanent=False,
        )
    return DeliveryFailedError(Reason.PROVIDER_ERROR, f"{shown}.", permanent=False)
