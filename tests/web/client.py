"""A client that calls the application directly, as a server would, and keeps every byte of the answer."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec


class Answer(msgspec.Struct):
    """What came back; header names are in lower case, and `cookies` are the lines that set one."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Client:
    """Asks as one application; `peer` is the address that the request comes from."""

    def __init__(self, app: Callable[..., Awaitable[None]], key: str = "", peer: str = "127.0.0.1") -> None:
        self.app = app
        self.key = key
        self.peer = peer

    def scope(self, method: str, path: str, headers: dict[str, str], *, scheme: str = "http") -> dict[str, Any]:
        """Return the ASGI scope of a request; a header named with None is left out."""
        path, _, query = path.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (self.peer, 40_000),
            "server": ("127.0.0.1", 8000),
        }

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        scheme: str = "http",
        parts: AsyncIterator[bytes] | None = None,
    ) -> Answer:
        """Send a request; `body` goes as JSON, `raw` as it is, `parts` one after the other without a length."""
        sent = {"host": "localhost:8000"}
        if self.key:
            sent["authorization"] = f"Bearer {self.key}"
        if raw is None:
            raw = b"" if body is None else json.dumps(body).encode()
        if raw or parts is not None:
            sent["content-type"] = "application/json"
        if parts is None:
            sent["content-length"] = str(len(raw))
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        events: list[dict[str, Any]] = []
        await self.app(self.scope(method, path, sent, scheme=scheme), _receiver(raw, parts), _collector(events))
        start, *rest = events
        return Answer(
            start["status"],
            {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
            b"".join(event.get("body", b"") for event in rest),
            tuple(value.decode("latin-1") for name, value in start["headers"] if name == b"set-cookie"),
        )

    async def post(self, path: str, body: object = None, **more: Any) -> Answer:
        """POST, as `ask`."""
        return await self.ask("POST", path, body, **more)

    async def get(self, path: str, **more: Any) -> Answer:
        """GET, as `ask`."""
        return await self.ask("GET", path, **more)

    async def begin(self, to: str = "ada@example.org", **more: object) -> Any:
        """Begin a verification, and return its JSON."""
        answer = await self.post("/v1/verifications", {"to": to, **more})
        assert answer.status in {200, 201}, answer.body
        return answer.json


def assert_problem(answer: Answer, status: int, slug: str) -> None:
    """H1: what every problem has."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json
    assert told["type"] == f"https://countersign.dev/problems/{slug}"
    assert told["status"] == status
    assert told["title"]
    assert told["detail"].endswith(".")
    assert told["remedy"].endswith(".")
    if status in {429, 503}:
        assert int(answer.headers["retry-after"]) >= 1
        assert told["retry_after"] == int(answer.headers["retry-after"])


def shows(text: str, code: str) -> bool:
    """Say whether a code stands in a text by itself, not as digits of a longer number or of an id."""
    return re.search(rf"(?<![\w.]){code}(?![\w.])", text) is not None


def _receiver(raw: bytes, parts: AsyncIterator[bytes] | None) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def whole() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def in_parts() -> dict[str, Any]:
        assert parts is not None
        async for part in parts:
            return {"type": "http.request", "body": part, "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    return whole if parts is None else in_parts


def _collector(events: list[dict[str, Any]]) -> Callable[[dict[str, Any]], Awaitable[None]]:
    async def send(event: dict[str, Any]) -> None:
        events.append(event)

    return send
