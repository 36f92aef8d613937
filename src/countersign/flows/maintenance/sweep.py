"""Sweep: record which challenges expired, and delete what was kept long enough."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from countersign.domain.accounts.change import RECOVERY_WAIT, RECOVERY_WINDOW, UNDO_PERIOD
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications import challenge as rules_of
from countersign.errors import UnavailableError
from countersign.flows.maintenance.chores import Chores
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
from countersign.store.tables.deletion import FIRST_KEY, LAST_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from countersign.flows.context import CoreContext
    from countersign.store.engine.database import Transaction

BATCH: Final = 500
"""Records in one transaction, so that people's requests do not wait long."""

STEPS: Final = 40
"""Steps of a walk through a table of counters in one sweep: enough for all rows of a small one; a large one takes several sweeps."""

KEY_BYTES: Final = 32

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

    A chore that fails keeps none of the others from running; at the end the first failure is raised, such as UnavailableError if the
    database is down.
    """
    chores = Chores()
    expired = await chores.run("expire", _expire(core)) or 0
    deleted = 0
    for name, work in _deletions(core, retention_days):
        deleted += await chores.run(name, work()) or 0
    if chores.failure is not None:
        raise chores.failure
    return SweepReport(expired, deleted)


async def _expire(core: CoreContext) -> int:
    """Expire overdue challenges, and return how many."""
    expired = 0
    while ids := await core.database.read(challenges.list_overdue, core.now(), BATCH):
        outcomes = await asyncio.gather(
            *(core.ledger.submit(ExpireCommand(id_)) for id_ in ids), return_exceptions=True
        )
        failed = [(id_, error) for id_, error in zip(ids, outcomes, strict=True) if isinstance(error, BaseException)]
        outage = None
        for id_, error in failed:
            if isinstance(error, UnavailableError):
                outage = error
                continue
            # A challenge that this program cannot read stays. It must not stop the rest of the sweep.
            _log.error("expiry_failed", verification=id_, error=type(error).__name__)
        if outage is not None:
            raise outage
        expired += len(ids) - len(failed)
        if len(ids) < BATCH or len(failed) == len(ids):
            break
    return expired


def _deletions(core: CoreContext, retention_days: int) -> list[tuple[str, Callable[[], Awaitable[int]]]]:
    """Return the chores that delete what was kept long enough, each with its name. Each returns how many rows count as deleted."""
    now = core.now()
    kept_since = now - retention_days * DAY
    # A removed contact or authenticator stays while its removal can be undone, and no longer.
    undoable_since = now - UNDO_PERIOD
    changes_since = min(kept_since, undoable_since - RECOVERY_WAIT - RECOVERY_WINDOW)
    batches: tuple[tuple[str, Callable[[int, int], Transaction[int]], int], ...] = (
        ("challenges", challenges.delete_ended, kept_since),
        ("notices", notices.delete_before, kept_since),
        ("integration_codes", integration_codes.delete_expired, kept_since),
        ("activity", activity.delete_before, kept_since),
        ("sessions", sessions.delete_expired, now),
        ("login_flows", login_flows.delete_expired, now),
        ("grants", grants.delete_expired, now),
        ("pushed_requests", pushed_requests.delete_expired, now),
        ("single_uses", single_use.delete_expired, now),
        ("suppressions", suppressions.delete_ended, now),
        ("contacts", accounts.delete_removed_contacts, undoable_since),
        ("authenticators", authenticators.delete_ended, undoable_since),
        ("changes", changes.delete_before, changes_since),
        ("blocks", sms_traffic.delete_ended_blocks, kept_since),
    )
    walks = (("standings", rate_limits.delete_without_failures), ("limits", rate_limits.delete_unused))
    return [
        *((name, partial(_delete, core, delete, before)) for name, delete, before in batches),
        ("devices", partial(_forget_browsers, core, kept_since, now - DEVICE_RETENTION)),
        ("traffic", partial(_forget_counts, core, now)),
        ("answers", partial(_forget_answers, core, now)),
        *((name, partial(_walk, core, step, now - DAY)) for name, step in walks),
    ]


async def _delete(core: CoreContext, delete: Callable[[int, int], Transaction[int]], before: int) -> int:
    """Delete in batches until nothing is left, and return how many rows."""
    deleted = 0
    while gone := await core.database.run(delete, before, BATCH):
        deleted += gone
    return deleted


async def _forget_browsers(core: CoreContext, kept_since: int, unseen_since: int) -> int:
    # Of a browser that is still remembered, only the places where it was used are deleted.
    while await core.database.run(devices.delete_unseen, kept_since, unseen_since, BATCH) >= BATCH:
        pass
    return 0


async def _forget_counts(core: CoreContext, now: int) -> int:
    await core.database.run(sms_traffic.roll_up, now)
    while await core.database.run(sms_traffic.delete_old_counts, now, BATCH) >= BATCH:
        pass
    return 0


async def _forget_answers(core: CoreContext, now: int) -> int:
    while await core.database.run(rate_limits.delete_expired_answers, now, BATCH) >= BATCH:
        pass
    return 0


async def _walk(core: CoreContext, step: Callable[[int, bytes, bytes], Transaction[bytes]], before: int) -> int:
    """Walk through a table of counters, or through a part of a large one that starts anywhere, and delete what no longer counts."""
    start = core.random_bytes(KEY_BYTES)
    steps = 0
    for after, until in ((start, LAST_KEY), (FIRST_KEY, start)):
        while after != until and steps < STEPS:
            after = await core.database.run(step, before, after, until)  # noqa: PLW2901 - it goes on from there
            steps += 1
    return 0


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
