"""The activity of an account: events are recorded for good in the log, and for a while in words that the user can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.activity import Activity
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import Event, EventKind
from countersign.store.engine.database import Append
from countersign.store.tables import activity, deliveries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.flows.accounts.context import AccountContext, BrowserContext
    from countersign.store.engine.database import Change

MAX_MESSAGES: Final = 20
"""Messages that are listed."""
LOG_ONLY: Final = frozenset({EventKind.SIGN_IN_ASSESSED})
"""Kinds of events that the user is not shown. Every other kind of the account flows has a sentence on the activity page."""


class SentMessage(msgspec.Struct, frozen=True):
    """A message that was sent: its purpose or kind of notice, the masked address, when it was requested (ms), and its state."""

    what: str
    to: str
    channel: Channel
    at: int
    state: DeliveryState


async def record_events(
    context: AccountContext, events: Sequence[Event], browser: BrowserContext, place: str
) -> tuple[Change, ...]:
    """Append events to the log, and return the changes that show them to the user.

    `browser` and `place` say where the act was done; empty ones are left out.
    """
    await Append(events)
    return activity.insert(
        [
            Activity(
                event.owner,
                context.id("act"),
                event.at,
                event.kind,
                {**_seen_of(browser, place), **{name: str(value) for name, value in event.facts.items()}},
            )
            for event in events
            if event.owner and event.kind not in LOG_ONLY
        ]
    )


def insert_sent(
    context: AccountContext, account: str, now: int, messages: Sequence[tuple[str, str, str]]
) -> tuple[Change, ...]:
    """Return the changes that show to the user that messages were sent.

    Each message is the id that owes it, the masked address, and its purpose or kind of notice.
    """
    return activity.insert(
        [
            Activity(
                account,
                context.id("act"),
                now,
                EventKind.MESSAGE_SENT,
                {"message": message, "about": masked, "what": what},
            )
            for message, masked, what in messages
        ]
    )


def _seen_of(browser: BrowserContext, place: str) -> dict[str, str]:
    return {name: value for name, value in (("user_agent", browser.user_agent), ("place", place)) if value}


async def recent(context: AccountContext, account: str, limit: int) -> tuple[list[Activity], list[SentMessage]]:
    """Return the newest `limit` activities of an account, newest first, and its newest messages."""
    return await context.database.read(_recent, account, limit)


async def _recent(account: str, limit: int) -> tuple[list[Activity], list[SentMessage]]:
    # Messages and the acts that they report stand side by side, so that twice as many rows have enough of both.
    rows = await activity.list_newest(account, 2 * limit)
    messages = [row for row in rows if row.kind is EventKind.MESSAGE_SENT][:MAX_MESSAGES]
    found = await deliveries.list_by_owners([row.facts["message"] for row in messages])
    sent = [
        SentMessage(row.facts["what"], row.facts["about"], one.channel, one.created_at, one.state)
        for row in messages
        for one in reversed(found.get(row.facts["message"], []))
    ]
    return [row for row in rows if row.kind is not EventKind.MESSAGE_SENT][:limit], sent[:MAX_MESSAGES]
