"""Send claimed messages: hand each to its current provider, and record the result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from countersign.domain.delivery import circuit_breaker as breaker_rules
from countersign.domain.delivery import delivery as delivery_rules
from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.delivery import Accepted, Delivery, DeliveryState, Failure, Reason
from countersign.domain.delivery.latency import ProviderStats, answer_timeout, bucket, receipt_timeout
from countersign.domain.shared.event import Event, EventKind
from countersign.errors import CountersignError, DeliveryFailedError, UnavailableError
from countersign.flows.delivery.compose import ClaimedDelivery, compose
from countersign.flows.delivery.context import DeliveryContext, provider_key_of
from countersign.flows.delivery.events import delivery_event
from countersign.flows.delivery.sms_pumping import uncount_failed
from countersign.flows.delivery.suppressions import FailedAddress, suppress
from countersign.providers import Provider
from countersign.store.engine.database import Append, Take, Write
from countersign.store.tables import deliveries, provider_health
from countersign.store.tables.deliveries import Attempt
from countersign.store.tables.schema import DELIVERIES

MAX_SEND_SECONDS: Final = delivery_rules.MAX_TRY / 1_000
"""Seconds after which a try is given up if the provider has not responded."""

_REASONS: Final = frozenset(Reason)

_log = structlog.get_logger("countersign.delivery")


class SendResult(msgspec.Struct, frozen=True):
    """The result of one try: the message as it was claimed, its provider, the time of the try (ms), and the provider's answer.

    `until` is when (ms) the message ends to be of use.
    """

    delivery: Delivery
    application: str
    provider: str
    started_at: int
    ended_at: int
    answer: Accepted | Failure
    until: int | None = None


async def send(context: DeliveryContext, claimed: ClaimedDelivery) -> SendResult:
    """Compose a message and hand it to its current provider. Every error becomes a Failure; nothing is raised."""
    started_at = context.now()
    answer = await _try(context, claimed)
    name = claimed.delivery.provider or ""
    owner = claimed.owner
    return SendResult(
        claimed.delivery, owner.application, name, started_at, context.now(), answer, until=owner.expires_at
    )


async def _try(context: DeliveryContext, claimed: ClaimedDelivery) -> Accepted | Failure:
    delivery = claimed.delivery
    events = _log.bind(delivery=delivery.key, provider=delivery.provider or "")
    try:
        provider = _provider_of(context, delivery)
        async with asyncio.timeout(_timeout(context, delivery)):
            return await provider.send(compose(context, claimed))
    except DeliveryFailedError as error:
        events.warning("send_failed", reason=error.reason, permanent=error.permanent, detail=str(error))
        reason = Reason(error.reason) if error.reason in _REASONS else Reason.PROVIDER_ERROR
        retry_after = None if error.retry_after is None else error.retry_after * 1_000
        return Failure(reason, error.permanent, retry_after, error.lasting)
    except TimeoutError:
        events.warning("send_failed", reason="timed_out", permanent=False)
        return Failure(Reason.TIMED_OUT, permanent=False)
    except CountersignError as error:
        events.error("compose_failed", detail=str(error))
        return Failure(Reason.MISCONFIGURED, permanent=False)
    except Exception as error:  # noqa: BLE001 - an unforeseen fault of one provider must not stop the messages of the others
        # The type alone: the exception of a library may quote the message.
        events.error("provider_error", error=type(error).__name__)
        return Failure(Reason.PROVIDER_ERROR, permanent=False)


def _provider_of(context: DeliveryContext, delivery: Delivery) -> Provider:
    name = delivery.provider or ""
    provider = context.providers.get(name)
    if provider is None:
        raise DeliveryFailedError(
            Reason.MISCONFIGURED, f"No provider is named {name!r} in the settings.", permanent=True
        )
    return provider


def _timeout(context: DeliveryContext, delivery: Delivery) -> float:
    """Return the seconds that the provider has to respond: a small multiple of its usual time while another could send instead."""
    if delivery.position + 1 >= len(delivery.route):
        return MAX_SEND_SECONDS
    return min(MAX_SEND_SECONDS, answer_timeout(context.stats.get(provider_key_of(delivery))) / 1_000)


async def record_results(context: DeliveryContext, results: Sequence[SendResult]) -> None:
    """Record the results of tries. Each message moves on unless another worker has claimed it since.

    Recording a result twice does no harm. Raises UnavailableError if the database is down.
    """
    jitters = [context.jitter() for _ in results]
    timed = [_with_learned_timeout(context, result) for result in results]
    switched, failed = await context.records.run(context.database, _record, timed, jitters)
    _log_breakers(switched)
    await _uncount(context, failed)
    for result in results:
        if isinstance(result.answer, Failure) and result.answer.lasting:
            await _suppress(context, result, result.answer)
    for result in results:
        _add_stats(context, result)


def _with_learned_timeout(context: DeliveryContext, result: SendResult) -> SendResult:
    """Return the result with the receipt timeout that was learned for its provider and country."""
    answer, delivery = result.answer, result.delivery
    if not isinstance(answer, Accepted) or answer.receipt_within is None:
        return result
    is_last = delivery.position + 1 >= len(delivery.route)
    timeout = receipt_timeout(context.stats.get(provider_key_of(delivery)), answer.receipt_within, last=is_last)
    return msgspec.structs.replace(result, answer=msgspec.structs.replace(answer, receipt_within=timeout))


def _log_breakers(changed: Sequence[CircuitBreaker]) -> None:
    for breaker in changed:
        if breaker.tripped:
            _log.warning("provider_tripped", provider=breaker.provider, reason=breaker.reason, trips=breaker.trips)
        else:
            _log.info("provider_restored", provider=breaker.provider)


async def _suppress(context: DeliveryContext, result: SendResult, failure: Failure) -> None:
    failed = FailedAddress(result.delivery.owner, result.delivery.number, failure.reason, result.provider)
    await suppress(context.database, context.records, context.keyring, failed, result.ended_at)


def _add_stats(context: DeliveryContext, result: SendResult) -> None:
    key, took = provider_key_of(result.delivery), result.ended_at - result.started_at
    if isinstance(result.answer, Accepted):
        context.stats.add(key, ProviderStats(taken=1, answers={bucket(took): 1}))
    elif result.answer.reason is Reason.TIMED_OUT:
        # Its response time is unknown, but was longer than this.
        context.stats.add(key, ProviderStats(answers={bucket(2 * took): 1}))


class _Changes(msgspec.Struct):
    """What a batch of results changes: every attempt, the messages that move on, and their events."""

    attempts: list[Attempt] = []
    deliveries: list[Delivery] = []
    events: list[Event] = []


async def _uncount(context: DeliveryContext, failed: Sequence[Delivery]) -> None:
    """Subtract what nobody sent from the counts of the pumping rules.

    In a transaction of its own: it may wait for others that count, and the results of mail must not. What is not subtracted for an outage
    stays counted, which errs on the safe side.
    """
    try:
        if failed:
            await context.database.run(uncount_failed, context, failed, context.now())
    except UnavailableError as error:
        _log.warning("record_failed", detail=str(error), results=len(failed))


async def _record(
    results: Sequence[SendResult], jitters: Sequence[float]
) -> tuple[list[CircuitBreaker], list[Delivery]]:
    """Write the results. Returns the circuit breakers that tripped or closed, and the messages that have failed."""
    rows = await Take(DELIVERIES, sorted((result.delivery.owner, result.delivery.number) for result in results))
    current = {(row[0], row[1]): deliveries.from_row(row) for row in rows}
    changes = _apply(results, jitters, current)
    failed = [one for one in changes.deliveries if one.state is DeliveryState.FAILED and one.region.prefix]
    breakers, switched = await _update_breakers(results)
    await Append([*changes.events, *map(_breaker_event, switched)])
    await Write(
        (
            *deliveries.update(changes.deliveries),
            *deliveries.upsert_attempts(changes.attempts),
            *provider_health.upsert_breakers(breakers),
        ),
        last=True,
    )
    return switched, failed


def _apply(
    results: Sequence[SendResult], jitters: Sequence[float], current: Mapping[tuple[str, int], Delivery]
) -> _Changes:
    """Return what `results` change in the messages as they are now (`current`, by owner and number)."""
    changes = _Changes()
    for result, jitter in zip(results, jitters, strict=True):
        delivery = current.get((result.delivery.owner, result.delivery.number))
        if delivery is None:
            continue
        changes.attempts.append(_attempt(result))
        if not _is_still_ours(delivery, result.delivery):
            continue
        after = (
            delivery_rules.after_acceptance(delivery, result.answer, result.ended_at)
            if isinstance(result.answer, Accepted)
            else delivery_rules.after_failure(delivery, result.answer, result.ended_at, jitter, result.until)
        )
        changes.deliveries.append(after)
        changes.events.append(delivery_event(after, result.application, result.ended_at, provider=result.provider))
    return changes


def _is_still_ours(current: Delivery, claimed: Delivery) -> bool:
    """Return False if the lease ended and another worker has the message, or a receipt arrived before our own record."""
    return current.state is DeliveryState.SENDING and current.attempts == claimed.attempts


async def _update_breakers(results: Sequence[SendResult]) -> tuple[list[CircuitBreaker], list[CircuitBreaker]]:
    """Lock the circuit breakers of `results`. Returns those that changed, and those of them that tripped or closed."""
    known = await provider_health.find_breakers()
    names = sorted(
        {
            result.provider
            for result in results
            if result.provider in known
            or (isinstance(result.answer, Failure) and result.answer.reason in breaker_rules.PROVIDER_FAULTS)
        }
    )
    before = await provider_health.lock_breakers(names)
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
    changed = [after[name] for name in names if after[name] != before[name]]
    return changed, [one for one in changed if one.tripped != before[one.provider].tripped]


def _breaker_event(breaker: CircuitBreaker) -> Event:
    kind = EventKind.PROVIDER_TRIPPED if breaker.tripped else EventKind.PROVIDER_BACK
    facts: dict[str, str | int] = {"reason": breaker.reason} if breaker.tripped else {}
    return Event(breaker.changed_at, kind, "", breaker.provider, facts)


async def renew_leases(context: DeliveryContext, claimed: Sequence[ClaimedDelivery]) -> None:
    """Extend the leases of messages that are still being sent, so that no other worker claims them."""
    await _update_claims(context, claimed, delivery_rules.renew_lease)


async def release_claims(context: DeliveryContext, claimed: Sequence[ClaimedDelivery]) -> None:
    """Undo claims whose try was not made because this worker stops. Another worker can claim them at once."""
    await _update_claims(context, claimed, delivery_rules.release)


async def _update_claims(
    context: DeliveryContext, claimed: Sequence[ClaimedDelivery], change: Callable[[Delivery, int], Delivery]
) -> None:
    if claimed:
        ours = [one.delivery for one in claimed]
        await context.records.run(context.database, _update_ours, ours, context.now(), change)


async def _update_ours(claimed: Sequence[Delivery], now: int, change: Callable[[Delivery, int], Delivery]) -> None:
    """Change those messages that no other worker has claimed since."""
    ours = {(delivery.owner, delivery.number): delivery for delivery in claimed}
    rows = await Take(DELIVERIES, sorted(ours))
    changed = [
        change(current, now)
        for current in map(deliveries.from_row, rows)
        if _is_still_ours(current, ours[current.owner, current.number])
    ]
    if changed:
        await Write(deliveries.update(changed))


def _attempt(result: SendResult) -> Attempt:
    delivery, answer = result.delivery, result.answer
    is_accepted = isinstance(answer, Accepted)
    return Attempt(
        delivery.owner,
        delivery.number,
        delivery.attempts,
        result.provider,
        result.started_at,
        result.ended_at,
        "accepted" if is_accepted else "failed",
        "" if isinstance(answer, Accepted) else answer.reason.value,
        # The id is a provider's own text. The database refuses a NUL in it, and with it the whole batch.
        "".join(filter(str.isprintable, answer.provider_message_id)) if isinstance(answer, Accepted) else "",
    )
