"""Circuit breaker: a provider that keeps failing is skipped for a while, then tried with one message."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Reason

TRIPS_AT: Final = 3
"""Consecutive failures that trip the breaker."""

RESTS: Final = (30_000, 60_000, 120_000, 300_000)
"""Milliseconds for which a provider is skipped. Each time it fails again at once, the next value applies, up to the last."""

PROBE: Final = 20_000
"""Milliseconds for which one message may probe the provider. All other messages still skip it."""

PROVIDER_FAULTS: Final = frozenset({Reason.UNREACHABLE, Reason.TIMED_OUT, Reason.PROVIDER_ERROR, Reason.MISCONFIGURED})
"""Failures that are due to the provider, not to one message or its recipient."""


class CircuitBreaker(msgspec.Struct, frozen=True):
    """The health of a provider.

    `failures` are consecutive failures, `trips` consecutive trips. Until `until` (ms) the provider is skipped; None means that the
    breaker is closed. `probing` is True while one message tests the provider.
    """

    provider: str
    failures: int = 0
    trips: int = 0
    until: int | None = None
    probing: bool = False
    reason: str = ""
    changed_at: int = 0

    @property
    def tripped(self) -> bool:
        """Return True if the provider is skipped, or its next message is a probe."""
        return self.until is not None

    def is_open(self, now: int) -> bool:
        """Return True if messages skip the provider at `now` (ms)."""
        return self.until is not None and now < self.until


def after_failure(breaker: CircuitBreaker, reason: Reason, now: int) -> CircuitBreaker:
    """Count a failure. The third consecutive one trips the breaker, and so does a failed probe.

    Failures of messages that were being sent when the breaker tripped do not count.
    """
    if reason not in PROVIDER_FAULTS or (breaker.is_open(now) and not breaker.probing):
        return breaker
    failures = breaker.failures + 1
    if failures < TRIPS_AT and not breaker.tripped:
        return msgspec.structs.replace(breaker, failures=failures, reason=reason.value, changed_at=now)
    rest = RESTS[min(breaker.trips, len(RESTS) - 1)]
    return CircuitBreaker(breaker.provider, failures, breaker.trips + 1, now + rest, False, reason.value, now)


def after_success(breaker: CircuitBreaker, now: int) -> CircuitBreaker:
    """Close the breaker: the provider accepted a message."""
    return CircuitBreaker(breaker.provider, changed_at=now)


def begin_probe(breaker: CircuitBreaker, now: int) -> CircuitBreaker:
    """Let one message through to a provider whose rest is over. For all others the rest is extended by PROBE."""
    return msgspec.structs.replace(breaker, until=now + PROBE, probing=True, changed_at=now)


def end_probe(breaker: CircuitBreaker, now: int) -> CircuitBreaker:
    """End a probe whose message was not sent. The next message is the probe."""
    return msgspec.structs.replace(breaker, until=now, probing=False, changed_at=now)
