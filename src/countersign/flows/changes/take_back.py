"""After the database was restored: undo the changes that could still be undone, and cancel the deletions that wait.

Since the backup their owners may have undone or canceled them. The restored database does not know, and would bring back a thief's contact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.accounts.snapshot import find_history, lock_snapshot
from countersign.flows.changes.epoch import raise_epoch
from countersign.flows.changes.request import change_event, facts_of
from countersign.flows.changes.undo import finish_undo, restored_rows, revert_all
from countersign.store.engine.database import Append, Write
from countersign.store.tables import accounts, changes, lineage

if TYPE_CHECKING:
    from countersign.domain.accounts.account import AccountSnapshot
    from countersign.flows.accounts.context import AccountContext

BATCH: Final = 500


async def complete_restoration(context: AccountContext) -> None:
    """Take changes back if the database was restored and that was not done yet. What serves goes on only then."""
    found = await context.database.read(lineage.find)
    if found is not None and found.unfinished:
        await take_back_changes(context, found.backup_at)
        await context.database.run(lineage.finish)


async def take_back_changes(context: AccountContext, backup_at: int) -> int:
    """Take back what could still be undone when the backup was made (ms). Return how many accounts it changed.

    Await it before anything is served. It may be cut off and awaited again.
    """
    taken = 0
    for listing in (_with_changes, _with_deletions):
        after = ""
        while found := await context.database.read(listing, backup_at, after):
            for account in found:
                taken += await context.log.run(context.database, _take_back, context, account, backup_at)
            after = found[-1]
    return taken


async def _with_changes(backup_at: int, after: str) -> list[str]:
    return await changes.list_undoable_accounts(backup_at, after, BATCH)


async def _with_deletions(backup_at: int, after: str) -> list[str]:  # noqa: ARG001 - as its neighbour
    return await accounts.list_waiting_deletions(after, BATCH)


async def _take_back(context: AccountContext, account: str, backup_at: int) -> bool:
    """Take back the changes of one account; return whether anything changed."""
    current = await lineage.lock()
    snapshot = await lock_snapshot(account)
    if current is None or not current.unfinished or snapshot is None:
        return False
    now, before = context.now(), await find_history(snapshot.account)
    applied = [one for one in await changes.list_open(account, backup_at) if one.is_undoable(backup_at)]
    after, undone = revert_all(before, applied, now)
    after = _without_recovery_codes(after, now)
    raised = await raise_epoch(context, snapshot.account, now)
    rows = [*await restored_rows(snapshot, before, after), *map(changes.update, undone), *raised.rows]
    events = [change_event(context, EventKind.CHANGE_UNDONE, one, now) for one in undone] + list(raised.events)
    if not undone:
        await Append(events)
        await Write(tuple(rows), last=True)
        return True
    await finish_undo(
        context,
        BrowserContext(),
        after,
        NoticeKind.CHANGE_UNDONE,
        now=now,
        rows=rows,
        events=events,
        facts=facts_of(undone[0]),
    )
    return True


def _without_recovery_codes(history: AccountSnapshot, now: int) -> AccountSnapshot:
    """Return the history without the recovery codes that an undo has brought back: any of them may be spent."""
    ended = tuple(
        replace(one, ended_at=now) if one.kind is AuthenticatorKind.RECOVERY_CODE and one.ended_at is None else one
        for one in history.authenticators
    )
    return replace(history, authenticators=ended)
