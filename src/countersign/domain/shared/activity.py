"""Activity: what happened to an account, as its person may read it: kinds of the event log, with device and place but never a code."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.shared.event import EventKind

MAX_SHOWN: Final = 50
"""How many are shown, the newest first."""


class Activity(msgspec.Struct, frozen=True):
    """One thing that happened, when (ms).

    `facts` may have `user_agent`, `place`, `about` (a mask, a name, a method) and `message` (the id that owes it).
    """

    account: str
    id: str
    at: int
    kind: EventKind
    facts: dict[str, str]
