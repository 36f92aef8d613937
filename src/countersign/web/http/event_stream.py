"""Server-sent events (WHATWG HTML, 9.2): the JSON of a resource, sent again whenever it changes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.errors import UnavailableError
from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

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

PER_BROWSER: Final = 4
"""Of these, streams of one browser: each of its tabs has one. A further one is refused, and its page goes without live progress."""

PER_NETWORK: Final = 50
"""Of these, streams that browsers of one network hold."""

PER_APPLICATION: Final = 250
"""Of these, streams that one application holds."""

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
        self._held: Counter[str] = Counter()
        self._stopping = stopping

    def start(self, req: Request, resp: Response, first: Snapshot, look: Look, holders: Mapping[str, int]) -> None:
        """Respond with a stream that starts with `first` and continues with what `look` returns.

        `holders` says in whose name the stream is held, and how many each of them may hold. Raises ProblemError if one of them, or
        this process, holds as many.
        """
        full = self.open >= MOST_STREAMS or any(self._held[name] >= most for name, most in holders.items())
        if full or self._stopping.is_set():
            raise ProblemError("too_many_streams", retry_after=RETRY_AFTER)
        resp.content_type = "text/event-stream"
        resp.set_header("X-Accel-Buffering", "no")
        if req.method != "HEAD":
            resp.stream = _Chunks(self._chunks(req.receive, first, look), self._hold(tuple(holders)))

    def _hold(self, names: tuple[str, ...]) -> Callable[[], None]:
        """Take a place, before anything is awaited, and return what gives it back."""
        self.open += 1
        self._held.update(names)

        def release() -> None:
            self.open -= 1
            self._held.subtract(names)
            for name in names:
                if self._held[name] <= 0:
                    del self._held[name]

        return release

    async def _chunks(self, receive: Receive, now: Snapshot, look: Look) -> AsyncGenerator[bytes, None]:
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
            for task in ending:
                task.cancel()


class _Chunks(AsyncIterator[bytes]):
    """An async generator that Falcon closes after the last chunk, or when it cannot send another."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], release: Callable[[], None]) -> None:
        self._chunks = chunks
        self._release: Callable[[], None] | None = release

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def close(self) -> None:
        """End the stream, and give its place back."""
        try:
            await self._chunks.aclose()
        finally:
            self._give_back()

    def __del__(self) -> None:
        """Give the place back of a stream that never began: its reader had gone before the first byte."""
        self._give_back()

    def _give_back(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()


async def _until_gone(receive: Receive) -> None:
    """Return when the reader has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
