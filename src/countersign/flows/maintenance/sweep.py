"""Sweep: record which challenges expired, and delete what was kept long enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from countersign.domain.accounts.change import RECOVERY_WAIT, RECOVERY_WINDOW, UNDO_PERIOD
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
    pushed_requests,
    rate_limits,
    sessions,
    single_use,
    sms_traffic,
    suppressions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.flows.context import CoreContext
    from countersign.store.engine.database import Transaction

BATCH: Final = 500
"""Records in one transaction, so that people's requests do not wait long."""

DAY: Final = 86_400_000

DEVICE_RETENTION: Final = 400 * DAY
"""Milliseconds for which an unused browser is remembered: as long as it keeps its cookie."""

_log = structlog.get_logger("countersign.sweep")


class SweepReport(msgspec.Struct, frozen=True):
    """The number of challenges that expired, and of rows that were deleted."""

    expired: int
    deleted: int


async def sweep(core: CoreContext, retention_days: int) -> SweepReport:
    """Expire overdue challenges. Then delete what ended more than `retention_days` ago, and counters that no longer matter.

    Raises UnavailableError if the database is down.
    """
    expired = 0
    while ids := await core.database.read(challenges.list_overdue, core.now(), BATCH):
        outcomes = await asyncio.gather(
            *(core.ledger.submit(ExpireCommand(id_)) for id_ in ids), return_exceptions=True
        )
        failed = [(id_, error) for id_, error in zip(ids, outcomes, strict=True) if isinstance(error, BaseException)]
        for id_, error in failed:
            if isinstance(error, UnavailableError):
                raise error
            # A challenge that this program cannot read stays. It must not stop the rest of the sweep.
            _log.error("expiry_failed", verification=id_, error=type(error).__name__)
        expired += len(ids) - len(failed)
        if len(ids) < BATCH or len(failed) == len(ids):
            break
    return SweepReport(expired, await _forget(core, retention_days))


async def _forget(core: CoreContext, retention_days: int) -> int:
    """Delete what was kept long enough. Returns the number of rows."""
    now, run = core.now(), core.database.run
    kept_since = now - retention_days * DAY
    # A removed contact or authenticator stays while its removal can be undone, and no longer.
    undoable_since = now - UNDO_PERIOD
    deletions: tuple[tuple[Callable[[int, int], Transaction[int]], int], ...] = (
        (challenges.delete_ended, kept_since),
        (notices.delete_before, kept_since),
        (integration_codes.delete_expired, kept_since),
        (activity.delete_before, kept_since),
        (sessions.delete_expired, now),
        (login_flows.delete_expired, now),
        (grants.delete_expired, now),
        (pushed_requests.delete_expired, now),
        (single_use.delete_expired, now),
        (suppressions.delete_ended, now),
        (accounts.delete_removed_contacts, undoable_since),
        (authenticators.delete_ended, undoable_since),
        (changes.delete_before, min(kept_since, undoable_since - RECOVERY_WAIT - RECOVERY_WINDOW)),
    )
    deleted = 0
    for forget, before in deletions:
        while gone := await run(forget, before, BATCH):
            deleted += gone
    # Of a browser that is still remembered, only the places where it was used are deleted.
    while await run(devices.delete_unseen, kept_since, now - DEVICE_RETENTION, BATCH) >= BATCH:
        pass
    await run(sms_traffic.roll_up, now)
    while await run(sms_traffic.delete_old_counts, now, BATCH) >= BATCH:
        pass
    while gone := await run(sms_traffic.delete_ended_blocks, kept_since, BATCH):
        deleted += gone
    await run(rate_limits.delete_expired, now, now - DAY)
    return deleted


class ExpireCommand(msgspec.Struct, frozen=True):
    """Records that a challenge expired, if it did."""

    id: str

    @property
    def reads(self) -> Reads:
        """Return the challenge."""
        return Reads(challenges=(self.id,))

    def decide(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Expire the challenge if it is pending and overdue. Otherwise change nothing."""
        before = work.challenge(self.id)
        if before is None:
            return Decision(Missing())
        after = rules_of.expire(before, now)
        if after is before:
            return Decision(Done(before))
        event = Event(
            after.ended_at or now, EventKind.CHALLENGE_EXPIRED, after.application, after.id, {"guesses": after.guesses}
        )
        return Decision(Done(after), challenges=(after,), events=(event,))
