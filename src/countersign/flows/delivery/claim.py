"""Claim due messages for this worker: load them, drop or block the unwanted ones, and choose a provider for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
import structlog

from countersign.domain.accounts.notice_budget import NoticeLane, lane_of
from countersign.domain.delivery import circuit_breaker as breaker_rules
from countersign.domain.delivery import delivery as delivery_rules
from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.delivery import Delivery, DeliveryState, Reason
from countersign.domain.delivery.latency import ProviderStats
from countersign.domain.delivery.notice import NOTICE_PREFIX, Notice
from countersign.domain.delivery.sms_pumping import PumpingFinding
from countersign.domain.shared.application import Application
from countersign.domain.shared.event import Event
from countersign.domain.verifications.challenge import Challenge, ChallengeState, accepted_rounds
from countersign.flows.delivery.compose import ClaimedDelivery
from countersign.flows.delivery.context import DeliveryContext, provider_key_of
from countersign.flows.delivery.events import delivery_event
from countersign.flows.delivery.sms_pumping import PumpingResult, check_pumping, is_counted
from countersign.flows.delivery.suppressions import find_suppressed
from countersign.store.engine.database import Append, Claim, Row, Rows, Seek, Write
from countersign.store.tables import applications, challenges, deliveries, notices, provider_health, sms_traffic
from countersign.store.tables.schema import CHALLENGES, DELIVERIES, NOTICES

T = TypeVar("T")

_log = structlog.get_logger("countersign.delivery")


class _DueMessages(msgspec.Struct, frozen=True):
    """Due messages with the challenges or notices that own them, and the rows that this program cannot read."""

    deliveries: list[Delivery]
    owners: dict[str, Challenge | Notice]
    unreadable: list[Row]


class _ClaimResult(msgspec.Struct, frozen=True):
    """The messages to send, those whose receipt was overdue with their application, and what was withheld because of pumping.

    `withheld_countries` has the country of each message, `withheld_notices` the reason for each destination that notices are kept from.
    """

    claimed: list[ClaimedDelivery]
    overdue: list[tuple[Delivery, str]]
    withheld_countries: list[str]
    withheld_notices: dict[str, PumpingFinding] = {}


class _Decisions(msgspec.Struct):
    """What becomes of each due message: all of them as they are from now on, those to send, and the events to append."""

    changed: list[Delivery] = []
    claimed: list[ClaimedDelivery] = []
    overdue: list[tuple[Delivery, str]] = []
    events: list[Event] = []


async def claim_due(context: DeliveryContext, limit: int) -> list[ClaimedDelivery]:
    """Claim up to `limit` due messages. Messages that must not be sent any more are ended on the way.

    Raises UnavailableError if the database is down.
    """
    result = await context.claims.run(context.database, _claim, context, context.now(), limit)
    for country in result.withheld_countries:
        context.on_withheld(country)
    for destination, finding in result.withheld_notices.items():
        if context.stats.is_news(f"notices {destination}", context.now()):
            _log.warning("notices_withheld", destination=destination, rule=finding.rule, why=finding.sentence)
    for delivery, application in result.overdue:
        key = provider_key_of(delivery)
        context.stats.add(key, ProviderStats(overdue=1))
        if context.stats.is_news(f"missing {key} {application}", context.now()):
            _log.warning(
                "receipts_missing",
                provider=key.provider,
                channel=key.channel.value,
                country=key.country,
                application=application,
            )
    return result.claimed


async def _claim(context: DeliveryContext, now: int, limit: int) -> _ClaimResult:
    rows = await Claim(DELIVERIES, "due_at IS NOT NULL AND due_at <= $1", (now,), "due_at", limit)
    if not rows:
        return _ClaimResult([], [], [])
    due = await _load_owners(rows)
    sites = await applications.find_by_ids([owner.application for owner in due.owners.values()])
    pumping = await check_pumping(context, _first_sends_by_phone(due, now), now)
    blocked = await _find_blocked(context, due, pumping, now)
    breakers = _Breakers(await _load_breakers(now), now)
    decisions = _decide(due, sites, blocked, _find_postponed(due, blocked, pumping), breakers, now)
    await Append([*pumping.events, *decisions.events])
    await Write(
        (
            *deliveries.update(decisions.changed),
            *deliveries.update_due_at(due.unreadable, now + delivery_rules.LEASE),
            *provider_health.upsert_breakers(breakers.probed),
            *sms_traffic.upsert_blocks(pumping.blocks),
        ),
        last=True,
    )
    return _ClaimResult(decisions.claimed, decisions.overdue, pumping.withheld_countries, pumping.withheld_notices)


async def _load_owners(rows: Rows) -> _DueMessages:
    """Load the challenges and notices of claimed rows.

    A newer program may have written what this one cannot read. Such a row must not stop the messages of everybody else.
    """
    ids = {row[0] for row in rows}
    notice_ids = {id_ for id_ in ids if id_.startswith(NOTICE_PREFIX)}
    found_challenges, unreadable = _read(await Seek(CHALLENGES, "id", sorted(ids - notice_ids)), challenges.from_row)
    found_notices, unreadable_notices = _read(await Seek(NOTICES, "id", sorted(notice_ids)), notices.from_row)
    owners: dict[str, Challenge | Notice] = {owner.id: owner for owner in found_challenges}
    owners.update({owner.id: owner for owner in found_notices})
    unreadable_ids = {row[0] for row in (*unreadable, *unreadable_notices)}
    due, unreadable = _read([row for row in rows if row[0] not in unreadable_ids], deliveries.from_row)
    unreadable += [row for row in rows if row[0] in unreadable_ids]
    for owner_id, number, *_ in unreadable:
        _log.error("unreadable_record", delivery=f"{owner_id}.{number}")
    return _DueMessages(due, owners, unreadable)


def _first_sends_by_phone(due: _DueMessages, now: int) -> list[tuple[Delivery, Challenge | Notice]]:
    """Return the messages that the pumping rules apply to: those by phone that are claimed for the first time."""
    return [
        (delivery, owner)
        for delivery in due.deliveries
        if delivery.attempts == 0
        and (owner := due.owners.get(delivery.owner)) is not None
        and is_counted(delivery, owner)
        and reason_to_drop(delivery, owner, now) is None
    ]


async def _find_blocked(
    context: DeliveryContext, due: _DueMessages, pumping: PumpingResult, now: int
) -> dict[tuple[str, int], Reason]:
    """Return the messages that are not sent because of a suppression or of pumping, by owner and number, with the reason."""
    with_owners = [(delivery, due.owners.get(delivery.owner)) for delivery in due.deliveries]
    blocked = await find_suppressed(context.keyring, with_owners, now)
    return {**blocked, **dict.fromkeys(pumping.withheld, Reason.HELD_BACK)}


def _find_postponed(
    due: _DueMessages, blocked: Mapping[tuple[str, int], Reason], pumping: PumpingResult
) -> dict[tuple[str, int], int]:
    """Return the notices that wait until they may be sent (ms), instead of being lost.

    Anybody can have a destination held, by asking for codes to numbers beside it. What can cost somebody the account must reach them all
    the same (semantics L1).
    """
    return {
        key: until
        for key, until in pumping.withheld.items()
        if blocked[key] is Reason.HELD_BACK and _must_be_told(due.owners.get(key[0]))
    }


def _must_be_told(owner: Challenge | Notice | None) -> bool:
    return isinstance(owner, Notice) and lane_of(owner.kind) is not NoticeLane.ORDINARY


async def _load_breakers(now: int) -> dict[str, CircuitBreaker]:
    """Load the circuit breakers. Those whose rest is over are locked, so that two workers do not both probe a provider."""
    known = await provider_health.find_breakers()
    rested = [name for name, breaker in known.items() if breaker.tripped and not breaker.is_open(now)]
    return {**known, **(await provider_health.lock_breakers(rested))}


class _Breakers:
    """The circuit breakers while a batch of messages is claimed: which providers are skipped, and which are probed."""

    def __init__(self, known: dict[str, CircuitBreaker], now: int) -> None:
        self._known = known
        self._now = now
        self.skipped = {name for name, breaker in known.items() if breaker.is_open(now)}
        self.probed: list[CircuitBreaker] = []

    def record_claim(self, provider: str | None) -> None:
        """Record that a message goes to `provider`. If its rest is over, this message is its probe and all others skip it."""
        breaker = self._known.get(provider or "")
        if breaker is not None and breaker.tripped and breaker.provider not in self.skipped:
            self.probed.append(breaker_rules.begin_probe(breaker, self._now))
            self.skipped.add(breaker.provider)


def _decide(
    due: _DueMessages,
    sites: Mapping[str, Application],
    blocked: Mapping[tuple[str, int], Reason],
    postponed: Mapping[tuple[str, int], int],
    breakers: _Breakers,
    now: int,
) -> _Decisions:
    """Decide for each due message whether it is dropped, fails, waits, or is claimed for a provider."""
    decisions = _Decisions()
    for delivery in due.deliveries:
        owner = due.owners.get(delivery.owner)
        block = blocked.get((delivery.owner, delivery.number))
        if (reason := reason_to_drop(delivery, owner, now)) is not None:
            after = delivery_rules.drop(delivery, reason, now)
        elif (until := postponed.get((delivery.owner, delivery.number))) is not None:
            decisions.changed.append(delivery_rules.postpone(delivery, until))
            continue
        elif block is not None:
            after = delivery_rules.fail(delivery, block, now)
        else:
            if delivery.state is DeliveryState.ACCEPTED:
                decisions.overdue.append((delivery, owner.application if owner else ""))
            after = delivery_rules.claim(delivery, now, breakers.skipped)
        decisions.changed.append(after)
        if after.ended:
            decisions.events.append(delivery_event(after, owner.application if owner else "", now))
            continue
        breakers.record_claim(after.provider)
        if owner is not None:
            decisions.claimed.append(ClaimedDelivery(after, owner, sites.get(owner.application)))
    return decisions


def _read(rows: Rows, of_row: Callable[[Row], T]) -> tuple[list[T], list[Row]]:
    """Return the records of rows, and the rows that this program cannot read."""
    records: list[T] = []
    unreadable: list[Row] = []
    for row in rows:
        try:
            records.append(of_row(row))
        except (ValueError, msgspec.MsgspecError):
            unreadable.append(row)
    return records, unreadable


def reason_to_drop(delivery: Delivery, owner: Challenge | Notice | None, now: int) -> Reason | None:
    """Return why a message must not be sent any more, or None.

    Its challenge or notice may be gone, ended or expired, or its code may be replaced by a newer one.
    """
    if owner is None:
        return Reason.ENDED
    if isinstance(owner, Notice):
        return Reason.EXPIRED if now >= owner.expires_at else None
    state = owner.state_at(now)
    if state is ChallengeState.EXPIRED:
        return Reason.EXPIRED
    is_outdated = delivery.round not in accepted_rounds(owner)
    return Reason.ENDED if state is not ChallengeState.PENDING or is_outdated else None
