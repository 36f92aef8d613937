"""The stream of one verification: the JSON of GET, as it changes, as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from countersign.domain.verifications.challenge import ChallengeState
from countersign.errors import UnavailableError
from countersign.flows.verifications.get import ChallengeView, get_challenge
from countersign.web.api.verifications import id_of
from countersign.web.api.views import in_full
from countersign.web.http.authentication import bearer, caller
from countersign.web.http.context import MOST_STREAMS
from countersign.web.http.problems import ProblemError, problem
from countersign.web.http.request import Reply, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call

POLL: Final = 0.5
"""Seconds between two looks at the database."""

HEARTBEAT: Final = 15.0
"""Seconds after which a comment keeps an idle connection from being cut by what stands between."""

LONGEST: Final = 900.0
"""Seconds after which a stream ends whatever happens: longer than any code lives."""


async def events(desk: Desk, call: Call) -> Reply | Stream:
    """GET /v1/verifications/{id}/events."""
    application = await caller(desk, call)
    seen = await get_challenge(desk.core, application, id_of(call))
    if seen is None:
        raise ProblemError("missing")
    if desk.streams >= MOST_STREAMS or desk.runtime.stopping.is_set():
        return problem("too_many_streams", retry_after=5)
    return Stream(_changes(desk, bearer(call), seen), b"text/event-stream")


async def _changes(desk: Desk, key: str, seen: ChallengeView) -> AsyncGenerator[bytes, None]:
    desk.streams += 1
    try:
        said, spoke = b"", 0.0
        until = time.monotonic() + LONGEST
        while True:
            now = desk.core.now()
            written = in_full(seen, now)
            if written != said:
                said, spoke = written, time.monotonic()
                yield b"data: " + written + b"\n\n"
            elif time.monotonic() - spoke > HEARTBEAT:
                spoke = time.monotonic()
                yield b": still here\n\n"
            else:
                yield b""
            if _is_over(seen, now) or time.monotonic() > until or desk.runtime.stopping.is_set():
                return
            await asyncio.sleep(POLL)
            try:
                # Asked each time: a key that was removed sees nothing more.
                application = await desk.doorkeeper.authenticate(key)
                found = await get_challenge(desk.core, application, seen.challenge.id) if application else None
            except UnavailableError:
                continue
            if found is None:
                return
            seen = found
    finally:
        desk.streams -= 1


def _is_over(seen: ChallengeView, now: int) -> bool:
    ended = seen.challenge.state_at(now) is not ChallengeState.PENDING
    return ended and all(delivery.ended for delivery in seen.deliveries)
