"""Disown: somebody who was told of an act says that it was not theirs, and the account is closed until its owner has a new password."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.notice import Notice, NoticeKind
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.undo import cancel_change, lock_account
from countersign.flows.verifications.cancel import not_me_reference
from countersign.store.tables import changes, notices

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext, BrowserContext

WAITS: Final = frozenset({NoticeKind.ACCESS_ASKED, NoticeKind.ACCESS_WAITS})
"""What is stopped alone: whoever asks is outside, and the account's own sessions are its owner's (semantics R5)."""
_NOTHING_TO_DISOWN: Final = frozenset(
    {
        NoticeKind.SIGN_UP_KNOWN,
        NoticeKind.RECOVER_UNKNOWN,
        NoticeKind.RECOVER_TOO_NEW,
        NoticeKind.ACCOUNT_LOCKED,
    }
)


class AccountLocked(msgspec.Struct, frozen=True):
    """What came of it: what waited was stopped, or the account was closed and so many changes undone."""

    stopped: bool
    undone: int = 0


async def find_notice(context: AccountContext, reference: str) -> Notice | None:
    """Return the notice that a "this wasn't me" link names, for as long as the link is good. Changes nothing."""
    notice_id, _, given = reference.partition(".")
    expected = not_me_reference(context.keyring, notice_id).partition(".")[2]
    try:
        same = hmac.compare_digest(base64.urlsafe_b64decode(given + "=="), base64.urlsafe_b64decode(expected + "=="))
    except (binascii.Error, ValueError):
        return None
    found = await context.database.read(notices.find, notice_id) if same else None
    if found is None or found.kind in _NOTHING_TO_DISOWN or context.now() >= found.expires_at:
        return None
    return found


async def report_change(context: AccountContext, browser: BrowserContext, reference: str) -> AccountLocked | None:
    """Close the account at the word of who holds one of its contacts (semantics S6), or stop what waits; None for a bad link.

    Whatever was changed since the act that was told of is undone, so that a thief's other changes go with the one that was noticed.
    """
    notice = await find_notice(context, reference)
    if notice is None:
        return None
    which = notice.facts.get("change", "")
    if notice.kind in WAITS:
        return AccountLocked(stopped=isinstance(await cancel_change(context, browser, notice.account, which), Applied))
    told_of = await context.database.read(changes.find, notice.account, which)
    since = told_of.asked_at if told_of is not None else notice.created_at
    return AccountLocked(stopped=False, undone=await lock_account(context, browser, notice.account, since))
