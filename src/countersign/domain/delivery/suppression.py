"""A suppression: an address that nothing is sent to for a while, since its mailbox is not there or its person complained."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason

DAY: Final = 86_400_000

DURATION: Final = {Reason.UNKNOWN_RECIPIENT: 60 * DAY, Reason.BLOCKED: 365 * DAY}
"""Milliseconds by reason: mailboxes come into being, and are given to others; a complaint (`blocked`) is meant for long."""


class Suppression(msgspec.Struct, frozen=True):
    """One address by its keyed hash; times in ms. It stands from `at` until `until`, unless an operator lifted it."""

    key: bytes
    masked: str
    reason: Reason
    provider: str
    at: int
    until: int
    lifted_at: int | None = None

    def is_active(self, now: int) -> bool:
        """Say whether nothing is sent to the address."""
        return self.lifted_at is None and now < self.until


def new_suppression(key: bytes, masked: str, reason: Reason, provider: str, now: int) -> Suppression:
    """Return a suppression that begins `now` and lasts as long as its reason does."""
    return Suppression(key, masked, reason, provider, now, now + DURATION[reason])


def is_superseded_by(before: Suppression | None, new: Suppression, sent_at: int) -> bool:
    """Say whether a message sent at `sent_at` that came back brings the suppression `new`.

    One that stands is not prolonged by what comes again, but a complaint outweighs a mailbox that was not there. What was sent before
    an operator lifted the suppression says nothing new.
    """
    if before is None:
        return True
    if before.lifted_at is not None and sent_at <= before.lifted_at:
        return False
    return not before.is_active(new.at) or DURATION[new.reason] > DURATION[before.reason]


def lift(suppression: Suppression, now: int) -> Suppression:
    """Let the address be sent to again."""
    return msgspec.structs.replace(suppression, lifted_at=now)
