"""A challenge in the API: masked, with RFC 3339 times and what is left of it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from countersign.domain.delivery.delivery import Delivery, DeliveryState, Reason
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import Challenge, ChallengeState
from countersign.flows.verifications.get import ChallengeView
from countersign.messages.content.hints import hint

MS: Final = 1_000

encode: Final = msgspec.json.Encoder().encode


class DeliveryView(msgspec.Struct, frozen=True):
    """A message in short."""

    state: DeliveryState
    channel: Channel
    hint: str | None


class DeliveryInFull(msgspec.Struct, frozen=True):
    """A message with its provider and last report."""

    channel: Channel
    provider: str | None
    state: DeliveryState
    reason: Reason | None
    hint: str | None
    at: str


class Verification(msgspec.Struct, frozen=True):
    """A challenge. Fields that are UNSET are left out."""

    id: str
    status: ChallengeState
    to: str
    channel: Channel
    purpose: str
    expires_at: str
    guesses_left: int
    sends_left: int
    resend_at: str
    delivery: DeliveryView | UnsetType | None = UNSET
    deliveries: list[DeliveryInFull] | UnsetType = UNSET
    proof: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET


@lru_cache(maxsize=4_096)
def _written(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def earlier(at: int) -> str:
    """Return a time (ms) in RFC 3339, rounded down: for a time that has passed."""
    return _written(at // MS)


def later(at: int) -> str:
    """Return a time (ms) in RFC 3339, rounded up: for a time from which something is possible."""
    return _written(-(-at // MS))


def shown(
    challenge: Challenge,
    *,
    state: ChallengeState | None = None,
    delivery: DeliveryView | UnsetType | None = UNSET,
    deliveries: list[DeliveryInFull] | UnsetType = UNSET,
    proof: str | UnsetType = UNSET,
    refusal: str | UnsetType = UNSET,
) -> bytes:
    """Return a challenge as JSON. `state` replaces the recorded state."""
    return encode(
        Verification(
            challenge.id,
            state or challenge.state,
            challenge.terms.to_masked,
            challenge.channel,
            challenge.terms.purpose,
            earlier(challenge.expires_at),
            challenge.guesses_left,
            challenge.sends_left,
            later(challenge.resend_at),
            delivery,
            deliveries,
            proof,
            refusal,
        )
    )


def message(delivery: Delivery, locale: str, now: int | None = None) -> DeliveryView:
    """Return a message in short, with a hint in the person's language, as of `now` (ms); None: it was asked for just now."""
    return DeliveryView(delivery.state, delivery.channel, _hint(delivery, locale, now))


def newest(seen: ChallengeView, now: int) -> DeliveryView | None:
    """Return the newest message of a challenge in short."""
    return message(seen.deliveries[-1], seen.challenge.terms.locale, now) if seen.deliveries else None


def _hint(delivery: Delivery, locale: str, now: int | None) -> str | None:
    slow = now is not None and delivery.is_slow(now)
    return hint(delivery.state, delivery.reason, delivery.channel, locale, slow=slow)


def in_full(seen: ChallengeView, now: int) -> bytes:
    """Return a challenge with all its messages as JSON, as of `now` (ms)."""
    challenge = seen.challenge
    return shown(
        challenge,
        state=challenge.state_at(now),
        delivery=newest(seen, now),
        deliveries=[_in_full(delivery, challenge.terms.locale, now) for delivery in seen.deliveries],
    )


def _in_full(delivery: Delivery, locale: str, now: int) -> DeliveryInFull:
    return DeliveryInFull(
        delivery.channel,
        delivery.provider,
        delivery.state,
        delivery.reason,
        _hint(delivery, locale, now),
        earlier(delivery.changed_at),
    )
