"""A breaker: a provider that keeps failing is left out of routes for a while, then tried with one message."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason

TRIPS_AT: Final = 3
"""Failures in a row after which a provider is left out."""

RESTS: Final = (30_000, 60_000, 120_000, 300_000)
"""Milliseconds for which it is left out: longer each time it fails again at once, and no longer than the last."""

PROBE: Final = 20_000
"""Milliseconds that one message may take to show whether it is back; meanwhile all others still pass it over."""

PROVIDER_FAULTS: Final = frozenset({Reason.UNREACHABLE, Reason.TIMED_OUT, Reason.PROVIDER_ERROR, Reason.MISCONFIGURED})
"""Failures that say something of the provider, and not of one message or of whom it is for."""


class CircuitBreaker(msgspec.Struct, frozen=True):
    """How a provider does: its failures in a row, how often in a row it was left out, and until when it is (ms; None: it is not)."""

    provider: str
    failures: int = 0
    trips: int = 0
    until: int | None = None
    probing: bool = False
    reason: str = ""
    changed_at: int = 0

    @property
    def tripped(self) -> bool:
        """Say whether it is left out, or waits for the one message that shows whether it is back."""
        return self.until is not None

    def is_open(self, now: int) -> bool:
        """Say whether messages pass it over."""
        return self.until is not None and now < self.until


def after_failure(breaker: CircuitBreaker, reason: Reason, now: int) -> CircuitBreaker:
    """Count a failure; the third in a row trips it, and so does one of the message that was to show that it is back.

    Failures of messages that were under way when it tripped change nothing.
    """
    if reason not in PROVIDER_FAULTS or (breaker.is_open(now) and not breaker.probing):
        return breaker
    failures = breaker.failures + 1
    if failures < TRIPS_AT and not breaker.tripped:
        return msgspec.structs.replace(breaker, failures=failures, reason=reason.value, changed_at=now)
    rest = RESTS[min(breaker.trips, len(RESTS) - 1)]
    return CircuitBreaker(breaker.provider, failures, breaker.trips + 1, now + rest, False, reason.value, now)


def after_success(breaker: CircuitBreaker, now: int) -> CircuitBreaker:
    """Forget what was counted: it took a message."""
    return CircuitBreaker(breaker.provider, changed_at=now)


def begin_probe(breaker: CircuitBreaker, now: int) -> CircuitBreaker:
    """Let one message through to a provider whose rest is over: for all others it goes on for as long as that may take."""
    return msgspec.structs.replace(breaker, until=now + PROBE, probing=True, changed_at=now)
