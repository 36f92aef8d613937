"""Outcomes by destination: the inbox acts as a network that delivers, is late, bounces, refuses, blocks or throttles."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of a message: a refusal at once (`refused`), or a receipt `after` so many milliseconds.

    `first_only` refuses the first try alone. `kept` says whether the message can be read in the inbox.
    """

    refused: Reason | None = None
    permanent: bool = True
    first_only: bool = False
    state: ReceiptState | None = None
    reason: Reason | None = None
    after: int = 0
    kept: bool = True


_RECEIPT: Final = ReceiptState.DELIVERED
_LOST: Final = ReceiptState.UNDELIVERED

OUTCOMES: Final = {
    "delivered": ("0191", Outcome(state=_RECEIPT, after=300)),
    "late": ("0192", Outcome(state=_RECEIPT, after=20_000)),
    "bounced": ("0193", Outcome(state=_LOST, reason=Reason.UNKNOWN_RECIPIENT, after=300, kept=False)),
    "refused": ("0194", Outcome(refused=Reason.UNKNOWN_RECIPIENT, kept=False)),
    "blocked": ("0195", Outcome(refused=Reason.BLOCKED, kept=False)),
    "throttled": ("0196", Outcome(refused=Reason.THROTTLED, permanent=False, first_only=True)),
    "full": ("0197", Outcome(refused=Reason.MAILBOX_FULL, kept=False)),
    "no-signal": ("0198", Outcome(state=_LOST, reason=Reason.NO_SIGNAL, after=300, kept=False)),
}
"""By the word after the plus of a mail address, and by the last four digits of a number with 555 before them."""

_BY_WORD: Final = {word: outcome for word, (_, outcome) in OUTCOMES.items()}
_BY_DIGITS: Final = {f"555{digits}": outcome for digits, outcome in OUTCOMES.values()}


def outcome_of(to: str) -> Outcome | None:
    """Return what a destination stands for: ada+bounced@example.org or +1 415 555 0193; None for every other one."""
    local, at, _ = to.rpartition("@")
    if at:
        return _BY_WORD.get(local.rpartition("+")[2]) if "+" in local else None
    return _BY_DIGITS.get(to[-7:])


def receipt_of(outcome: Outcome, provider: str, identifier: str) -> Receipt | None:
    """Return the receipt that is to follow a message that was taken, None if there is none."""
    return None if outcome.state is None else Receipt(provider, identifier, outcome.state, outcome.reason)
