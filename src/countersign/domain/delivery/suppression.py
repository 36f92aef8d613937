"""A suppression: an address that gets no mail for a while because its mailbox is missing or its owner complained."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason

DAY: Final = 86_400_000

DURATION: Final = {Reason.UNKNOWN_RECIPIENT: 60 * DAY, Reason.BLOCKED: 365 * DAY}
"""Milliseconds by reason. A missing mailbox may be created later or given to somebody else. A complaint (`blocked`) lasts longer."""


class Suppression(msgspec.Struct, frozen=True):
    """The suppression of one address, found by its keyed hash. It is active from `at` to `until` (ms) unless an operator lifted it."""

    key: bytes
    masked: str
    reason: Reason
    provider: str
    at: int
    until: int
    lifted_at: int | None = None

    def is_active(self, now: int) -> bool:
        """Return True if nothing is sent to the address at `now` (ms)."""
        return self.lifted_at is None and now < self.until


def new_suppression(key: bytes, masked: str, reason: Reason, provider: str, now: int) -> Suppression:
    """Return a suppression that starts `now` (ms). Its duration depends on the reason."""
    return Suppression(key, masked, reason, provider, now, now + DURATION[reason])


def is_superseded_by(before: Suppression | None, new: Suppression, sent_at: int) -> bool:
    """Return True if the suppression `new` replaces `before`. Its message was sent at `sent_at` (ms).

    A second failure does not extend an active suppression, but a complaint replaces one for a missing mailbox. A message that was sent
    before an operator lifted the suppression changes nothing.
    """
    if before is None:
        return True
    if before.lifted_at is not None and sent_at <= before.lifted_at:
        return False
    return not before.is_active(new.at) or DURATION[new.reason] > DURATION[before.reason]


def lift(suppression: Suppression, now: int) -> Suppression:
    """Return the suppression lifted: mail is sent to the address again."""
    return msgspec.structs.replace(suppression, lifted_at=now)
