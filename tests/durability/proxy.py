"""A TCP proxy that does to a line what networks do: it is slow, resets, goes half open, or cuts an answer in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Literal, Self

Fault = Literal["none", "latency", "reset", "half_open", "cut"]

SLOW: Final = 30.0
"""Seconds by which `latency` holds back every answer: longer than anybody waits."""

CUT_AFTER: Final = 12
"""Bytes of an answer that `cut` lets through."""


class Proxy:
    """Listens on a port of loopback and passes everything on to `target`, but for its fault, which may change at any time."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.fault: Fault = "none"
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listen."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut every line and listen no more."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                if self.fault == "reset":
                    return
                answers, there = await asyncio.open_connection("127.0.0.1", self._target)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass_on(reader, there))
                    group.create_task(self._pass_back(answers, writer))
        except* OSError:
            pass
        finally:
            writer.transport.abort()
            if there is not None:
                there.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1 << 16):
            if self.fault == "reset":
                raise ConnectionResetError
            if self.fault != "half_open":  # else what is sent arrives nowhere, and nobody says so
                there.write(piece)
                await there.drain()
        raise ConnectionResetError

    async def _pass_back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await answers.read(1 << 16):
            if self.fault == "latency":
                await asyncio.sleep(SLOW)
            writer.write(piece[:CUT_AFTER] if self.fault == "cut" else piece)
            await writer.drain()
            if self.fault == "cut":
                raise ConnectionResetError
        raise ConnectionResetError
