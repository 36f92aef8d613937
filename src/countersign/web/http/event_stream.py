"""Server-sent events (WHATWG HTML, 9.2): the JSON of a resource, sent again whenever it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.errors import UnavailableError
from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from countersign.web.http.request import Receive, Request
    from countersign.web.http.response import Response

POLL: Final = 0.5
"""Seconds between two reads of the database."""

HEARTBEAT: Final = 15.0
"""Seconds after which a comment is sent, so that no proxy closes an idle connection."""

LONGEST: Final = 900.0
"""Seconds after which every stream ends: longer than any code lives."""

MOST_STREAMS: Final = 500
"""Maximum number of open streams of one process. Each reads the database twice a second."""

RETRY_AFTER: Final = 5


class Snapshot(msgspec.Struct, frozen=True):
    """One state of the resource. `data` is JSON on one line. After a `final` one the stream ends."""

    data: bytes
    final: bool


Look: TypeAlias = Callable[[], Awaitable[Snapshot | None]]
"""Returns the current state, or None if the reader may no longer see it. After UnavailableError it is called again."""


class EventStreams:
    """The open streams of one process. All end as soon as the process is told to stop."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self.open = 0
        self._stopping = stopping

    def start(self, req: Request, resp: Response, first: Snapshot, look: Look) -> None:
        """Respond with a stream that starts with `first` and continues with what `look` returns.

        Raises ProblemError if as many are open as this process keeps.
        """
        if self.open >= MOST_STREAMS or self._stopping.is_set():
            raise ProblemError("too_many_streams", retry_after=RETRY_AFTER)
        resp.content_type = "text/event-stream"
        resp.set_header("X-Accel-Buffering", "no")
        resp.stream = _Chunks(self._chunks(req.receive, first, look))

    async def _chunks(self, receive: Receive, now: Snapshot, look: Look) -> AsyncGenerator[bytes, None]:
        self.open += 1
        ending = {asyncio.create_task(_until_gone(receive)), asyncio.create_task(self._stopping.wait())}
        try:
            sent, sent_at = b"", 0.0
            until = time.monotonic() + LONGEST
            while True:
                if now.data != sent:
                    sent, sent_at = now.data, time.monotonic()
                    yield b"data: " + sent + b"\n\n"
                elif time.monotonic() - sent_at > HEARTBEAT:
                    sent_at = time.monotonic()
                    yield b": still here\n\n"
                if now.final or time.monotonic() > until:
                    return
                ended, _ = await asyncio.wait(ending, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
                if ended:
                    return
                try:
                    found = await look()
                except UnavailableError:
                    continue
                if found is None:
                    return
                now = found
        finally:
            self.open -= 1
            for task in ending:
                task.cancel()


class _Chunks(AsyncIterator[bytes]):
    """An async generator that Falcon closes after the last chunk, or when it cannot send another."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def close(self) -> None:
        """End the stream."""
        await self._chunks.aclose()


async def _until_gone(receive: Receive) -> None:
    """Return when the reader has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
