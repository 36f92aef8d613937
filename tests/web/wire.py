"""Requests and responses as bytes on a connection."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import msgspec
from tests.web.served import Served

BEGIN: Final = "/v1/verifications"
JSON: Final = "Content-Type: application/json\r\n"
CLOSE: Final = "Connection: close\r\n"
UNKNOWN: Final = "/v1/verifications/ver_00000000000000000000000000/check"


class Reply(msgspec.Struct):
    """One response; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


async def talk(place: Served, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send parts, with a pause after each, and return all that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def request(
    place: Served, method: str, path: str, body: bytes = b"", headers: str = "", *, key: str | None = None
) -> bytes:
    """Return a request as it is sent; `headers` end in a line break."""
    key = place.key if key is None else key
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{length}{headers}\r\n".encode() + body


def begin(to: str) -> bytes:
    """Return the body of a begin."""
    return json.dumps({"to": to}).encode()


def replies(said: bytes) -> list[Reply]:
    """Return the responses in what came back, one after the other."""
    found = []
    while said:
        head, _, said = said.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        found.append(Reply(int(first.split()[1]), headers, said[:length]))
        said = said[length:]
    return found
