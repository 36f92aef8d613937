"""Raise the epoch of an account: what was under way when its password, contacts or authenticators changed counts for nothing (A8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.change import ChangeState, canceled
from countersign.domain.accounts.deletion import is_deletion_pending, without_deletion
from countersign.domain.accounts.session import in_epoch, into_epoch
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.accounts.notify import owe_notices
from countersign.store.engine.database import Change
from countersign.store.tables import accounts, changes, devices, sessions

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.flows.accounts.context import AccountContext


class EpochRaised(msgspec.Struct, frozen=True):
    """What the transaction that raises an epoch still has to write."""

    rows: tuple[Change, ...]
    events: tuple[Event, ...]


async def raise_epoch(
    context: AccountContext,
    account: Account,
    now: int,
    *,
    session: str = "",
    ended: frozenset[str] = frozenset(),
    but: str = "",
) -> EpochRaised:
    """End the trust in all browsers, a pending deletion and every pending change except `but`.

    Return the rows and events that belong to the new epoch.

    `account` is locked, and as it is to be written. `session` is the id of the session that made the change: its proofs are carried into
    the new epoch, except those by a contact or an authenticator whose id is in `ended`. `now` is in ms.
    """
    raised = replace(account, epoch=account.epoch + 1)
    await devices.end_trust(account.id)
    rows, events = await cancel_pending(context, account.id, now, but=but)
    if is_deletion_pending(account):
        told, canceled_events = await deletion_canceled(context, account, now, BrowserContext())
        rows += told
        events += canceled_events
    raised = without_deletion(raised)
    rows.append(accounts.update(raised))
    acting = await sessions.find_by_id(account.id, session, now) if session else None
    if acting is not None:
        rows.append(sessions.update(into_epoch(in_epoch(acting, account.epoch), raised.epoch, ended)))
    return EpochRaised(tuple(rows), tuple(events))


async def deletion_canceled(
    context: AccountContext, account: Account, now: int, browser: BrowserContext
) -> tuple[tuple[Change, ...], list[Event]]:
    """Return the notices and the event of a deletion that is canceled. `account` is locked; the caller writes it without the deletion."""
    told = await owe_notices(
        context,
        account,
        await accounts.list_contacts(account.id),
        NoticeKind.DELETION_CANCELED,
        browser=browser,
        place=context.place(browser.ip),
        now=now,
    )
    return told, [Event(now, EventKind.DELETION_CANCELED, context.own.id, account.id)]


async def end_sessions(context: AccountContext, account: str, now: int, *, but: str = "") -> list[Event]:
    """End the sessions of an account, except one; return the events."""
    ended = await sessions.end_all(account, but=but)
    return [Event(now, EventKind.SESSION_ENDED, context.own.id, account, {"session": id_}) for id_ in ended]


async def cancel_pending(
    context: AccountContext, account: str, now: int, *, but: str = ""
) -> tuple[list[Change], list[Event]]:
    """Return the rows and events that cancel the pending changes of an account, except one."""
    pending = [
        one for one in await changes.list_open(account, now) if one.state is ChangeState.PENDING and one.id != but
    ]
    return (
        [changes.update(canceled(one, now)) for one in pending],
        [Event(now, EventKind.CHANGE_CANCELED, context.own.id, account, {"change": one.id}) for one in pending],
    )
