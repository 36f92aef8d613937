"""Sweep: record that challenges ran out, and forget what has been kept long enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from countersign.domain.accounts.change import CLAIM_LASTS, UNDO_LASTS, WAIT
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications import challenge as rules_of
from countersign.errors import UnavailableError
from countersign.flows.verifications.results import Done, Missing, Outcome
from countersign.store.ledger.unit_of_work import Decision, Reads, UnitOfWork
from countersign.store.tables import (
    accounts,
    activity,
    authenticators,
    challenges,
    changes,
    devices,
    grants,
    integration_codes,
    login_flows,
    notices,
    rate_limits,
    sessions,
    sms_traffic,
    suppressions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.flows.context import CoreContext
    from countersign.store.engine.database import Transaction

BATCH: Final = 500
"""Records in one go: the sweep waits its turn behind the people."""

DAY: Final = 86_400_000

DEVICE_RETENTION: Final = 400 * DAY
"""Milliseconds for which a browser that is not seen is still known: as long as it keeps its cookie."""

_log = structlog.get_logger("countersign.sweep")


class SweepReport(msgspec.Struct, frozen=True):
    """How much a sweep did."""

    expired: int
    forgotten: int


async def sweep(core: CoreContext, retention_days: int) -> SweepReport:
    """Expire what ran out, and delete what ended more than `retention_days` ago, with all counters that mean nothing any more."""
    expired = 0
    while ids := await core.database.read(challenges.overdue, core.now(), BATCH):
        outcomes = await asyncio.gather(
            *(core.ledger.submit(ExpireCommand(id_)) for id_ in ids), return_exceptions=True
        )
        failed = [(id_, error) for id_, error in zip(ids, outcomes, strict=True) if isinstance(error, BaseException)]
        for id_, error in failed:
            if isinstance(error, UnavailableError):
                raise error
            # One that cannot be read stays, and must keep neither the others nor what is to be forgotten.
            _log.error("expiry_failed", verification=id_, error=type(error).__name__)
        expired += len(ids) - len(failed)
        if len(ids) < BATCH or len(failed) == len(ids):
            break
    return SweepReport(expired, await _forget(core, retention_days))


async def _forget(core: CoreContext, retention_days: int) -> int:
    """Delete what has been kept long enough; return how many rows went."""
    now, run = core.now(), core.database.run
    kept_since = now - retention_days * DAY
    # A contact or a factor that was removed stays for as long as that can be undone, and no longer.
    undoable_since = now - UNDO_LASTS
    whole: tuple[tuple[Callable[[int, int], Transaction[int]], int], ...] = (
        (challenges.forget, kept_since),
        (notices.forget, kept_since),
        (integration_codes.forget, kept_since),
        (activity.forget, kept_since),
        (sessions.forget, now),
        (login_flows.forget, now),
        (grants.forget, now),
        (suppressions.forget, now),
        (accounts.forget_contacts, undoable_since),
        (authenticators.forget, undoable_since),
        (changes.forget, min(kept_since, undoable_since - WAIT - CLAIM_LASTS)),
    )
    forgotten = 0
    for forget, before in whole:
        while gone := await run(forget, before, BATCH):
            forgotten += gone
    # Of a browser that is still known, only where it was seen is forgotten.
    while await run(devices.forget, kept_since, now - DEVICE_RETENTION, BATCH) >= BATCH:
        pass
    await run(sms_traffic.fold, now)
    while await run(sms_traffic.forget, now, BATCH) >= BATCH:
        pass
    while gone := await run(sms_traffic.forget_blocks, kept_since, BATCH):
        forgotten += gone
    await run(rate_limits.forget, now, now - DAY)
    return forgotten


class ExpireCommand(msgspec.Struct, frozen=True):
    """The command: record that one challenge's time ran out, if it did."""

    id: str

    @property
    def needs(self) -> Reads:
        """Return the challenge."""
        return Reads(challenges=(self.id,))

    def judge(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Expire what is pending and over; leave all else as it is."""
        before = work.challenge(self.id)
        if before is None:
            return Decision(Missing())
        after = rules_of.expire(before, now)
        if after is before:
            return Decision(Done(before))
        told = Event(
            after.ended_at or now, EventKind.CHALLENGE_EXPIRED, after.application, after.id, {"guesses": after.guesses}
        )
        return Decision(Done(after), challenges=(after,), events=(told,))
