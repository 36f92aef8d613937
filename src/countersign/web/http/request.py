"""A call and its reply: what an endpoint is handed, and what it hands back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec

from countersign.web.http.body_timeout import Patience

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]
Headers: TypeAlias = tuple[Header, ...]

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"


class Call:
    """One HTTP request. `it` is the part of the path that a route leaves open: an id, a name."""

    __slots__ = ("_headers", "it", "method", "path", "patience", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, it: str, patience: Patience) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.it = it
        self.patience = patience
        self._headers: dict[bytes, bytes] = dict(scope["headers"])

    def header(self, name: bytes) -> bytes | None:
        """Return a header by its name in lower case; of one that comes twice, the last."""
        return self._headers.get(name)

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Call({self.method})"


class Reply(msgspec.Struct, frozen=True):
    """A whole answer. `headers` go beside the type, the length and those that every answer bears."""

    status: int
    body: bytes
    type: bytes = JSON
    headers: Headers = ()
    cache: bytes = b"no-store"


class Stream(msgspec.Struct, frozen=True):
    """An answer that goes on. An empty chunk is not sent: it is where the stream may notice that its reader has gone."""

    chunks: AsyncGenerator[bytes, None]
    type: bytes
