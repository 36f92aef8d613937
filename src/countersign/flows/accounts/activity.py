"""Activity: what happened to an account last, and which messages were really sent to its contacts, for its person to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.activity import Activity
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.store.tables import activity, deliveries

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext

MESSAGES: Final = 20


class SentMessage(msgspec.Struct, frozen=True):
    """One message: what for (a purpose or a kind of notice), to whom (a mask), how, when it was asked for (ms), and how far it is."""

    what: str
    to: str
    channel: Channel
    at: int
    state: DeliveryState


async def recent(context: AccountContext, account: str, most: int) -> tuple[list[Activity], list[SentMessage]]:
    """Return what happened to an account last, the newest first, and its last messages."""
    return await context.database.read(_recent, account, most)


async def _recent(account: str, most: int) -> tuple[list[Activity], list[SentMessage]]:
    # Messages and the acts that they tell of stand side by side, so that twice as many rows have enough of both.
    rows = await activity.list_newest(account, 2 * most)
    told = [row for row in rows if row.kind is EventKind.MESSAGE_SENT][:MESSAGES]
    found = await deliveries.list_by_owners([row.facts["message"] for row in told])
    sent = [
        SentMessage(row.facts["what"], row.facts["about"], one.channel, one.created_at, one.state)
        for row in told
        for one in reversed(found.get(row.facts["message"], []))
    ]
    return [row for row in rows if row.kind is not EventKind.MESSAGE_SENT][:most], sent[:MESSAGES]
