"""Record: write down what happened to an account, in the chained log for good, and in words for its person to read for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.shared.activity import Activity
from countersign.domain.shared.event import Event, EventKind
from countersign.store.engine.database import Append
from countersign.store.tables import activity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.flows.accounts.context import AccountContext, BrowserContext
    from countersign.store.engine.database import Change

_UNREAD: Final = frozenset({EventKind.SIGN_IN_ASSESSED})
"""What the log keeps and no person needs to read."""


def insert_activity(
    context: AccountContext,
    account: str,
    now: int,
    told: Sequence[tuple[EventKind, dict[str, str]]],
    browser: BrowserContext,
    place: str,
) -> tuple[Change, ...]:
    """Return the changes that write down for a person what happened, on which browser and where."""
    seen = {name: value for name, value in (("user_agent", browser.user_agent), ("place", place)) if value}
    return activity.insert(
        [Activity(account, context.id("act"), now, kind, {**seen, **facts}) for kind, facts in told if account]
    )


async def record_events(
    context: AccountContext, told: Sequence[Event], browser: BrowserContext, place: str
) -> tuple[Change, ...]:
    """Append events to the log, and return the changes that show them to the account's person."""
    await Append(told)
    read = [
        Activity(
            event.owner,
            context.id("act"),
            event.at,
            event.kind,
            {
                **{name: value for name, value in (("user_agent", browser.user_agent), ("place", place)) if value},
                **{name: str(value) for name, value in event.facts.items()},
            },
        )
        for event in told
        if event.owner and event.kind not in _UNREAD
    ]
    return activity.insert(read)
