"""Account activity: what the owner of an account can read about what happened to it."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.shared.event import EventKind

MAX_SHOWN: Final = 50
"""Entries that are shown, newest first."""


class Activity(msgspec.Struct, frozen=True):
    """One entry of an account's activity. `at` is in ms since the epoch.

    `facts` may hold `user_agent`, `place`, `about` (a masked contact, a name or a method) and `message` (the id of the challenge or
    notice whose message was sent). It never holds a code. `recipient` is the blind index of the contact that a message was sent to.
    """

    account: str
    id: str
    at: int
    kind: EventKind
    facts: dict[str, str]
    recipient: bytes | None = None
