"""Deliver what was claimed: hand it to the provider whose turn it is, and record what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from countersign.domain.delivery import circuit_breaker as breaker_rules
from countersign.domain.delivery import delivery as rules_of
from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.delivery import Accepted, Delivery, DeliveryState, Failure, Reason
from countersign.domain.delivery.latency import ProviderStats, answer_timeout, bucket, receipt_timeout
from countersign.domain.shared.event import Event, EventKind
from countersign.errors import CountersignError, DeliveryFailedError
from countersign.flows.delivery.compose import ClaimedDelivery, compose
from countersign.flows.delivery.context import DeliveryContext, provider_key_of
from countersign.flows.delivery.events import delivery_event
from countersign.flows.delivery.sms_pumping import uncount_failed
from countersign.flows.delivery.suppressions import FailedAddress, suppress
from countersign.store.engine.database import Append, Take, Update, Upsert, Write
from countersign.store.tables import deliveries, provider_health
from countersign.store.tables.deliveries import Attempt
from countersign.store.tables.schema import ATTEMPTS, DELIVERIES

MAX_SEND_SECONDS: Final = rules_of.MAX_TRY / 1_000
"""Seconds after which a provider that still has not answered is left."""

_REASONS: Final = frozenset(Reason)

_log = structlog.get_logger("countersign.deliver")


class SendResult(msgspec.Struct, frozen=True):
    """What came of one try."""

    delivery: Delivery
    application: str
    provider: str
    started_at: int
    ended_at: int
    answer: Accepted | Failure


async def send(context: DeliveryContext, claimed: ClaimedDelivery) -> SendResult:
    """Render a message and hand it to the provider whose turn it is; every way to fail comes back as a Failure."""
    delivery = claimed.delivery
    name = delivery.provider or ""
    started_at = context.now()
    answer: Accepted | Failure
    try:
        provider = context.providers.get(name)
        if provider is None:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, f"No provider is named {name!r} in the settings.", permanent=True
            )
        async with asyncio.timeout(_patience(context, delivery)):
            answer = await provider.send(compose(context, claimed))
    except DeliveryFailedError as error:
        retry_after = None if error.retry_after is None else error.retry_after * 1_000
        reason = Reason(error.reason) if error.reason in _REASONS else Reason.PROVIDER_ERROR
        answer = Failure(reason, error.permanent, retry_after, error.lasting)
        _log.warning(
            "send_failed",
            delivery=delivery.key,
            provider=name,
            reason=error.reason,
            permanent=error.permanent,
            detail=str(error),
        )
    except TimeoutError:
        answer = Failure(Reason.TIMED_OUT, permanent=False)
        _log.warning("send_failed", delivery=delivery.key, provider=name, reason="timed_out", permanent=False)
    except CountersignError as error:
        answer = Failure(Reason.MISCONFIGURED, permanent=False)
        _log.error("compose_failed", delivery=delivery.key, provider=name, detail=str(error))
    except Exception as error:  # noqa: BLE001 - a provider that breaks in its own way must not stop the others' messages
        answer = Failure(Reason.PROVIDER_ERROR, permanent=False)
        # The type alone: the exception of a library may quote what it was sending.
        _log.error("provider_error", delivery=delivery.key, provider=name, error=type(error).__name__)
    return SendResult(delivery, claimed.owner.application, name, started_at, context.now(), answer)


def _patience(context: DeliveryContext, delivery: Delivery) -> float:
    """Return the seconds that a provider has to answer: while another could take the message, little more than it usually needs."""
    if delivery.position + 1 >= len(delivery.route):
        return MAX_SEND_SECONDS
    return min(MAX_SEND_SECONDS, answer_timeout(context.stats.of(provider_key_of(delivery))) / 1_000)


async def record_results(context: DeliveryContext, results: Sequence[SendResult]) -> None:
    """Write down what came of tries; each message that still is ours moves on by the rule. Doing so twice is doing so once."""
    chances = [context.jitter() for _ in results]
    patient = [_with_learned_patience(context, result) for result in results]
    for breaker in await context.records.run(context.database, _record, context, patient, chances):
        if breaker.tripped:
            _log.warning("provider_tripped", provider=breaker.provider, reason=breaker.reason, trips=breaker.trips)
        else:
            _log.info("provider_restored", provider=breaker.provider)
    for result in results:
        if isinstance(result.answer, Failure) and result.answer.lasting:
            returned = FailedAddress(
                result.delivery.owner, result.delivery.number, result.answer.reason, result.provider
            )
            await suppress(context.database, context.records, context.keyring, returned, result.ended_at)
    for result in results:
        took = result.ended_at - result.started_at
        if isinstance(result.answer, Accepted):
            context.stats.note(provider_key_of(result.delivery), ProviderStats(taken=1, answers={bucket(took): 1}))
        elif result.answer.reason is Reason.TIMED_OUT:
            # How long it would have taken is not known, but that it was longer than this.
            context.stats.note(provider_key_of(result.delivery), ProviderStats(answers={bucket(2 * took): 1}))


def _with_learned_patience(context: DeliveryContext, result: SendResult) -> SendResult:
    """Return the result with its receipt overdue when those of this provider and country usually have come."""
    answer, delivery = result.answer, result.delivery
    if not isinstance(answer, Accepted) or answer.receipt_within is None:
        return result
    last = delivery.position + 1 >= len(delivery.route)
    within = receipt_timeout(context.stats.of(provider_key_of(delivery)), answer.receipt_within, last=last)
    return msgspec.structs.replace(result, answer=msgspec.structs.replace(answer, receipt_within=within))


async def _record(
    context: DeliveryContext, results: Sequence[SendResult], chances: Sequence[float]
) -> list[CircuitBreaker]:
    rows = await Take(DELIVERIES, sorted((result.delivery.owner, result.delivery.number) for result in results))
    stored = {(row[0], row[1]): deliveries.of_row(row) for row in rows}
    attempts: list[Attempt] = []
    changed: list[Delivery] = []
    events: list[Event] = []
    for result, chance in zip(results, chances, strict=True):
        delivery, answer = result.delivery, result.answer
        current = stored.get((delivery.owner, delivery.number))
        if current is None:
            continue
        attempts.append(_attempt(result))
        if current.state is not DeliveryState.SENDING or current.attempts != delivery.attempts:
            continue  # the lease ran out and another worker has it, or a receipt was quicker than we were
        moved = (
            rules_of.after_acceptance(current, answer, result.ended_at)
            if isinstance(answer, Accepted)
            else rules_of.after_failure(current, answer, result.ended_at, chance)
        )
        changed.append(moved)
        events.append(delivery_event(moved, result.application, result.ended_at, provider=result.provider))
    await uncount_failed(context, [one for one in changed if one.state is DeliveryState.FAILED], context.now())
    breakers, turned = await _judge_providers(results)
    for breaker in turned:
        kind = EventKind.PROVIDER_TRIPPED if breaker.tripped else EventKind.PROVIDER_BACK
        facts: dict[str, str | int] = {"reason": breaker.reason} if breaker.tripped else {}
        events.append(Event(breaker.changed_at, kind, "", breaker.provider, facts))
    await Append(events)
    await Write(
        (
            *((Update(DELIVERIES, [deliveries.changed_row(one) for one in changed]),) if changed else ()),
            *((Upsert(ATTEMPTS, [deliveries.attempt_row(one) for one in attempts]),) if attempts else ()),
            *provider_health.saved(breakers),
        ),
        last=True,
    )
    return turned


async def _judge_providers(results: Sequence[SendResult]) -> tuple[list[CircuitBreaker], list[CircuitBreaker]]:
    """Return the breakers that changed, and those of them by which a provider is left out from now on, or back."""
    known = await provider_health.breakers()
    concerned = sorted(
        {
            result.provider
            for result in results
            if result.provider in known
            or (isinstance(result.answer, Failure) and result.answer.reason in breaker_rules.PROVIDER_FAULTS)
        }
    )
    before = await provider_health.take_breakers(concerned)
    after = dict(before)
    for result in sorted(results, key=lambda one: one.ended_at):
        breaker = after.get(result.provider)
        if breaker is None:
            continue
        after[result.provider] = (
            breaker_rules.after_success(breaker, result.ended_at)
            if isinstance(result.answer, Accepted)
            else breaker_rules.after_failure(breaker, result.answer.reason, result.ended_at)
        )
    changed = [after[name] for name in concerned if after[name] != before[name]]
    return changed, [one for one in changed if one.tripped != before[one.provider].tripped]


async def renew_leases(context: DeliveryContext, claimed: Sequence[ClaimedDelivery]) -> None:
    """Hold on to messages that are still being sent, so that no other worker takes them for a dead one's."""
    if claimed:
        await context.records.run(
            context.database, _move_ours, [claimed.delivery for claimed in claimed], context.now(), rules_of.renew_lease
        )


async def release_claims(context: DeliveryContext, claimed: Sequence[ClaimedDelivery]) -> None:
    """Undo claims whose try was not made, because this worker stops: another may take them at once."""
    if claimed:
        await context.records.run(
            context.database, _move_ours, [claimed.delivery for claimed in claimed], context.now(), rules_of.release
        )


async def _move_ours(claimed: Sequence[Delivery], now: int, move: Callable[[Delivery, int], Delivery]) -> None:
    """Move those claims that are still ours."""
    rows = await Take(DELIVERIES, sorted((delivery.owner, delivery.number) for delivery in claimed))
    ours = {(delivery.owner, delivery.number): delivery.attempts for delivery in claimed}
    back = [
        move(current, now)
        for current in (deliveries.of_row(row) for row in rows)
        if current.state is DeliveryState.SENDING and current.attempts == ours[current.owner, current.number]
    ]
    if back:
        await Write((Update(DELIVERIES, [deliveries.changed_row(delivery) for delivery in back]),))


def _attempt(result: SendResult) -> Attempt:
    delivery, answer = result.delivery, result.answer
    taken = isinstance(answer, Accepted)
    return Attempt(
        delivery.owner,
        delivery.number,
        delivery.attempts,
        result.provider,
        result.started_at,
        result.ended_at,
        "accepted" if taken else "failed",
        "" if isinstance(answer, Accepted) else answer.reason.value,
        # A provider's own text: a NUL in it would be refused by the database, and with it all that is written down beside it.
        "".join(filter(str.isprintable, answer.provider_message_id)) if isinstance(answer, Accepted) else "",
    )
