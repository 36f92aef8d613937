"""Report "this wasn't me" by the link in a notice: the account is locked until its owner has chosen a new password."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts import recovery
from countersign.domain.accounts.change import ChangeKind, ChangeState
from countersign.domain.accounts.recovery import DelayedRecoveryState, ReportVerdict
from countersign.domain.delivery.notice import CONTACT_FACT, PROVED_BY_FACT, TOLD_AT_FACT, Notice, NoticeKind
from countersign.flows.accounts.snapshot import lock_snapshot
from countersign.flows.changes.delayed_recovery import StopResult, stop_waiting
from countersign.flows.changes.undo import lock_account
from countersign.flows.verifications.cancel import is_genuine
from countersign.store.tables import accounts, changes, notices

if TYPE_CHECKING:
    from countersign.domain.accounts.account import OwnedContact
    from countersign.flows.accounts.context import AccountContext, BrowserContext

DELAYED_RECOVERY_NOTICES: Final = frozenset(
    {NoticeKind.ACCESS_ASKED, NoticeKind.ACCESS_WAITS, NoticeKind.ACCESS_ASKED_AGAIN}
)
"""Notices of a delayed recovery. A report stops it and locks nothing: the sessions of the account are its owner's (semantics R5)."""
_NOT_REPORTABLE: Final = frozenset(
    {
        NoticeKind.SIGN_UP_KNOWN,
        NoticeKind.RECOVER_UNKNOWN,
        NoticeKind.RECOVER_TOO_NEW,
        NoticeKind.ACCOUNT_LOCKED,
        NoticeKind.ACCOUNT_ERASED,
    }
)


class ReportOutcome(StrEnum):
    """What a report did, or why it did nothing."""

    STOPPED = "stopped"
    ALREADY_STOPPED = "already_stopped"
    ALREADY_DONE = "already_done"
    NOTHING_WAITS = "nothing_waits"
    LOCKED = "locked"
    ALREADY_LOCKED = "already_locked"
    OUTRANKED = "outranked"
    ENDED = "ended"


_OF_STOP: Final = {
    StopResult.STOPPED: ReportOutcome.STOPPED,
    StopResult.ALREADY_STOPPED: ReportOutcome.ALREADY_STOPPED,
    StopResult.ALREADY_DONE: ReportOutcome.ALREADY_DONE,
    StopResult.NOTHING_WAITS: ReportOutcome.NOTHING_WAITS,
}
_OF_VERDICT: Final = {
    ReportVerdict.LOCKS: ReportOutcome.LOCKED,
    ReportVerdict.DISPUTES: ReportOutcome.LOCKED,
    ReportVerdict.OUTRANKED: ReportOutcome.OUTRANKED,
    ReportVerdict.ENDED: ReportOutcome.ENDED,
    ReportVerdict.ALREADY_LOCKED: ReportOutcome.ALREADY_LOCKED,
}
_OF_STATE: Final = {
    DelayedRecoveryState.WAITING: ReportOutcome.STOPPED,
    DelayedRecoveryState.BARRED: ReportOutcome.ALREADY_STOPPED,
    DelayedRecoveryState.DONE: ReportOutcome.ALREADY_DONE,
    DelayedRecoveryState.NONE: ReportOutcome.NOTHING_WAITS,
}


class ReportResult(msgspec.Struct, frozen=True):
    """The result of a report. If the account was locked, `undone` changes were undone, and `left` were not.

    `goes_first`: the contact that reported goes before the others in choosing the new password.
    """

    outcome: ReportOutcome
    undone: int = 0
    left: int = 0
    goes_first: bool = False

    @property
    def stopped(self) -> bool:
        """Return True if a delayed recovery was stopped by this report."""
        return self.outcome is ReportOutcome.STOPPED


class NoticeLink(msgspec.Struct, frozen=True):
    """A notice, and what a report by its link would be worth now."""

    notice: Notice
    outcome: ReportOutcome


async def find_link(context: AccountContext, reference: str) -> NoticeLink | None:
    """Return the notice of a "this wasn't me" link, and what the link is worth. Changes nothing.

    Returns None if the link is not ours or too old.
    """
    notice = await _find_own(context, reference)
    if notice is None:
        return None
    return await context.database.read(_look_up, notice, context.now())


async def find_notice(context: AccountContext, reference: str) -> Notice | None:
    """Return the notice of a "this wasn't me" link while a report by it does something, or None. Changes nothing."""
    found = await find_link(context, reference)
    return found.notice if found is not None and found.outcome in _ACTS else None


_ACTS: Final = frozenset({ReportOutcome.LOCKED, ReportOutcome.STOPPED})


async def _find_own(context: AccountContext, reference: str) -> Notice | None:
    genuine = is_genuine(context.keyring, reference)
    found = await context.database.read(notices.find, reference.partition(".")[0]) if genuine else None
    if found is None or found.kind in _NOT_REPORTABLE or context.now() >= found.expires_at:
        return None
    return found


async def _look_up(notice: Notice, now: int) -> NoticeLink | None:
    """Judge a link as `_report` will, without a lock."""
    account = await accounts.find(notice.account)
    if account is None:
        return None
    if notice.kind not in DELAYED_RECOVERY_NOTICES:
        reporter = await _find_reporter(notice)
        return NoticeLink(notice, _OF_VERDICT[recovery.judge_report(account, reporter, _made_at(notice), now)])
    if recovery.is_link_ended(account, notice.facts.get(CONTACT_FACT, ""), _made_at(notice)):
        return NoticeLink(notice, _ended_stop(account.reduced_until, now))
    open_ = await changes.list_open(notice.account, now)
    is_waiting = any(one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING for one in open_)
    state = recovery.delayed_state(account, is_waiting=is_waiting, now=now)
    return NoticeLink(notice, _OF_STATE[state])


async def report_change(context: AccountContext, browser: BrowserContext, reference: str) -> ReportResult | None:
    """Lock the account at the word of the holder of one of its contacts (semantics S6), or stop a delayed recovery (semantics R6).

    Everything that was changed since the reported act is undone, so that a thief's other changes go with the one that was noticed.
    Returns None if the link is not ours or too old. A link works once, and not after a later lock or recovery (semantics R7): then nothing
    is changed, and the result says why.
    """
    notice = await _find_own(context, reference)
    if notice is None:
        return None
    result = await context.log.run(context.database, _report, context, browser, notice)
    context.database.notify()
    return result


async def _report(context: AccountContext, browser: BrowserContext, notice: Notice) -> ReportResult | None:
    snapshot, now = await lock_snapshot(notice.account), context.now()
    if snapshot is None:
        return None
    account = snapshot.account
    if notice.kind in DELAYED_RECOVERY_NOTICES:
        if recovery.is_link_ended(account, notice.facts.get(CONTACT_FACT, ""), _made_at(notice)):
            return ReportResult(_ended_stop(account.reduced_until, now))
        return ReportResult(_OF_STOP[await stop_waiting(context, browser, notice.account)])
    reporter = await _find_reporter(notice)
    verdict = recovery.judge_report(account, reporter, _made_at(notice), now)
    if verdict not in {ReportVerdict.LOCKS, ReportVerdict.DISPUTES}:
        return ReportResult(_OF_VERDICT[verdict])
    reported = await changes.find(notice.account, notice.facts.get("change", ""))
    # A message about notices that were gathered says since when: what was done before it was sent is undone too.
    since = reported.asked_at if reported is not None else int(notice.facts.get("since", notice.created_at))
    told_of = [reported] if reported is not None else []
    if notice.kind is NoticeKind.GATHERED:
        told_of = [one for one in await changes.list_open(notice.account, now) if one.asked_at >= since]
    ended = {contact for one in told_of for contact in one.effect.contacts_ended}
    involved = {*notice.facts.get(PROVED_BY_FACT, "").split(), *ended}
    locked = await lock_account(
        context,
        browser,
        snapshot,
        reporter,
        verdict=verdict,
        since=since,
        involved=frozenset(involved),
    )
    return ReportResult(ReportOutcome.LOCKED, locked.undone, locked.left, locked.goes_first)


def _ended_stop(reduced_until: int, now: int) -> ReportOutcome:
    """Return what became of a delayed recovery whose notice a later lock or recovery has ended."""
    return ReportOutcome.ALREADY_DONE if now < reduced_until else ReportOutcome.NOTHING_WAITS


def _made_at(notice: Notice) -> int:
    """Return when (ms) a link was made; that of a message about gathered notices is as old as the newest of them."""
    return int(notice.facts.get(TOLD_AT_FACT, notice.created_at))


async def _find_reporter(notice: Notice) -> OwnedContact | None:
    """Return the contact that a notice was sent to, though it was removed since; None if an older release has made the notice."""
    id_ = notice.facts.get(CONTACT_FACT, "")
    return next((one for one in await accounts.list_all_contacts(notice.account) if one.id == id_), None)
