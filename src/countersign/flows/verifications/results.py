"""What a flow on challenges answers: done, or not done and why."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from countersign.domain.delivery.delivery import Delivery
from countersign.domain.verifications.challenge import Challenge, Refusal


class RateLimitStatus(msgspec.Struct, frozen=True):
    """What is left of the limit that is nearest: for the `RateLimit` fields; `reset_after` in ms."""

    name: str
    burst: int
    remaining: int
    reset_after: int


class Done(msgspec.Struct, frozen=True, tag="Done"):
    """It was done. `delivery` is the newest message that is owed for it, `continued` says that a pending challenge went on."""

    challenge: Challenge
    delivery: Delivery | None = None
    continued: bool = False
    rate_limit: RateLimitStatus | None = msgspec.field(default=None, name="budget")


class Refused(msgspec.Struct, frozen=True, tag="Refused"):
    """It was not done. `retry_after` (ms) is set where waiting helps, `limit` names what ran out, `reason` tells more."""

    refusal: Refusal
    challenge: Challenge | None = None
    retry_after: int = 0
    limit: str = ""
    reason: str = ""
    at: int = 0


class Missing(msgspec.Struct, frozen=True, tag="Missing"):
    """There is no such challenge, or it is another application's."""


class KeyReused(msgspec.Struct, frozen=True, tag="KeyReused"):
    """The idempotency key came with another request before."""


Outcome: TypeAlias = Done | Refused | Missing | KeyReused
