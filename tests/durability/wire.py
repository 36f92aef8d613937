"""A wire: one HTTP connection that never repeats a request by itself, so that what was answered and what was not stays known."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

PATIENCE: Final = 30.0
"""Seconds after which an answer that has not come counts as a hanging server."""


class BrokenError(Exception):
    """The connection broke before the whole answer had come: whether the request was carried out is not known."""


class HangingError(AssertionError):
    """No answer came within PATIENCE, which no fault excuses."""


class Heard(msgspec.Struct, frozen=True):
    """An answer; header names are in lower case, `raw` is every byte of it."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Wire:
    """One connection to a port of loopback, made when needed and again after it broke."""

    def __init__(self, port: int, key: str = "") -> None:
        self._port = port
        self._key = key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Heard:
        """Send one request, once. Raises BrokenError."""
        if raw is None:
            raw = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"host: localhost:{self._port}", f"content-length: {len(raw)}"]
        if raw:
            lines.append("content-type: application/json")
        if self._key:
            lines.append(f"authorization: Bearer {self._key}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
                self._streams = (reader, writer)
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)
                heard = await _read(reader)
        except (OSError, EOFError) as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise HangingError(f"{method} {path} was not answered in {PATIENCE:g} s") from None
            raise BrokenError from error
        except BaseException:
            self.close()
            raise
        if heard.headers.get("connection", "").lower() == "close":
            self.close()
        return heard

    async def post(self, path: str, body: object = None, *, headers: Mapping[str, str] | None = None) -> Heard:
        """POST, as `ask`."""
        return await self.ask("POST", path, body, headers=headers)

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Heard:
        """GET, as `ask`."""
        return await self.ask("GET", path, headers=headers)

    def close(self) -> None:
        """Hang up."""
        streams, self._streams = self._streams, None
        if streams is not None:
            with contextlib.suppress(OSError, RuntimeError):
                streams[1].transport.abort()


async def _read(reader: asyncio.StreamReader) -> Heard:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(int(first.split()[1]), headers, body, head + body)
