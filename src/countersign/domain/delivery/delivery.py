"""A delivery: one message to send, its tries over a route of providers, and the rules for what comes next."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.delivery.pauses import long_pause
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.phone_region import NO_REGION, PhoneRegion

BACKOFF: Final = (1_000, 4_000, 12_000)
"""Milliseconds before the second, third and fourth try of one provider. After those the next provider follows, if there is one."""

MAX_LAPSES: Final = len(BACKOFF) + 1
"""Leases that may run out in a row, each because a worker died over the message or hung, before the next provider follows."""

TRIES_BEFORE_ANOTHER: Final = 1
"""Tries of a provider that fails temporarily while another could send the message. A person is waiting."""

JITTER: Final = 0.25
"""The greatest part by which a wait is lengthened at random, so that messages that failed together do not retry together."""

LEASE: Final = 15_000
"""Milliseconds for which a claim holds unless it is renewed. After that, another worker takes over from a dead one."""

MAX_TRY: Final = 45_000
"""Milliseconds after which a try is given up, even if its worker is alive."""


LATE_AFTER: Final = 30_000
"""Milliseconds after which an undelivered message is late, and the person is offered another method."""

SLOW_AFTER: Final = 60_000
"""Milliseconds after which a message should have come, and nobody is told any more to wait for it."""


class DeliveryState(StrEnum):
    """The state of a message. `accepted` is reported by the provider, `delivered` by a receipt."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    DROPPED = "dropped"


class Reason(StrEnum):
    """Why a try failed or a message was dropped. The hint for people is in `messages`."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    THROTTLED = "throttled"
    GREYLISTED = "greylisted"
    PROVIDER_ERROR = "provider_error"
    MISCONFIGURED = "misconfigured"
    REFUSED = "refused"
    UNKNOWN_RECIPIENT = "unknown_recipient"
    MAILBOX_FULL = "mailbox_full"
    BLOCKED = "blocked"
    NO_SIGNAL = "no_signal"
    NO_ROUTE = "no_route"
    HELD_BACK = "held_back"
    NO_RECEIPT = "no_receipt"
    TRIES_SPENT = "tries_spent"
    ENDED = "ended"
    EXPIRED = "expired"
    CANCELED = "canceled"


ABOUT_RECIPIENT: Final = frozenset({Reason.UNKNOWN_RECIPIENT})
"""Permanent failures that no other provider would change: the address itself is wrong."""

BEYOND_PROVIDER: Final = frozenset({Reason.GREYLISTED, Reason.MAILBOX_FULL})
"""Temporary failures beyond the provider. Another provider would meet them too, and would start over."""


class Message(msgspec.Struct, frozen=True):
    """A rendered message for a provider.

    `key` is the same for every try of one delivery by one provider: use it as idempotency key and as left part of a Message-ID. `code` is
    for providers that send a template of their own around the code; it is empty in a notice. `has_act`: the text names an act that the
    code approves, so a provider that drops the text must refuse the message (semantics P4).
    """

    key: str
    channel: Channel
    to: str
    locale: str
    subject: str
    text: str
    html: str
    sender_name: str
    code: str = ""
    has_act: bool = False

    def __repr__(self) -> str:
        """Hide the recipient and the text."""
        return f"Message({self.key}, {self.channel.value})"


class Accepted(msgspec.Struct, frozen=True):
    """The provider accepted the message: its own id for it, and the ms within which a receipt will follow (None: it sends none)."""

    provider_message_id: str = ""
    receipt_within: int | None = None


class Failure(msgspec.Struct, frozen=True):
    """A try failed. `permanent` is True if the same provider would refuse the message again.

    `retry_after` (ms) is the provider's own request. `lasting` is True if the address is known not to exist, beyond this message.
    """

    reason: Reason
    permanent: bool
    retry_after: int | None = None
    lasting: bool = False


class Delivery(msgspec.Struct, frozen=True):
    """A message to send for a challenge, or for a notice: `owner` is the id of either. Times are in ms since the epoch.

    `route` holds the provider names in order, fixed when the delivery was created. `position` is the index of the current one. `tries`
    counts the tries of the current provider, `attempts` all tries. `due_at` is when a worker must look at it again (None: never).
    `settled_at` is when the conversion of its code was counted (None: not yet, as the code may still be entered). `application` is the id
    of the application that it belongs to ("": an older release wrote it). `lapses` counts the leases that ran out in a row.
    """

    owner: str
    number: int
    channel: Channel
    route: tuple[str, ...]
    created_at: int
    round: int = 0
    state: DeliveryState = DeliveryState.QUEUED
    position: int = msgspec.field(default=0, name="leg")
    tries: int = 0
    attempts: int = 0
    due_at: int | None = None
    reason: Reason | None = None
    changed_at: int = 0
    region: PhoneRegion = msgspec.field(default=NO_REGION, name="area")
    settled_at: int | None = None
    application: str = ""
    lapses: int = 0

    @property
    def provider(self) -> str | None:
        """Return the name of the current provider, or None if the route is empty or exhausted."""
        return self.route[self.position] if 0 <= self.position < len(self.route) else None

    @property
    def queue(self) -> str:
        """Return the name of the queue that it waits in: its current provider, its channel and its application."""
        return f"{self.provider or ''} {self.channel.value} {self.application}"

    @property
    def key(self) -> str:
        """Return the key that identifies this delivery to the current provider. It is the same for each try."""
        return f"{self.owner}.{self.number}.{self.position}"

    @property
    def is_lost(self) -> bool:
        """Return True if the message did not arrive and will not be tried again."""
        is_canceled = self.state is DeliveryState.DROPPED and self.reason is Reason.CANCELED
        return is_canceled or self.state in {DeliveryState.UNDELIVERED, DeliveryState.FAILED}

    def is_late(self, now: int) -> bool:
        """Return True if the message failed, or was not delivered within LATE_AFTER."""
        return self.is_lost or (self.state is not DeliveryState.DELIVERED and now >= self.created_at + LATE_AFTER)

    def is_slow(self, now: int) -> bool:
        """Return True if a message that has not arrived should have come by now."""
        return self.state is not DeliveryState.DELIVERED and now >= self.created_at + SLOW_AFTER

    @property
    def ended(self) -> bool:
        """Return True if no worker will look at this message again."""
        return self.due_at is None


def new_delivery(
    owner: str,
    number: int,
    channel: Channel,
    route: tuple[str, ...],
    now: int,
    round_: int = 0,
    *,
    region: PhoneRegion = NO_REGION,
    has_code: bool = True,
    application: str = "",
) -> Delivery:
    """Return a new message that is due at once, or a failed one if `route` is empty.

    `number` counts the messages of one owner from 1, `round_` names the code. `has_code` is False for a notice, which has no conversion.
    """
    settled_at = None if has_code else now
    if not route:
        return Delivery(
            owner,
            number,
            channel,
            route,
            now,
            round_,
            DeliveryState.FAILED,
            reason=Reason.NO_ROUTE,
            changed_at=now,
            region=region,
            settled_at=settled_at,
            application=application,
        )
    return Delivery(
        owner,
        number,
        channel,
        route,
        now,
        round_,
        due_at=now,
        changed_at=now,
        region=region,
        settled_at=settled_at,
        application=application,
    )


def claim(delivery: Delivery, now: int, left_out: Collection[str] = ()) -> Delivery:
    """Claim the message to send it: it takes its turn, and its try starts."""
    delivery = take_turn(delivery, now, left_out)
    return delivery if delivery.ended else start_try(delivery, now)


def take_turn(delivery: Delivery, now: int, left_out: Collection[str] = ()) -> Delivery:
    """Return the message at the provider that is to send it now. After the last one it has failed.

    A message whose receipt is overdue goes to the next provider. So does one whose workers died repeatedly while they sent it. Providers
    in `left_out` are skipped while the route has others.
    """
    if delivery.state is DeliveryState.ACCEPTED:
        delivery = next_provider(delivery, Reason.NO_RECEIPT, now)
    elif delivery.state is DeliveryState.SENDING:
        delivery = msgspec.structs.replace(delivery, lapses=delivery.lapses + 1)
        if delivery.lapses >= MAX_LAPSES:
            delivery = next_provider(delivery, Reason.TRIES_SPENT, now)
    return delivery if delivery.ended else skip_providers(delivery, left_out)


def start_try(delivery: Delivery, now: int) -> Delivery:
    """Return the message as it is being sent. The try is counted before it is made, and the lease starts."""
    return msgspec.structs.replace(
        delivery,
        state=DeliveryState.SENDING,
        tries=delivery.tries + 1,
        attempts=delivery.attempts + 1,
        due_at=now + LEASE,
        changed_at=now,
    )


def leave_to_others(delivery: Delivery, now: int) -> Delivery:
    """Return a message that a worker took its turn of, but cannot send: it is due at once, for a worker that knows its provider."""
    if delivery.state is DeliveryState.QUEUED:
        return delivery
    return msgspec.structs.replace(delivery, state=DeliveryState.QUEUED, due_at=now, changed_at=now)


def skip_providers(delivery: Delivery, left_out: Collection[str]) -> Delivery:
    """Return the message at the first provider, from the current one on, that is not left out. If all are, return it unchanged."""
    for position in range(delivery.position, len(delivery.route)):
        if delivery.route[position] not in left_out:
            return (
                delivery
                if position == delivery.position
                else msgspec.structs.replace(delivery, position=position, tries=0, lapses=0)
            )
    return delivery


def fail(delivery: Delivery, reason: Reason, now: int) -> Delivery:
    """End a message as failed without asking a provider."""
    return _failed(delivery, reason, now)


def postpone(delivery: Delivery, until: int) -> Delivery:
    """Have a message that was not tried yet looked at again at `until` (ms)."""
    return msgspec.structs.replace(delivery, due_at=until)


def drop(delivery: Delivery, reason: Reason, now: int) -> Delivery:
    """End a message that is no longer wanted because its challenge ended or expired."""
    return msgspec.structs.replace(delivery, state=DeliveryState.DROPPED, reason=reason, due_at=None, changed_at=now)


def after_acceptance(delivery: Delivery, accepted: Accepted, now: int) -> Delivery:
    """Record that the provider accepted the message. If it promised a receipt, the message is due when that is overdue."""
    due_at = None if accepted.receipt_within is None else now + accepted.receipt_within
    return msgspec.structs.replace(delivery, state=DeliveryState.ACCEPTED, reason=None, due_at=due_at, changed_at=now)


def renew_lease(delivery: Delivery, now: int) -> Delivery:
    """Extend the lease of a message that is still being sent."""
    return msgspec.structs.replace(delivery, due_at=now + LEASE)


def release(delivery: Delivery, now: int) -> Delivery:
    """Undo a claim whose try was not made because the worker stops. The message is due at once."""
    return msgspec.structs.replace(
        delivery,
        state=DeliveryState.QUEUED,
        tries=max(0, delivery.tries - 1),
        attempts=max(0, delivery.attempts - 1),
        due_at=now,
        changed_at=now,
    )


def after_failure(delivery: Delivery, failure: Failure, now: int, random: float, until: int | None = None) -> Delivery:
    """Return the message after a failed try: the same provider again later, the next provider, or the end.

    `random` in [0, 1) spreads the wait. `until` is when (ms) the message ends to be of use, such as the end of its code; None means that it
    is not known.

    A refusal because of the recipient ends the message. Any other permanent failure moves on to the next provider at once. So does a
    temporary failure while another provider is left, unless its reason is in BEYOND_PROVIDER: then the same provider is tried as often as
    BACKOFF has waits. The last provider of a route is tried for as long as the message is of use, with growing pauses (semantics D8). A
    wait is as long as the provider's own `retry_after` if that is longer.
    """
    if failure.permanent and failure.reason in ABOUT_RECIPIENT:
        return _failed(delivery, failure.reason, now)
    is_last = delivery.position + 1 >= len(delivery.route)
    is_tried_on = is_last and until is not None
    if failure.permanent or (not is_tried_on and delivery.tries >= max_tries(delivery, failure.reason)):
        return next_provider(delivery, failure.reason, now)
    # A long wait that the provider asked for is not observed while another could send the message.
    if failure.retry_after is not None and failure.retry_after > BACKOFF[-1] and not is_last:
        return next_provider(delivery, failure.reason, now)
    wait = (
        BACKOFF[max(0, delivery.tries - 1)]
        if delivery.tries <= len(BACKOFF)
        else long_pause(delivery.tries - len(BACKOFF), (until or now) - delivery.created_at)
    )
    wait = max(wait, failure.retry_after or 0)
    due_at = now + int(wait * (1 + JITTER * random))
    if is_last and until is not None and due_at >= until:
        return _failed(delivery, failure.reason, now)
    return msgspec.structs.replace(
        delivery, state=DeliveryState.QUEUED, reason=failure.reason, due_at=due_at, changed_at=now, lapses=0
    )


def max_tries(delivery: Delivery, reason: Reason) -> int:
    """Return how often a provider is tried that is not tried on, if it fails temporarily for `reason`."""
    another = delivery.position + 1 < len(delivery.route)
    return TRIES_BEFORE_ANOTHER if another and reason not in BEYOND_PROVIDER else len(BACKOFF) + 1


def next_provider(delivery: Delivery, reason: Reason, now: int) -> Delivery:
    """Move on to the next provider of the route, due at once. After the last one the message has failed."""
    if delivery.position + 1 >= len(delivery.route):
        return _failed(delivery, reason, now)
    return msgspec.structs.replace(
        delivery,
        state=DeliveryState.QUEUED,
        position=delivery.position + 1,
        tries=0,
        reason=reason,
        due_at=now,
        changed_at=now,
        lapses=0,
    )


class ReceiptState(StrEnum):
    """What a receipt reports about an accepted message."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


class Receipt(msgspec.Struct, frozen=True):
    """A later report of a provider about a message, found by the provider's own id for it.

    `complained` is True if the message arrived and its recipient reported it as unwanted.
    """

    provider: str
    provider_message_id: str
    state: ReceiptState
    reason: Reason | None = None
    complained: bool = False


def after_receipt(delivery: Delivery, receipt: Receipt, now: int) -> Delivery:
    """Return the message after a receipt. A late, repeated or outdated receipt changes nothing, except that `delivered` always counts."""
    if delivery.state is DeliveryState.DELIVERED:
        return delivery
    if receipt.state is ReceiptState.DELIVERED:
        return msgspec.structs.replace(
            delivery, state=DeliveryState.DELIVERED, reason=None, due_at=None, changed_at=now
        )
    if delivery.state is not DeliveryState.ACCEPTED or receipt.provider != delivery.provider:
        return delivery
    reason = receipt.reason or Reason.REFUSED
    if reason in ABOUT_RECIPIENT or delivery.position + 1 >= len(delivery.route):
        return msgspec.structs.replace(
            delivery, state=DeliveryState.UNDELIVERED, reason=reason, due_at=None, changed_at=now
        )
    return next_provider(delivery, reason, now)


def _failed(delivery: Delivery, reason: Reason, now: int) -> Delivery:
    return msgspec.structs.replace(delivery, state=DeliveryState.FAILED, reason=reason, due_at=None, changed_at=now)
