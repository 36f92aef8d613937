"""Recipients of the inbox that stand for an outcome: delivered, late, bounced, refused, blocked, throttled, ..."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of a message: an immediate refusal (`refused`), or a receipt `after` so many milliseconds.

    `first_only` refuses only the first try. `kept` says whether the message can be read in the inbox.
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
"""By the word after the plus of a mail address; the four digits are the end of a number, after 555."""

_BY_WORD: Final = {word: outcome for word, (_, outcome) in OUTCOMES.items()}
_BY_DIGITS: Final = {f"555{digits}": outcome for digits, outcome in OUTCOMES.values()}


def outcome_of(to: str) -> Outcome | None:
    """Return the outcome that a recipient stands for; None for an ordinary one.

    >>> outcome_of("ada+bounced@example.org") == outcome_of("+14155550193")
    True

    """
    local, at, _ = to.rpartition("@")
    if at:
        return _BY_WORD.get(local.rpartition("+")[2]) if "+" in local else None
    return _BY_DIGITS.get(to[-7:])


def receipt_of(outcome: Outcome, provider: str, identifier: str) -> Receipt | None:
    """Return the receipt that follows a message; None if there is none.

    `provider` is the name of the inbox, `identifier` its id of the message.
    """
    return None if outcome.state is None else Receipt(provider, identifier, outcome.state, outcome.reason)
