"""What the person who asked for a delayed recovery keeps of it: its dates, and the right to withdraw it.

The browser keeps it, sealed. It has the same form and length whether there is such an account or not, and is never looked up to be shown
(semantics R1).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts import recovery
from countersign.domain.accounts.change import AccountChange, ChangeKind, ChangeState, canceled
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import EventKind
from countersign.errors import CountersignError
from countersign.flows.accounts.activity import insert_sent, record_events
from countersign.flows.changes.request import change_event
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, changes

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext, BrowserContext

_BOUND_TO: Final = "delayed recovery of this browser"
_MAX_TOKEN: Final = 2_000
"""Characters. A token has some 400, and more for a long contact."""


class OwnRecovery(msgspec.Struct, frozen=True):
    """A delayed recovery as the browser that asked for it keeps it. Times are in ms since the epoch.

    `contact` is the new contact, masked. It can be finished from `due_at` on, until `until`. `account` and `change` are ids, drawn at
    random if there is no such account.
    """

    account: str
    change: str
    contact: str
    asked_at: int
    due_at: int
    until: int


def seal_own_recovery(context: AccountContext, change: AccountChange) -> str:
    """Return a delayed recovery as its browser keeps it."""
    own = OwnRecovery(
        change.account or context.id("acc"), change.id, change.about, change.asked_at, change.due_at, change.until
    )
    sealed = context.keyring.seal(msgspec.json.encode(own).decode(), _BOUND_TO)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read_own_recovery(context: AccountContext, token: str) -> OwnRecovery | None:
    """Return the delayed recovery that a browser has kept; None if it is forged, or too old to be finished."""
    if not 0 < len(token) <= _MAX_TOKEN:
        return None
    try:
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        own = msgspec.json.decode(context.keyring.unseal(sealed, _BOUND_TO), type=OwnRecovery)
    except (binascii.Error, ValueError, msgspec.MsgspecError, CountersignError):
        return None
    return own if context.now() < own.until else None


async def withdraw_own_recovery(context: AccountContext, browser: BrowserContext, own: OwnRecovery) -> None:
    """End a delayed recovery at the wish of the person who asked for it. Nothing tells whether there was one (semantics R1).

    For a day nobody can ask for the account again. Otherwise a thief would ask and withdraw until its telephones have had as many
    messages as a day allows, and then ask once more, of which they would not hear (semantics R5).
    """
    await context.log.run(context.database, _withdraw, context, browser, own)


async def _withdraw(context: AccountContext, browser: BrowserContext, own: OwnRecovery) -> None:
    now = context.now()
    account = await accounts.lock(own.account)
    change = await changes.find(own.account, own.change)
    is_waiting = (
        account is not None
        and change is not None
        and change.kind is ChangeKind.ACCESS_RECOVERED
        and change.state_at(now) is ChangeState.PENDING
    )
    if account is None or change is None or not is_waiting:
        await _record_nothing(context, browser, own, now)
        return
    event = change_event(context, EventKind.CHANGE_CANCELED, change, now)
    activity = await record_events(context, [event], browser, context.place(browser.ip))
    rows = (accounts.update(recovery.pause(account, now)), changes.update(canceled(change, now)))
    await Write((*rows, *activity), last=True)


async def _record_nothing(context: AccountContext, browser: BrowserContext, own: OwnRecovery, now: int) -> None:
    """Log and write as much as for an account that is there (semantics R1)."""
    change = AccountChange(
        account="",
        id=own.change,
        kind=ChangeKind.ACCESS_RECOVERED,
        asked_at=own.asked_at,
        session="",
        blind_index=b"",
        about=own.contact,
        data=b"",
        user_agent=browser.user_agent,
        place=context.place(browser.ip),
        state=ChangeState.CANCELED,
        until=own.until,
    )
    event = change_event(context, EventKind.CHANGE_CANCELED, change, now)
    activity = await record_events(context, [event], browser, change.place)
    sent = [(own.change, own.contact, NoticeKind.ACCESS_ASKED.value)] * 3
    await Write((*insert_sent(context, "", now, sent), *activity), last=True)
