"""Report "this wasn't me" by the link in a notice: the account is locked until its owner has chosen a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.change import ChangeKind, ChangeState
from countersign.domain.delivery.notice import Notice, NoticeKind
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.undo import cancel_change, lock_account
from countersign.flows.verifications.cancel import is_genuine
from countersign.store.tables import changes, notices

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext, BrowserContext

DELAYED_RECOVERY_NOTICES: Final = frozenset(
    {NoticeKind.ACCESS_ASKED, NoticeKind.ACCESS_WAITS, NoticeKind.ACCESS_ASKED_AGAIN}
)
"""Notices of a delayed recovery. A report cancels it and locks nothing: the sessions of the account are its owner's (semantics R5)."""
_NOT_REPORTABLE: Final = frozenset(
    {
        NoticeKind.SIGN_UP_KNOWN,
        NoticeKind.RECOVER_UNKNOWN,
        NoticeKind.RECOVER_TOO_NEW,
        NoticeKind.ACCOUNT_LOCKED,
    }
)


class ReportResult(msgspec.Struct, frozen=True):
    """The result of a report: a delayed recovery was canceled (`stopped`), or the account was locked and `undone` changes were undone."""

    stopped: bool
    undone: int = 0


async def find_notice(context: AccountContext, reference: str) -> Notice | None:
    """Return the notice of a "this wasn't me" link while the link is valid, or None. Changes nothing."""
    genuine = is_genuine(context.keyring, reference)
    found = await context.database.read(notices.find, reference.partition(".")[0]) if genuine else None
    if found is None or found.kind in _NOT_REPORTABLE or context.now() >= found.expires_at:
        return None
    return found


async def report_change(context: AccountContext, browser: BrowserContext, reference: str) -> ReportResult | None:
    """Lock the account at the word of the holder of one of its contacts (semantics S6), or cancel a delayed recovery.

    Everything that was changed since the reported act is undone, so that a thief's other changes go with the one that was noticed.
    Returns None if the link is not valid.
    """
    notice = await find_notice(context, reference)
    if notice is None:
        return None
    change_id = notice.facts.get("change", "")
    if notice.kind is NoticeKind.ACCESS_ASKED_AGAIN:
        return ReportResult(stopped=await _stop_recoveries(context, browser, notice.account))
    if notice.kind in DELAYED_RECOVERY_NOTICES:
        return ReportResult(
            stopped=isinstance(await cancel_change(context, browser, notice.account, change_id), Applied)
        )
    reported = await context.database.read(changes.find, notice.account, change_id)
    # A message about notices that were gathered says since when: what was done before it was sent is undone too.
    since = reported.asked_at if reported is not None else int(notice.facts.get("since", notice.created_at))
    return ReportResult(stopped=False, undone=await lock_account(context, browser, notice.account, since))


async def _stop_recoveries(context: AccountContext, browser: BrowserContext, account: str) -> bool:
    """Cancel every delayed recovery of an account that waits; return False if one could not be canceled."""
    waiting = [
        one.id
        for one in await context.database.read(changes.list_open, account, context.now())
        if one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING
    ]
    outcomes = [await cancel_change(context, browser, account, id_) for id_ in waiting]
    return all(isinstance(outcome, Applied) for outcome in outcomes)
