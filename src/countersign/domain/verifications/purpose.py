"""A purpose: the reason for which a code is requested, and the policy that applies to it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import MAX_LENGTH, MIN_LENGTH, CodeShape

MAX_LIFETIME: Final = 600
"""Seconds. NIST SP 800-63B-4, 3.1.3.2, and ASVS 5.0, 6.5.5, allow a code by mail or phone ten minutes at most."""

MAX_GUESSES: Final = 10
MAX_ODDS: Final = 1e-3
"""The greatest probability of guessing a code within one challenge: guesses over code space (RFC 4226, appendix A)."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class ResendMode(StrEnum):
    """What a resend sends: the same code, a new code, or a new code while the previous one still works."""

    SAME = "same"
    NEW = "new"
    OVERLAP = "overlap"


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """The policy of a purpose. Times are in seconds.

    Empty `channels` means every channel that has a route. `binds` marks the purpose by which a contact is bound again after too many
    failures. A locked contact can still be sent this purpose, and an approval ends the lockout.
    """

    shape: CodeShape = CodeShape()
    lifetime: int = 600
    guesses: int = 5
    sends: int = 5
    resend_after: int = 30
    resend: ResendMode = ResendMode.SAME
    channels: tuple[Channel, ...] = ()
    binds: bool = False

    def faults(self) -> list[str]:
        """Return the errors of this policy, one sentence each, which begins with the setting. Empty if the policy is valid."""
        found: list[str] = []
        if not MIN_LENGTH <= self.shape.length <= MAX_LENGTH:
            found.append(f"code_length: expected {MIN_LENGTH} to {MAX_LENGTH}, got {self.shape.length}")
        if not 30 <= self.lifetime <= MAX_LIFETIME:  # noqa: PLR2004
            found.append(f"lifetime: expected 30 to {MAX_LIFETIME} seconds, got {self.lifetime}")
        if not 1 <= self.guesses <= MAX_GUESSES:
            found.append(f"guesses: expected 1 to {MAX_GUESSES}, got {self.guesses}")
        if not 1 <= self.sends <= 10:  # noqa: PLR2004
            found.append(f"sends: expected 1 to 10, got {self.sends}")
        if not 1 <= self.resend_after <= MAX_LIFETIME:
            found.append(f"resend_after: expected 1 to {MAX_LIFETIME} seconds, got {self.resend_after}")
        right = 2 if self.resend is ResendMode.OVERLAP else 1  # how many codes an entered code is compared with
        if self.shape.length >= MIN_LENGTH and right * self.guesses / self.shape.space > MAX_ODDS:
            found.append(
                f"guesses: {self.guesses} guesses at {self.shape.space:,} codes, {right} of them right,"
                " are too good odds (greatest allowed: 1 in 1,000); "
                "make the code longer or allow fewer guesses"
            )
        return found


DEFAULT_POLICIES: Final = {
    "sign_in": Policy(),
    "sign_up": Policy(),
    "step_up": Policy(),
    "change_contact": Policy(),
    "recover": Policy(),
    "bind_contact": Policy(binds=True),
}


def is_purpose(name: str) -> bool:
    """Return True if `name` can name a purpose: up to 40 lower-case letters, digits and underscores."""
    return _NAME.fullmatch(name) is not None
