"""The request: Falcon's, with one reader for every body."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import falcon.asgi

from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from falcon import RequestOptions

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY: Final = 64 * 1024
"""Maximum size of a body in bytes. A longer one is refused with 413 (semantics H3)."""


class Request(falcon.asgi.Request):
    """A request to the API, to OAuth or to a page.

    `receive` gives the next ASGI event of the connection; `began` is when the request arrived, in seconds of `time.perf_counter`.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        first_event: Any = None,  # noqa: ANN401 - a private type of Falcon's
        options: RequestOptions | None = None,
    ) -> None:
        super().__init__(scope, receive, first_event, options)
        self.receive = receive
        self.began = time.perf_counter()

    async def body(self, most: int = MAX_BODY) -> bytes:
        """Return the whole body.

        The server ends a connection whose body takes too long, so this waits for no longer than that.

        Args:
            most: the length in bytes from which on a body is refused.

        Raises:
            ProblemError: `too_large` for a longer body, before it is read where its length is given; `timed_out` if the sender
                hung up, or was cut off by the server, before the body was complete.
        """
        length = self.get_header("Content-Length")
        if length is not None and (not length.isdecimal() or int(length[:12]) > most):
            raise ProblemError("too_large")
        parts = bytearray()
        while True:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise ProblemError("timed_out")
            part: bytes = event.get("body", b"")
            if len(parts) + len(part) > most:
                raise ProblemError("too_large")
            if not event.get("more_body"):
                return bytes(parts) + part if parts else part
            parts += part

    def __repr__(self) -> str:
        """Show only what may appear in a log."""
        return f"Request({self.method})"
