"""A separate port for /metrics in plain HTTP, for a scraper on the operator's network."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from countersign.errors import SettingsError

if TYPE_CHECKING:
    from countersign.wiring import Runtime

SCRAPED_WITHIN: Final = 5.0
"""Seconds that a scraper has to send its request and read the response."""

_MOST_HEADERS: Final = 16 * 1024


async def serve_metrics(runtime: Runtime, bind: str, port: int, *, shared: bool) -> asyncio.Server:
    """Answer GET /metrics on a port of its own. Raises SettingsError if the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(SCRAPED_WITHIN):
                asked = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].split(b" ")
                if asked[:1] == [b"GET"] and asked[1].partition(b"?")[0] == b"/metrics":
                    writer.write(_response(b"200 OK", await runtime.metrics_page(), runtime.metrics.content_type))
                else:
                    writer.write(_response(b"404 Not Found", b"Only GET /metrics is answered here.\n", "text/plain"))
                await writer.drain()
        writer.close()

    try:
        return await asyncio.start_server(answer, bind, port, limit=_MOST_HEADERS, reuse_port=shared or None)
    except OSError as error:
        raise SettingsError(
            f"metrics.port (COUNTERSIGN_METRICS_PORT): {bind} port {port} cannot be listened on ({error.strerror}); choose another."
        ) from error


def _response(status: bytes, body: bytes, kind: str) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, kind.encode(), len(body)) + body
