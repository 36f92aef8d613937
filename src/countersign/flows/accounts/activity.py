"""The activity of an account: events are recorded for good in the log, and for a while in words that the user can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.activity import Activity
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.shared.event import Event, EventKind
from countersign.store.engine.database import Append
from countersign.store.tables import activity, deliveries, notices

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from countersign.flows.accounts.context import AccountContext, BrowserContext
    from countersign.store.engine.database import Change

MAX_MESSAGES: Final = 100
"""Messages that are listed."""
LOG_ONLY: Final = frozenset({EventKind.SIGN_IN_ASSESSED, EventKind.ACCOUNT_ERASED})
"""Kinds of events that the user is not shown. Every other kind of the account flows has a sentence on the activity page."""


class ListedMessage(msgspec.Struct, frozen=True):
    """A message that was sent: its purpose or kind of notice, the masked address, when it was requested (ms), and its state.

    `recipient` is the blind index of the contact; None if an older release has sent it.

    `held` is True for a notice that was not sent by itself, because the contact had many. To a mailbox its state is that of the message
    that told of it, to a telephone `dropped`.
    """

    what: str
    to: str
    channel: Channel
    at: int
    state: DeliveryState
    held: bool = False
    recipient: bytes | None = None


class Sending(msgspec.Struct, frozen=True):
    """A message as it is recorded: the id that owes it, its purpose or kind of notice, and the contact by its mask and blind index."""

    message: str
    what: str
    masked: str
    recipient: bytes | None


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
    context: AccountContext,
    account: str,
    now: int,
    messages: Sequence[Sending],
    *,
    held: Collection[str] = (),
) -> tuple[Change, ...]:
    """Return the changes that show to the user that messages were sent.

    `account` is empty for a message to a contact that has no account yet. Messages whose ids are in `held` were not sent at once.
    """
    return activity.insert(
        [
            Activity(
                account,
                context.id("act"),
                now,
                EventKind.MESSAGE_SENT,
                {
                    "message": one.message,
                    "about": one.masked,
                    "what": one.what,
                    **({"held": "1"} if one.message in held else {}),
                },
                one.recipient,
            )
            for one in messages
        ]
    )


def _seen_of(browser: BrowserContext, place: str) -> dict[str, str]:
    return {name: value for name, value in (("user_agent", browser.user_agent), ("place", place)) if value}


async def recent(context: AccountContext, account: str, limit: int) -> tuple[list[Activity], list[ListedMessage]]:
    """Return the newest `limit` activities of an account, newest first, and its newest messages."""
    return await context.database.read(_recent, account, limit)


async def _recent(account: str, limit: int) -> tuple[list[Activity], list[ListedMessage]]:
    # Each is asked for by itself. Otherwise an act that is told to twenty contacts would push the acts before it off the page.
    happened = await activity.list_newest(account, limit, messages=False)
    listed = await activity.list_newest(account, MAX_MESSAGES, messages=True)
    # One that somebody asked for to their own new contact stands twice there, once the contact is theirs.
    messages = list({(row.facts["message"], row.recipient): row for row in reversed(listed)}.values())[::-1]
    held = await notices.find_by_ids([row.facts["message"] for row in messages if "held" in row.facts])
    owners = {row.facts["message"]: row.facts["message"] for row in messages}
    owners.update({id_: notice.gathered_by or id_ for id_, notice in held.items()})
    found = await deliveries.list_by_owners(list(owners.values()))
    sent: list[ListedMessage] = []
    for row in messages:
        message, what, to = row.facts["message"], row.facts["what"], row.facts["about"]
        if (notice := held.get(message)) is not None:
            by_mail = notice.to_kind is ContactKind.MAIL
            unsent = DeliveryState.QUEUED if by_mail else DeliveryState.DROPPED
            state = next((one.state for one in found.get(owners[message], [])), unsent)
            channel = Channel.EMAIL if by_mail else Channel.SMS
            sent.append(ListedMessage(what, to, channel, row.at, state, held=True, recipient=row.recipient))
            continue
        sent += [
            ListedMessage(what, to, one.channel, one.created_at, one.state, recipient=row.recipient)
            for one in reversed(found.get(message, []))
        ]
    return happened, sent[:MAX_MESSAGES]
