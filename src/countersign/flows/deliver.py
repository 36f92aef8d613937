"""Deliver what is owed: claim what is due, drop what is no longer wanted, hand the rest to providers, and record what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
import structlog

from countersign.domain import delivery as rules_of
from countersign.domain.application import Application
from countersign.domain.challenge import Challenge, State, accepted_rounds
from countersign.domain.delivery import Accepted, Delivery, DeliveryState, Failure, Reason, Receipt
from countersign.domain.event import Event, EventKind
from countersign.domain.notice import PREFIX, Notice
from countersign.domain.rules import Rules
from countersign.errors import CountersignError, DeliveryFailedError
from countersign.flows.compose import Parcel, compose
from countersign.keys import Keyring
from countersign.messages.own_words import OURS, OwnWords
from countersign.places import Places
from countersign.providers import Provider
from countersign.store import applications, challenges, deliveries, notices
from countersign.store.database import Claim, Database, Row, Rows, Seek, Steps, Take, Update, Upsert, Write
from countersign.store.deliveries import Attempt
from countersign.store.events import Chain, Head, Log
from countersign.store.tables import ATTEMPTS, CHALLENGES, DELIVERIES, NOTICES

GIVE_UP_AFTER: Final = rules_of.LONGEST_TRY / 1_000
"""Seconds after which a provider that still has not answered is left."""

T = TypeVar("T")

_REASONS: Final = frozenset(Reason)

_log = structlog.get_logger("countersign.deliver")


class Post(msgspec.Struct, frozen=True):
    """What delivering stands on.

    `chance` returns a float in [0, 1). Claims, records and receipts each append to a chain of their own, so that none waits for the others.
    """

    database: Database
    keyring: Keyring
    rules: Rules
    providers: Mapping[str, Provider]
    clock: Callable[[], int]
    chance: Callable[[], float]
    claims: Log
    records: Log
    receipts: Log
    own: Application
    places: Places
    words: OwnWords = OURS


class Result(msgspec.Struct, frozen=True):
    """What came of one try."""

    delivery: Delivery
    application: str
    provider: str
    started_at: int
    ended_at: int
    word: Accepted | Failure


async def claim_due(post: Post, most: int) -> list[Parcel]:
    """Take up to `most` messages that are due; what nobody wants any more is dropped on the way."""
    return await post.claims.run(post.database, _claim, post.clock(), most)


def _claim(chain: Chain, now: int, most: int) -> Steps[tuple[list[Parcel], Head]]:
    rows = yield Claim(DELIVERIES, "due_at IS NOT NULL AND due_at <= $1", (now,), "due_at", most)
    if not rows:
        return [], chain.head
    found = yield Seek(CHALLENGES, "id", sorted({row[0] for row in rows if not row[0].startswith(PREFIX)}))
    told = yield Seek(NOTICES, "id", sorted({row[0] for row in rows if row[0].startswith(PREFIX)}))
    read, strange = _read(found, challenges.of_row)
    read_notices, strange_notices = _read(told, notices.of_row)
    strange += strange_notices
    owners: dict[str, Challenge | Notice] = {owner.id: owner for owner in read}
    owners.update({owner.id: owner for owner in read_notices})
    # A newer program may have written what this one cannot read: that must not stop the messages of everybody else.
    strangers = {row[0] for row in strange}
    due, unreadable = _read([row for row in rows if row[0] not in strangers], deliveries.of_row)
    unreadable += [row for row in rows if row[0] in strangers]
    put_off = [deliveries.put_off(row, now + rules_of.LEASE) for row in unreadable]
    for owner_id, number, *_ in put_off:
        _log.error("unreadable", delivery=f"{owner_id}.{number}")
    sites = yield from applications.of_ids([owner.application for owner in owners.values()])
    parcels: list[Parcel] = []
    changed: list[Delivery] = []
    events: list[Event] = []
    for delivery in due:
        owner = owners.get(delivery.owner)
        unwanted = why_unwanted(delivery, owner, now)
        taken = rules_of.claim(delivery, now) if unwanted is None else rules_of.drop(delivery, unwanted, now)
        changed.append(taken)
        if taken.ended:
            events.append(_event(taken, owner.application if owner else "", now))
        elif owner is not None:
            parcels.append(Parcel(taken, owner, sites.get(owner.application)))
    linked, head = chain.link(events)
    yield Write((Update(DELIVERIES, [*(deliveries.changed_row(delivery) for delivery in changed), *put_off]), *linked))
    return parcels, head


def _read(rows: Rows, of_row: Callable[[Row], T]) -> tuple[list[T], list[Row]]:
    """Return what rows hold, and the rows that this program cannot read."""
    read: list[T] = []
    strange: list[Row] = []
    for row in rows:
        try:
            read.append(of_row(row))
        except (ValueError, msgspec.MsgspecError):
            strange.append(row)
    return read, strange


def why_unwanted(delivery: Delivery, owner: Challenge | Notice | None, now: int) -> Reason | None:
    """Return why a message must not be sent any more: what it is for has ended, expired, or goes by a newer code; else None."""
    if owner is None:
        return Reason.ENDED
    if isinstance(owner, Notice):
        return Reason.EXPIRED if now >= owner.expires_at else None
    state = owner.state_at(now)
    if state is State.EXPIRED:
        return Reason.EXPIRED
    outdated = delivery.round not in accepted_rounds(owner)
    return Reason.ENDED if state is not State.PENDING or outdated else None


async def hand_over(post: Post, parcel: Parcel) -> Result:
    """Render a message and hand it to the provider whose turn it is; every way to fail comes back as a Failure."""
    delivery = parcel.delivery
    name = delivery.provider or ""
    started_at = post.clock()
    word: Accepted | Failure
    try:
        provider = post.providers.get(name)
        if provider is None:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, f"No provider is named {name!r} in the settings.", permanent=True
            )
        async with asyncio.timeout(GIVE_UP_AFTER):
            word = await provider.send(
                compose(post.keyring, post.rules.issuer, post.own, post.places, parcel, post.words)
            )
    except DeliveryFailedError as error:
        retry_after = None if error.retry_after is None else error.retry_after * 1_000
        reason = Reason(error.reason) if error.reason in _REASONS else Reason.PROVIDER_ERROR
        word = Failure(reason, error.permanent, retry_after)
        _log.warning(
            "not_taken",
            delivery=delivery.key,
            provider=name,
            reason=error.reason,
            permanent=error.permanent,
            detail=str(error),
        )
    except TimeoutError:
        word = Failure(Reason.TIMED_OUT, permanent=False)
        _log.warning("not_taken", delivery=delivery.key, provider=name, reason="timed_out", permanent=False)
    except CountersignError as error:
        word = Failure(Reason.MISCONFIGURED, permanent=False)
        _log.error("not_composed", delivery=delivery.key, provider=name, detail=str(error))
    except Exception as error:  # noqa: BLE001 - a provider that breaks in its own way must not stop the others' messages
        word = Failure(Reason.PROVIDER_ERROR, permanent=False)
        # The type alone: the exception of a library may quote what it was sending.
        _log.error("provider_broke", delivery=delivery.key, provider=name, error=type(error).__name__)
    return Result(delivery, parcel.owner.application, name, started_at, post.clock(), word)


async def record(post: Post, results: Sequence[Result]) -> None:
    """Write down what came of tries; each message that still is ours moves on by the rule. Doing so twice is doing so once."""
    chances = [post.chance() for _ in results]
    await post.records.run(post.database, _record, results, chances)


def _record(chain: Chain, results: Sequence[Result], chances: Sequence[float]) -> Steps[tuple[None, Head]]:
    rows = yield Take(DELIVERIES, sorted((result.delivery.owner, result.delivery.number) for result in results))
    stored = {(row[0], row[1]): deliveries.of_row(row) for row in rows}
    attempts: list[Attempt] = []
    changed: list[Delivery] = []
    events: list[Event] = []
    for result, chance in zip(results, chances, strict=True):
        delivery, word = result.delivery, result.word
        current = stored.get((delivery.owner, delivery.number))
        if current is None:
            continue
        attempts.append(_attempt(result))
        if current.state is not DeliveryState.SENDING or current.attempts != delivery.attempts:
            continue  # the lease ran out and another worker has it, or a receipt was quicker than we were
        moved = (
            rules_of.accepted(current, word, result.ended_at)
            if isinstance(word, Accepted)
            else rules_of.next_try(current, word, result.ended_at, chance)
        )
        changed.append(moved)
        events.append(_event(moved, result.application, result.ended_at, provider=result.provider))
    linked, head = chain.link(events)
    yield Write(
        (
            *((Update(DELIVERIES, [deliveries.changed_row(one) for one in changed]),) if changed else ()),
            *((Upsert(ATTEMPTS, [deliveries.attempt_row(one) for one in attempts]),) if attempts else ()),
            *linked,
        )
    )
    return None, head


async def renew(post: Post, parcels: Sequence[Parcel]) -> None:
    """Hold on to messages that are still being sent, so that no other worker takes them for a dead one's."""
    if parcels:
        await post.records.run(
            post.database, _move_ours, [parcel.delivery for parcel in parcels], post.clock(), rules_of.hold
        )


async def give_back(post: Post, parcels: Sequence[Parcel]) -> None:
    """Undo claims whose try was not made, because this worker stops: another may take them at once."""
    if parcels:
        await post.records.run(
            post.database, _move_ours, [parcel.delivery for parcel in parcels], post.clock(), rules_of.give_back
        )


def _move_ours(
    chain: Chain, claimed: Sequence[Delivery], now: int, move: Callable[[Delivery, int], Delivery]
) -> Steps[tuple[None, Head]]:
    """Move those claims that are still ours."""
    rows = yield Take(DELIVERIES, sorted((delivery.owner, delivery.number) for delivery in claimed))
    ours = {(delivery.owner, delivery.number): delivery.attempts for delivery in claimed}
    back = [
        move(current, now)
        for current in (deliveries.of_row(row) for row in rows)
        if current.state is DeliveryState.SENDING and current.attempts == ours[current.owner, current.number]
    ]
    if back:
        yield Write((Update(DELIVERIES, [deliveries.changed_row(delivery) for delivery in back]),))
    return None, chain.head


async def take_receipt(post: Post, receipt: Receipt) -> bool:
    """Move a message on by a provider's later word; False if no message is known by that id (yet: a receipt can outrun our record)."""
    return await post.receipts.run(post.database, _receive, receipt, post.clock())


def _receive(chain: Chain, receipt: Receipt, now: int) -> Steps[tuple[bool, Head]]:
    key = yield from deliveries.by_provider_message(receipt.provider, receipt.provider_message_id)
    if key is None:
        return False, chain.head
    rows = yield Take(DELIVERIES, [key])
    current = deliveries.of_row(rows[0])
    moved = rules_of.received(current, receipt, now)
    if moved is current:
        return True, chain.head
    owner = yield from challenges.find(current.owner)
    linked, head = chain.link([_event(moved, owner.application if owner else "", now, provider=receipt.provider)])
    yield Write((Update(DELIVERIES, [deliveries.changed_row(moved)]), *linked))
    return True, head


_KINDS: Final = {
    DeliveryState.ACCEPTED: EventKind.DELIVERY_ACCEPTED,
    DeliveryState.QUEUED: EventKind.DELIVERY_RETRIED,
    DeliveryState.FAILED: EventKind.DELIVERY_FAILED,
    DeliveryState.DROPPED: EventKind.DELIVERY_DROPPED,
    DeliveryState.DELIVERED: EventKind.DELIVERY_DELIVERED,
    DeliveryState.UNDELIVERED: EventKind.DELIVERY_UNDELIVERED,
}


def _event(delivery: Delivery, application: str, at: int, *, provider: str = "") -> Event:
    facts: dict[str, str | int] = {"number": delivery.number, "channel": delivery.channel.value}
    if provider:
        facts["provider"] = provider
    if delivery.reason is not None:
        facts["reason"] = delivery.reason.value
    return Event(at, _KINDS[delivery.state], application, delivery.owner, facts)


def _attempt(result: Result) -> Attempt:
    delivery, word = result.delivery, result.word
    taken = isinstance(word, Accepted)
    return Attempt(
        delivery.owner,
        delivery.number,
        delivery.attempts,
        result.provider,
        result.started_at,
        result.ended_at,
        "accepted" if taken else "failed",
        "" if isinstance(word, Accepted) else word.reason.value,
        # A provider's own text: a NUL in it would be refused by the database, and with it all that is written down beside it.
        "".join(filter(str.isprintable, word.provider_message_id)) if isinstance(word, Accepted) else "",
    )
