"""A proxy before PostgreSQL that loses what it is told to lose: a statement, or the answer to it, found by a word in the statement."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Cut: TypeAlias = Literal["none", "before", "after", "late", "hang"]
"""What becomes of the next statement with the word.

`before`: it never arrives. `after`: it is carried out, and its answer is lost. `late`: the caller loses the connection, and the statement
is carried out a moment later. `hang`: it never arrives, and nothing more is heard on this connection.
"""

LATE_S = 0.4
"""How late a late statement is, in seconds."""


class CuttingProxy:
    """Forwards connections to a port of loopback, until `cut` says otherwise for one statement with the word `word`."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.cut: Cut = "none"
        self.word = b""
        self.late = asyncio.Event()
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and break every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
            answers = asyncio.create_task(_forward(server_reader, writer))
            try:
                await self._ask(reader, writer, server_writer, answers)
            finally:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
                server_writer.transport.abort()
                writer.transport.abort()

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
        answers: asyncio.Task[None],
    ) -> None:
        while chunk := await reader.read(1 << 16):
            if self.cut == "none" or self.word not in chunk:
                server.write(chunk)
                await server.drain()
                continue
            cut, self.cut = self.cut, "none"
            answers.cancel()
            if cut == "hang":
                await asyncio.sleep(60)
            if cut == "late":
                writer.transport.abort()
                await asyncio.sleep(LATE_S)
            if cut in {"after", "late"}:
                server.write(chunk)
                await server.drain()
                await asyncio.sleep(0.15)  # it is carried out, and nobody hears of it
                self.late.set()
            return


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def cutting_proxy(target: int, word: bytes) -> AsyncIterator[CuttingProxy]:
    """Give a proxy before a port of loopback."""
    proxy = CuttingProxy(target)
    proxy.word = word
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
