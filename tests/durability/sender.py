"""A sender: the operator's own receiver of signed messages, which keeps each one and answers as it is told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections import Counter
from typing import Final

import msgspec

from countersign.providers.http.webhook_signature import ID, parse_secret, verify

SECRET: Final = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()


class Posted(msgspec.Struct, frozen=True):
    """A message that was posted to us."""

    key: str
    to: str
    text: str
    html: str
    subject: str

    @property
    def owner(self) -> str:
        """Return the id of the verification that it belongs to."""
        return self.key.split(".")[0]


class Sender:
    """Listens on a port of loopback. `answer` is the status of its next answers; 0 hangs up instead, after it took the message."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answer = 200
        self.secret = SECRET
        self.delay = 0.0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Return where to post."""
        return f"http://127.0.0.1:{self.port}/messages"

    @property
    def keys(self) -> Counter[str]:
        """Return how often each message came."""
        return Counter(message.key for message in self.posted)

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more; the port stays ours to open again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()
        await asyncio.sleep(0)  # in the loop's next turn the sockets are closed

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._listen_to(reader, writer)
        finally:
            writer.transport.abort()
            self._open.discard(writer)

    async def _listen_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = dict(re.findall(r"^([^:\r\n]+): *([^\r\n]*)\r?$", head.lower(), re.MULTILINE))
                exact = dict(re.findall(r"^([^:\r\n]+): *([^\r\n]*)\r?$", head, re.MULTILINE))
                body = await reader.readexactly(int(headers["content-length"]))
                verify(parse_secret(self.secret), exact, body, int(headers["webhook-timestamp"]))
                message = msgspec.json.decode(body, type=Posted)
                assert message.key == {name.lower(): value for name, value in exact.items()}[ID]
                self.posted.append(message)
                await asyncio.sleep(self.delay)
                if not self.answer:
                    break
                writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 0\r\n\r\n" % self.answer)
                await writer.drain()
