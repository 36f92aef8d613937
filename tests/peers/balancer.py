"""A balancer of HTTP as operators have one: it asks each node whether it is well, and gives every request to one that is."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Coroutine
from typing import Final, Self

PROBE_EVERY: Final = 0.1
"""Seconds between two looks at a node."""

_NOBODY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nx-balancer: nobody is well\r\n\r\n"
)


class Balancer:
    """Listens on a port of loopback, and passes each request on over a connection of its own.

    A node counts as well while it answers `probe` with 200. A connection that a node refuses is tried at the next one; a request that
    was sent is never repeated.
    """

    def __init__(self, probe: str) -> None:
        self._probe = probe
        self._nodes: list[int] = []
        self._well: set[int] = set()
        self._turn = itertools.count()
        self._in_flight: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.served: Counter[int] = Counter()
        self.unserved = 0

    async def __aenter__(self) -> Self:
        """Listen, and look at the nodes."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._keep(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def add(self, node: int) -> None:
        """Use a node, and wait until it is well."""
        self._nodes.append(node)
        async with asyncio.timeout(60):
            while node not in self._well:  # noqa: ASYNC110 - another task looks
                await asyncio.sleep(0.02)

    async def take_out(self, node: int) -> None:
        """Give a node nothing more, and wait until it has answered what it has."""
        self._nodes.remove(node)
        self._well.discard(node)
        while self._in_flight[node]:  # noqa: ASYNC110 - other tasks count
            await asyncio.sleep(0.01)

    def is_well(self, node: int) -> bool:
        """Return what the last look at a node told."""
        return node in self._well

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self) -> None:
        while True:
            for node in tuple(self._nodes):
                well = False
                with contextlib.suppress(OSError, EOFError, TimeoutError):
                    async with asyncio.timeout(5):
                        request = f"GET {self._probe} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                        well = (await self._ask(node, request.encode())).startswith(b"HTTP/1.1 200 ")
                if node in self._nodes:
                    (self._well.add if well else self._well.discard)(node)
            await asyncio.sleep(PROBE_EVERY)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                while True:
                    writer.write(await self._answer(await _message(reader)))
                    await writer.drain()
        finally:
            writer.transport.abort()

    async def _answer(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        asked = head + b"\r\nconnection: close\r\n\r\n" + body
        nodes = [node for node in self._nodes if node in self._well]
        first = next(self._turn)
        for place in range(len(nodes)):
            node = nodes[(first + place) % len(nodes)]
            self._in_flight[node] += 1
            try:
                answer = await self._ask(node, asked)
            except ConnectionRefusedError:
                continue
            finally:
                self._in_flight[node] -= 1
            self.served[node] += 1
            head, _, body = answer.partition(b"\r\n\r\n")
            kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            return b"\r\n".join(kept) + b"\r\n\r\n" + body
        self.unserved += 1
        return _NOBODY

    async def _ask(self, node: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", node)
        try:
            writer.write(request)
            return await _message(reader)
        finally:
            writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return the next request or answer; its length is told in its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    return head + await reader.readexactly(length)
