"""The results of the verification flows: done, refused, missing, or an idempotency key that was reused.

They are stored with idempotency keys for a day. Their tags and encoded field names must stay as they are.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.delivery.delivery import Delivery
from countersign.domain.verifications.challenge import Challenge, Refusal

MALFORMED: Final = "malformed"
"""The reason of a wrong code that cannot be one: its length or alphabet is another, so nothing was compared and no guess counted."""


class RateLimitStatus(msgspec.Struct, frozen=True):
    """The rate limit that will be used up first, for the `RateLimit` header fields. `reset_after` is in ms."""

    name: str
    burst: int
    remaining: int
    reset_after: int


class Done(msgspec.Struct, frozen=True, tag="Done"):
    """The request succeeded. `delivery` is the newest message of the challenge.

    `continued` is True if a pending challenge was continued. `rate_limit` is set if the request counted for one.
    """

    challenge: Challenge
    delivery: Delivery | None = None
    continued: bool = False
    rate_limit: RateLimitStatus | None = msgspec.field(default=None, name="budget")


class Refused(msgspec.Struct, frozen=True, tag="Refused"):
    """The request was refused, and why.

    `retry_after` (ms) is set if waiting helps. `limit` names the rate limit that is used up. `reason` is a more precise slug. `at` is the
    time of the decision (ms), for the waiting times of `challenge`.
    """

    refusal: Refusal
    challenge: Challenge | None = None
    retry_after: int = 0
    limit: str = ""
    reason: str = ""
    at: int = 0


class Missing(msgspec.Struct, frozen=True, tag="Missing"):
    """The challenge does not exist, or belongs to another application."""


class KeyReused(msgspec.Struct, frozen=True, tag="KeyReused"):
    """The idempotency key was used with another request before."""


Outcome: TypeAlias = Done | Refused | Missing | KeyReused
