"""A delivery: one message owed, its tries over a route of providers, and the rule that decides what comes next."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel
from countersign.domain.shared.phone_region import NO_REGION, PhoneRegion

BACKOFF: Final = (1_000, 4_000, 12_000)
"""Milliseconds before the second, third and fourth try of one provider; after those the route goes on."""

TRIES_BEFORE_ANOTHER: Final = 1
"""Tries of a provider that fails for now while another could take the message: a person is waiting."""

JITTER: Final = 0.25
"""A wait is lengthened by up to this part of itself, so that messages that failed together do not return together."""

LEASE: Final = 15_000
"""Milliseconds for which a claim holds unless it is renewed: so soon does another worker take what a dead one had in hand."""

MAX_TRY: Final = 45_000
"""Milliseconds after which a try that has not ended is given up, however alive its worker is."""


LATE_AFTER: Final = 30_000
"""Milliseconds after which a message that nobody says was delivered is late: the person is offered another way by itself."""


class DeliveryState(StrEnum):
    """Where a message stands. `accepted` is a provider's word, `delivered` a receipt's."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    DROPPED = "dropped"


class Reason(StrEnum):
    """Why a try failed or a message was dropped; each has a hint for the person in `messages`."""

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


ABOUT_RECIPIENT: Final = frozenset({Reason.UNKNOWN_RECIPIENT})
"""Permanent refusals that no other provider would lift: the address itself is at fault."""

BEYOND_PROVIDER: Final = frozenset({Reason.GREYLISTED, Reason.MAILBOX_FULL})
"""Failures for now of what stands behind the provider: another one would meet them too, and from the beginning."""


class Message(msgspec.Struct, frozen=True):
    """What a provider is handed: rendered, addressed, and named so that a second hand-over can be recognised.

    `key` is the same for every try of one delivery by one provider: an idempotency key and the left part of a Message-ID.
    `code` is what the text says, for carriers that have a text of their own around it; "" in a notice.
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

    def __repr__(self) -> str:
        """Hide the recipient and what is said."""
        return f"Message({self.key}, {self.channel.value})"


class Accepted(msgspec.Struct, frozen=True):
    """A provider's word that it has the message: its own id for it, and whether a receipt will follow."""

    provider_message_id: str = ""
    receipt_within: int | None = None


class Failure(msgspec.Struct, frozen=True):
    """A try that did not succeed: the reason, whether it is final for that provider, and the provider's own wish in ms.

    `lasting` says that the address itself is known not to be there, beyond this message.
    """

    reason: Reason
    permanent: bool
    retry_after: int | None = None
    lasting: bool = False


class Delivery(msgspec.Struct, frozen=True):
    """One message owed for a challenge (or, for notices, for whatever `owner` names).

    `route` is the ordered names of providers, fixed when the message was promised; `leg` the one in use, `tries` how
    often that one was tried; `attempts` all tries so far. `due_at` is when a worker must look again (None: never). `settled_at` is
    when what became of its code was counted (None: not yet, for the code may still be typed).
    """

    owner: str
    number: int
    channel: Channel
    route: tuple[str, ...]
    created_at: int
    round: int = 0
    state: DeliveryState = DeliveryState.QUEUED
    position: int = 0
    tries: int = 0
    attempts: int = 0
    due_at: int | None = None
    reason: Reason | None = None
    changed_at: int = 0
    region: PhoneRegion = NO_REGION
    settled_at: int | None = None

    @property
    def provider(self) -> str | None:
        """Return the name of the provider in use, or None where the route is empty or spent."""
        return self.route[self.position] if self.position < len(self.route) else None

    @property
    def key(self) -> str:
        """Return what names this delivery to the provider in use, the same for each of its tries."""
        return f"{self.owner}.{self.number}.{self.position}"

    @property
    def is_lost(self) -> bool:
        """Say whether it did not reach the person and nothing more will be done for it."""
        return self.state in {DeliveryState.UNDELIVERED, DeliveryState.FAILED}

    def is_late(self, now: int) -> bool:
        """Say whether the person has waited for longer than a message usually takes, or in vain."""
        return self.is_lost or (self.state is not DeliveryState.DELIVERED and now >= self.created_at + LATE_AFTER)

    @property
    def ended(self) -> bool:
        """Say whether nothing more will be done for this message."""
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
) -> Delivery:
    """Return a new message, due at once; one that no provider can carry is failed from the start."""
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
        )
    return Delivery(
        owner, number, channel, route, now, round_, due_at=now, changed_at=now, region=region, settled_at=settled_at
    )


def claim(delivery: Delivery, now: int, left_out: Collection[str] = ()) -> Delivery:
    """Take the message to send it: the try is counted before it is made, and the lease runs.

    One whose receipt is overdue goes on to the next provider, and so does one whose workers keep dying over it. Providers that are
    `left_out` are passed over while the route has others.
    """
    if delivery.state is DeliveryState.ACCEPTED:
        delivery = next_provider(delivery, Reason.NO_RECEIPT, now)
    elif delivery.state is DeliveryState.SENDING and delivery.tries > len(BACKOFF):
        delivery = next_provider(delivery, Reason.TRIES_SPENT, now)
    if delivery.ended:
        return delivery
    delivery = skip_providers(delivery, left_out)
    return msgspec.structs.replace(
        delivery,
        state=DeliveryState.SENDING,
        tries=delivery.tries + 1,
        attempts=delivery.attempts + 1,
        due_at=now + LEASE,
        changed_at=now,
    )


def skip_providers(delivery: Delivery, left_out: Collection[str]) -> Delivery:
    """Return the message at the first provider from its own on that is not left out; where all are, it stays where it is."""
    for position in range(delivery.position, len(delivery.route)):
        if delivery.route[position] not in left_out:
            return (
                delivery
                if position == delivery.position
                else msgspec.structs.replace(delivery, position=position, tries=0)
            )
    return delivery


def fail(delivery: Delivery, reason: Reason, now: int) -> Delivery:
    """End a message that no provider is asked to carry: nothing is sent to its address."""
    return _failed(delivery, reason, now)


def drop(delivery: Delivery, reason: Reason, now: int) -> Delivery:
    """End a message that is no longer wanted: its challenge has ended or expired."""
    return msgspec.structs.replace(delivery, state=DeliveryState.DROPPED, reason=reason, due_at=None, changed_at=now)


def after_acceptance(delivery: Delivery, accepted: Accepted, now: int) -> Delivery:
    """Record that the provider took it; where a receipt is promised, look again when it is overdue."""
    due_at = None if accepted.receipt_within is None else now + accepted.receipt_within
    return msgspec.structs.replace(delivery, state=DeliveryState.ACCEPTED, reason=None, due_at=due_at, changed_at=now)


def renew_lease(delivery: Delivery, now: int) -> Delivery:
    """Renew the lease of a message that is still being sent."""
    return msgspec.structs.replace(delivery, due_at=now + LEASE)


def release(delivery: Delivery, now: int) -> Delivery:
    """Undo a claim whose try was not made (the worker is stopping): due at once, and not counted."""
    return msgspec.structs.replace(
        delivery,
        state=DeliveryState.QUEUED,
        tries=max(0, delivery.tries - 1),
        attempts=max(0, delivery.attempts - 1),
        due_at=now,
        changed_at=now,
    )


def after_failure(delivery: Delivery, failure: Failure, now: int, chance: float) -> Delivery:
    """Decide what follows a failed try: the same provider again later, the next of the route, or the end.

    `chance` in [0, 1) spreads the wait. A refusal that concerns the recipient ends the message at once; another permanent one
    moves to the next provider at once, and so does a failure for now while another provider is left. The last one is tried again after
    BACKOFF, or after the provider's own wish, as often as BACKOFF has waits; so is one behind which another would meet the same.
    """
    if failure.permanent and failure.reason in ABOUT_RECIPIENT:
        return _failed(delivery, failure.reason, now)
    if failure.permanent or delivery.tries >= max_tries(delivery, failure.reason):
        return next_provider(delivery, failure.reason, now)
    wait = BACKOFF[delivery.tries - 1] if delivery.tries else BACKOFF[0]
    wait = max(wait, failure.retry_after or 0)
    # A provider that asks for a long rest is not waited for while another could take the message.
    if (
        failure.retry_after is not None
        and failure.retry_after > BACKOFF[-1]
        and delivery.position + 1 < len(delivery.route)
    ):
        return next_provider(delivery, failure.reason, now)
    return msgspec.structs.replace(
        delivery,
        state=DeliveryState.QUEUED,
        reason=failure.reason,
        due_at=now + int(wait * (1 + JITTER * chance)),
        changed_at=now,
    )


def max_tries(delivery: Delivery, reason: Reason) -> int:
    """Return how often the provider in use is tried that fails for now."""
    another = delivery.position + 1 < len(delivery.route)
    return TRIES_BEFORE_ANOTHER if another and reason not in BEYOND_PROVIDER else len(BACKOFF) + 1


def next_provider(delivery: Delivery, reason: Reason, now: int) -> Delivery:
    """Move on to the next provider of the route, due at once; after the last, the message has failed."""
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
    )


class ReceiptState(StrEnum):
    """What a receipt says of a message that a provider had accepted."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


class Receipt(msgspec.Struct, frozen=True):
    """A provider's later word on a message, found by its own id for it.

    `complained` says that it arrived, and that its person called it unwanted.
    """

    provider: str
    provider_message_id: str
    state: ReceiptState
    reason: Reason | None = None
    complained: bool = False


def after_receipt(delivery: Delivery, receipt: Receipt, now: int) -> Delivery:
    """Move a message on by its receipt; one that is late, repeated or of another leg changes nothing but a better end."""
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
