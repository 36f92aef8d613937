"""A mail server that takes every letter and keeps none, in a process of its own: `python -m bench.mail_sink` prints its port."""

from __future__ import annotations

import asyncio
import sys

_GREETING = b"220 sink.example\r\n"
_OK = b"250 OK\r\n"
_GO_ON = b"354 go on\r\n"
_BYE = b"221 bye\r\n"


class Sink(asyncio.Protocol):
    """One conversation; what is sent together is answered together."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._left = b""
        self._letter = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server has no other kind
        self._transport = transport
        transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        """Answer every command, and every letter at its end."""
        self._left += data
        answers: list[bytes] = []
        while True:
            end = b"\r\n.\r\n" if self._letter else b"\r\n"
            piece, found, rest = self._left.partition(end)
            if not found:
                break
            self._left = rest
            if self._letter:
                self._letter = False
                answers.append(_OK)
                continue
            verb = piece[:4].upper()
            self._letter = verb == b"DATA"
            answers.append(_GO_ON if self._letter else _BYE if verb == b"QUIT" else _OK)
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))


async def main() -> None:
    """Listen until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
